import pytest

from contracts.turns import queue_of, queues


def test_a_first_job_goes_before_anybodys_second() -> None:
    order = [name for name, _ in queues(8)]
    assert [queue_of(unfinished) for unfinished in (0, 1, 2, 3, 9)] == [
        "turn-1",
        "turn-2",
        "turn-3",
        "turn-4",
        "turn-4",
    ]
    assert order == ["turn-1", "turn-2", "turn-3", "turn-4"]


@pytest.mark.parametrize("slots", [8, 16, 20, 100])
def test_later_jobs_leave_a_place_for_a_first_one(slots: int) -> None:
    (_, first), *later = queues(slots)
    assert first is None
    assert sum(limit or 0 for _, limit in later) < slots


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_few_places_still_serve_everyone(slots: int) -> None:
    assert all(limit is None or limit >= 1 for _, limit in queues(slots))
