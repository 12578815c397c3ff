"""What a training is expected to take."""

import pytest

from contracts.estimate import Machine, Observation, estimate

GPU = Machine("g4dn.xlarge", is_spot=True)


def seen(examples: int, seconds: float, machine: Machine = GPU) -> Observation:
    return Observation(examples, seconds, machine)


def test_without_any_past_a_reference_measurement_counts() -> None:
    found = estimate(1_680, [])
    assert found.seconds == pytest.approx(138, rel=0.02)
    assert (found.dollars, found.machine) == (None, "")
    assert found.basis == "a reference measurement"


def test_a_machine_of_ones_own_costs_and_has_to_start() -> None:
    found = estimate(1_680, [], GPU)
    assert found.seconds == pytest.approx(198, rel=0.02)
    assert found.dollars == pytest.approx(198 / 3_600 * 0.526 * 0.4, rel=0.02)
    assert found.machine == "g4dn.xlarge spot"


def test_sizes_that_differ_tell_fixed_from_running_time() -> None:
    past = [seen(100, 110), seen(1_000, 200), seen(2_000, 300)]
    found = estimate(4_000, past)
    assert found.seconds == pytest.approx(500, rel=0.01)
    assert found.basis == "3 earlier trainings"


def test_equal_sizes_tell_the_rate() -> None:
    found = estimate(2_000, [seen(1_000, 172), seen(1_000, 172), seen(1_000, 900)])
    assert found.seconds == pytest.approx(72 + 2 * 100)


def test_a_faster_run_on_more_data_does_not_make_time_run_backwards() -> None:
    found = estimate(5_000, [seen(100, 300), seen(1_000, 100)])
    assert found.seconds >= 100


def test_other_machines_say_nothing() -> None:
    past = [seen(1_000, 50, Machine("g5.xlarge"))]
    assert estimate(1_000, past, GPU).basis == "a reference measurement"
    assert estimate(1_000, past).basis == "an earlier training"


def test_a_training_that_stops_by_itself_is_not_expected_to_go_on() -> None:
    assert estimate(1_000_000, [], GPU, limit_seconds=600).seconds == pytest.approx(672)
