"""What can be said from few test examples, and what cannot."""

import math
from statistics import NormalDist


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of a rate, 0..1, after `correct` hits in `total` tries.

    Honest for small samples and near 0 and 1. With no tries it is (0, 1).
    Source: E. B. Wilson, "Probable inference" (1927).
    """
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} correct of {total} cannot be, e.g. give 27 of 30")
    if total == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    rate, spread = correct / total, z * z / total
    centre = (rate + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(rate * (1 - rate) / total + spread / (4 * total))
    low = 0.0 if correct == 0 else centre - half
    high = 1.0 if correct == total else centre + half
    return max(low, 0.0), min(high, 1.0)


def mcnemar_mid_p(wins: int, losses: int) -> float:
    """Return the one-sided mid-p value of `wins` against `losses` under even chances.

    Small when winning that often is hardly luck. Sources: Q. McNemar (1947) for the paired test;
    M. W. Fagerland, S. Lydersen, P. Laake, "The McNemar test for binary matched-pairs data:
    mid-p and asymptotic are better than exact conditional" (2013).
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins and {losses} losses cannot be, e.g. give 12 and 4")
    discordant = wins + losses
    term = math.comb(discordant, wins)
    twice = term  # the observed outcome counts half, so everything is summed doubled
    for k in range(wins, discordant):
        term = term * (discordant - k) // (k + 1)
        twice += 2 * term
    total: int = 2 ** (discordant + 1)
    return twice / total  # whole numbers up to here: exact


def mcnemar_two_sided(wins: int, losses: int) -> float:
    """Return the two-sided mid-p value: small when the two hardly are equally good."""
    smaller = min(mcnemar_mid_p(wins, losses), mcnemar_mid_p(losses, wins))
    return min(2 * smaller, 1.0)


def fisher_greater(hits: int, total: int, other_hits: int, other_total: int) -> float:
    """Return how likely so many `hits` of `total` are, if both rates were the same.

    One-sided: small when the first rate hardly is the lower or the same.
    Source: R. A. Fisher, "The logic of inductive inference" (1935).
    """
    if not (0 <= hits <= total and 0 <= other_hits <= other_total):
        raise ValueError(
            f"{hits} of {total} and {other_hits} of {other_total} cannot be, e.g. give 3, 9, 1, 80"
        )
    everything, all_hits = total + other_total, hits + other_hits
    ways = _log_choose(everything, total)
    terms = (
        math.exp(_log_choose(all_hits, k) + _log_choose(everything - all_hits, total - k) - ways)
        for k in range(hits, min(total, all_hits) + 1)
        if total - k <= everything - all_hits
    )
    return min(math.fsum(terms), 1.0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def sentence(correct: int, total: int) -> str:
    """Return a result and its 95 % interval in words a person without statistics understands."""
    if total == 0:
        return "not tested yet: there are no test examples"
    low, high = wilson_interval(correct, total)
    return (
        f"right {correct:,} times out of {total:,}; "
        f"the true rate is likely between {_percent(low)} and {_percent(high)}"
    )


def _percent(rate: float) -> str:
    return f"{rate * 100:.0f} %"
