"""One limit for all containers: how far it can be passed, and what it costs."""

import pytest

from contracts.errors import RateLimited
from serving.rate_limit import STEPS, RateLimit


class Table:
    """Counts of all containers, with a clock; can be out of order."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], int] = {}
        self.now, self.writes, self.is_down = 0.0, 0, False

    def add(self, caller: str, minute: int, requests: int) -> int:
        self.writes += 1
        if self.is_down:
            raise ConnectionError("table")
        key = caller, minute
        self.counts[key] = self.counts.get(key, 0) + requests
        return self.counts[key]

    def container(self) -> RateLimit:
        return RateLimit(self.add, lambda: self.now)


def passed(containers: list[RateLimit], requests: int, limit: int, caller: str = "a") -> int:
    """How many of these requests got through, one container after the other."""
    through = 0
    for number in range(requests):
        try:
            containers[number % len(containers)].check(caller, limit)
        except RateLimited:
            continue
        through += 1
    return through


@pytest.mark.parametrize("limit", [1, 7, 19, 20, 600])
def test_one_container_keeps_the_limit_exactly(limit: int) -> None:
    assert passed([Table().container()], 3 * limit, limit) == limit


@pytest.mark.parametrize("count", [2, 5, 10])
def test_many_containers_pass_it_by_their_steps_at_most(count: int) -> None:
    table = Table()
    containers = [table.container() for _ in range(count)]
    through = passed(containers, 3_000, 600)
    assert 600 <= through <= 600 + count * 600 / STEPS
    assert table.writes <= through / (600 / STEPS)


def test_a_small_limit_is_exact_for_many_containers() -> None:
    table = Table()
    assert passed([table.container() for _ in range(10)], 300, 20) <= 20 + 10
    assert sum(table.counts.values()) >= 20


def test_a_quiet_endpoint_writes_nothing() -> None:
    table, limit = Table(), 600
    container = table.container()
    for minute in range(10):
        table.now = minute * 60.0
        assert passed([container], 29, limit) == 29
    assert table.writes == 0


def test_the_next_minute_begins_anew_and_is_told_before() -> None:
    table = Table()
    table.now = 60.0 * 1_000 + 12.4
    container = table.container()
    assert passed([container], 100, 40) == 40
    with pytest.raises(RateLimited) as refused:
        container.check("a", 40)
    assert refused.value.retry_after_seconds == 48
    form = refused.value.as_dict()["error"]
    assert (form["code"], form["retry_after_seconds"]) == ("rate_limited", 48)
    assert "wait 48 seconds" in form["fix"]
    table.now += 48
    container.check("a", 40)


def test_callers_do_not_count_for_each_other() -> None:
    container = Table().container()
    assert passed([container], 50, 40, "a") == 40
    assert passed([container], 50, 40, "b") == 40


def test_without_the_table_each_container_goes_on_alone_and_asks_once_a_minute() -> None:
    table = Table()
    table.is_down = True
    containers = [table.container(), table.container()]
    assert passed(containers, 400, 100) == 200
    assert table.writes == 2
    table.is_down, table.now = False, 60.0
    assert passed(containers, 400, 100) <= 110
