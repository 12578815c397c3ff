"""Users and tokens: what a lost, raced or repeated call leaves behind."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from contracts.errors import InvalidName, NotFound
from contracts.quotas import Quotas
from lambdas import environment
from lambdas.accounts import Accounts
from lambdas.credentials import digest

SOON = time.time() + 3_600


@pytest.fixture
def accounts() -> Accounts:
    return environment.state().accounts


def test_a_token_is_its_users_until_it_expires_or_is_rotated(accounts: Accounts) -> None:
    assert accounts.add("rot")
    accounts.issue("rot", "one", SOON)
    accounts.issue("rot", "two", SOON)
    accounts.issue("rot", "old", time.time() - 1)
    assert [accounts.user_of_token(token) for token in ("one", "two", "old", "none")] == [
        *("rot", "rot"),
        *(None, None),
    ]
    assert len(accounts.account("rot").valid_tokens()) == 2
    accounts.rotate("rot", "three", SOON)
    assert accounts.user_of_token("one") is None
    assert accounts.user_of_token("three") == "rot"
    table = environment.state().table
    assert table.get((f"TOKEN#{digest('one')}", "TOKEN")) is None


def test_what_is_stored_names_no_token(accounts: Accounts) -> None:
    accounts.add("plain")
    accounts.issue("plain", "xt_secret", SOON)
    table = environment.state().table
    stored = [table.get(("USERS", "USER#plain")), *table.query("USERS", "USER#")]
    assert digest("xt_secret") in str(stored)
    assert "xt_secret" not in str(stored)


def test_a_removed_users_tokens_end_even_those_that_come_at_the_same_moment(
    accounts: Accounts,
) -> None:
    accounts.add("gone")
    accounts.issue("gone", "before", SOON)
    accounts._store("gone", "meanwhile", SOON)  # a call that was overtaken by the removal
    accounts.remove("gone")
    for token in ("before", "meanwhile"):
        assert accounts.user_of_token(token) is None
    for call in (lambda: accounts.issue("gone", "x", SOON), lambda: accounts.remove("gone")):
        with pytest.raises(NotFound, match="no user 'gone'"):
            call()
    # Whoever gets the name next does not get the tokens.
    accounts.add("gone")
    assert accounts.user_of_token("meanwhile") is None


def test_one_of_many_who_add_the_same_user_is_first(accounts: Accounts) -> None:
    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(lambda _: accounts.add("race"), range(20))) == 1
    assert [account.user for account in accounts.all()].count("race") == 1


@pytest.mark.parametrize("name", ["", "Ann", "a_b", "a#b", "../x", "a" * 33, "USER#ann"])
def test_hostile_names_make_no_account(accounts: Accounts, name: str) -> None:
    with pytest.raises(InvalidName):
        accounts.add(name)


def test_quotas_of_ones_own_go_before_the_stacks(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_QUOTA_PROJECTS", "3")
    stacks = Quotas.from_environment()
    assert accounts.quotas("logs-in-elsewhere") == stacks
    accounts.give_quotas("logs-in-elsewhere", {"jobs": 1})
    accounts.give_quotas("logs-in-elsewhere", {"jobs": 2})
    assert accounts.quotas("logs-in-elsewhere") == replace(stacks, projects=3, jobs=2)
