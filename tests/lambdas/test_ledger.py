"""No race passes a limit, and the sum is always that of what is held."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from lambdas import environment
from lambdas.ledger import Ledger

_numbers = count()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(environment.state().table, f"ledger-{next(_numbers)}", "THINGS")


def summed(ledger: Ledger) -> int:
    assert ledger.taken() == sum(entry.amount for entry in ledger.entries())
    return ledger.taken()


def test_twenty_at_once_do_not_pass_the_limit(ledger: Ledger) -> None:
    with ThreadPoolExecutor(20) as pool:
        got = list(pool.map(lambda n: ledger.take(f"n{n}", 3, 20), range(20)))
    assert sum(got) == 6
    assert summed(ledger) == 18


def test_the_same_name_at_once_is_held_once(ledger: Ledger) -> None:
    with ThreadPoolExecutor(10) as pool:
        assert all(pool.map(lambda _: ledger.take("same", 5, 5), range(10)))
    assert summed(ledger) == 5


def test_a_name_may_grow_within_the_limit_and_keeps_what_it_has(ledger: Ledger) -> None:
    assert ledger.take("a", 5, 10)
    assert ledger.take("a", 3, 0)  # it has them already, whatever the limit is now
    assert summed(ledger) == 5
    assert not ledger.take("a", 11, 10)
    assert ledger.take("a", 10, 10)
    assert not ledger.take("b", 1, 10)
    assert summed(ledger) == 10


def test_what_was_taken_again_is_not_given_back(ledger: Ledger) -> None:
    ledger.take("a", 5, 10)
    (seen,) = ledger.entries()
    ledger.take("a", 5, 10)
    assert not ledger.give_back(seen)
    assert not ledger.settle("a", seen, 1)
    assert summed(ledger) == 5
    (seen,) = ledger.entries()
    assert ledger.settle("a", seen, 1)
    assert summed(ledger) == 1
    (seen,) = ledger.entries()
    assert ledger.give_back(seen)
    assert not ledger.give_back(seen)
    assert summed(ledger) == 0


def test_users_and_things_are_counted_apart(ledger: Ledger) -> None:
    table = environment.state().table
    others = Ledger(table, "ledger-of-another", "THINGS"), Ledger(table, "ledger-0", "OTHER")
    assert ledger.take("a", 1, 1)
    for other in others:
        assert other.take("a", 1, 1)
        assert summed(other) == 1
