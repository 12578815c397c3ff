"""Only one at a time changes what a project serves, and the dead do not hold up the living."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.identity import Project
from lambdas import environment
from lambdas.leases import Busy, _key, exclusive


def test_another_waits_until_the_first_is_done() -> None:
    project, table, order = Project("ann", "queue"), environment.state().table, []

    def work(name: str) -> None:
        with exclusive(table, project, name, wait_seconds=20):
            order.append(f"{name} in")
            time.sleep(0.1)
            order.append(f"{name} out")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    assert len(order) == 8
    for entered, left in zip(order[::2], order[1::2], strict=True):
        assert entered.split()[0] == left.split()[0]


def test_who_will_not_wait_is_told_to_come_back() -> None:
    project, table = Project("ann", "busy"), environment.state().table
    with (
        exclusive(table, project, "first"),
        pytest.raises(Busy, match="being changed"),
        exclusive(table, project, "second"),
    ):
        pass
    with exclusive(table, project, "second"):
        pass


def test_a_long_one_keeps_its_lease() -> None:
    project, table = Project("ann", "long"), environment.state().table
    with exclusive(table, project, "first", lease_seconds=0.6):
        time.sleep(1.2)
        with pytest.raises(Busy), exclusive(table, project, "second"):
            pass


def test_a_dead_holders_lease_ends_and_its_own_rerun_need_not_wait() -> None:
    project, table = Project("ann", "dead"), environment.state().table
    now = time.time()
    assert table.take_lease(_key(project), "killed", now, now + 0.5)
    with pytest.raises(Busy), exclusive(table, project, "other"):
        pass
    with exclusive(table, project, "killed"):
        pass
    assert table.take_lease(_key(project), "killed", now, now + 0.5)
    with exclusive(table, project, "other", wait_seconds=5):
        pass


def test_other_projects_do_not_wait() -> None:
    table = environment.state().table
    with (
        exclusive(table, Project("ann", "one"), "x"),
        exclusive(table, Project("ann", "two"), "y"),
        exclusive(table, Project("bob", "one"), "z"),
    ):
        pass
