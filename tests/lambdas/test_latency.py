import numpy as np
import pytest

from lambdas.latency import bucket_of, quantile


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_quantiles_are_right_to_five_percent(share: float) -> None:
    durations = np.random.default_rng(0).lognormal(2.5, 1.2, 5_000)
    buckets: dict[int, int] = {}
    for ms in durations:
        buckets[bucket_of(ms)] = buckets.get(bucket_of(ms), 0) + 1
    exact = float(np.quantile(durations, share, method="lower"))
    assert quantile(buckets, share) == pytest.approx(exact, rel=0.05)


def test_few_durations_and_none() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({bucket_of(8): 1}, 0.99) == pytest.approx(8, rel=0.05)
    assert bucket_of(0) < bucket_of(0.1) < bucket_of(1)
