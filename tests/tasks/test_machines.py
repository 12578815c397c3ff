import pytest

from tasks.machines import GRACE_SECONDS, Machine, RunEnd, reason_to_end

NOW = 1_700_000_000.0
OLD, NEW = NOW - 3_600, NOW - 10


def machine(launched_at: float = OLD, deadline: float | None = NOW + 60) -> Machine:
    return Machine("i-1", "g4dn.xlarge", True, launched_at, deadline, "run")


@pytest.mark.parametrize(
    ("found", "run", "said"),
    [
        (machine(), RunEnd(None), ""),
        (machine(), RunEnd(NOW - 5), ""),  # it is about to end by itself
        (machine(), RunEnd(NOW - GRACE_SECONDS - 1), "its flow run has ended"),
        (machine(), None, "no flow run is known"),
        (machine(launched_at=NEW), None, ""),  # Prefect may not have heard of it yet
        (machine(deadline=NOW - 1), RunEnd(None), "longer than it may"),
        (machine(launched_at=NEW, deadline=NOW - 1), RunEnd(None), "longer than it may"),
        (machine(deadline=None), RunEnd(None), ""),
    ],
)
def test_only_what_nobody_needs_is_ended(found: Machine, run: RunEnd | None, said: str) -> None:
    reason = reason_to_end(found, run, NOW)
    assert reason == "" if not said else said in reason


def test_a_machine_knows_what_it_has_cost() -> None:
    assert machine().dollars(NOW) == pytest.approx(0.526 * 0.4)
    unknown = Machine("i-1", "x99.mega", False, OLD, None, "run")
    assert unknown.dollars(NOW) is None
