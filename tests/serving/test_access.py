import hashlib

import pytest

from contracts.errors import Unauthorized, Unavailable
from serving.access import FRESH_SECONDS, GRACE_SECONDS, EndpointAccess, KeyCheck


class Table:
    """Keys with a clock; counts reads and can be out of order."""

    def __init__(self, *keys: str) -> None:
        self.keys, self.now, self.reads, self.is_down = set(keys), 0.0, 0, False
        self.auth = "key"

    def read(self) -> EndpointAccess:
        self.reads += 1
        if self.is_down:
            raise ConnectionError("table")
        hashes = frozenset(hashlib.sha256(key.encode()).hexdigest() for key in self.keys)
        return EndpointAccess(hashes, self.auth, 7)

    def check(self) -> KeyCheck:
        return KeyCheck(self.read, lambda: self.now)


def test_a_known_key_passes_and_is_read_once() -> None:
    table = Table("a", "b")
    check = table.check()
    for _ in range(100):
        check.check("a")
        check.check("b")
    assert table.reads == 1


@pytest.mark.parametrize("key", ["", "x", "ä", "a" * 10_000])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(Unauthorized):
        Table("a").check().check(key)


def test_a_project_without_keys_refuses_everyone() -> None:
    with pytest.raises(Unauthorized):
        Table().check().check("a")


def test_a_removed_key_stops_working_within_a_minute() -> None:
    table = Table("a")
    check = table.check()
    check.check("a")
    table.keys.clear()
    table.now = FRESH_SECONDS
    with pytest.raises(Unauthorized):
        check.check("a")


def test_a_new_key_works_after_a_second() -> None:
    table = Table("a")
    check = table.check()
    check.check("a")
    table.keys.add("b")
    table.now = 1.0
    check.check("b")


def test_wrong_keys_cannot_hammer_the_table() -> None:
    table = Table("a")
    check = table.check()
    for step in range(1_000):
        table.now = step / 100  # ten seconds in all
        with pytest.raises(Unauthorized):
            check.check("wrong")
    assert table.reads <= 11


def test_known_keys_outlive_an_outage_for_ten_minutes() -> None:
    table = Table("a")
    check = table.check()
    check.check("a")
    table.is_down = True
    table.now = GRACE_SECONDS
    check.check("a")
    with pytest.raises(Unauthorized):
        check.check("b")
    table.now = GRACE_SECONDS + 1
    with pytest.raises(Unavailable):
        check.check("a")
    table.is_down, table.now = False, GRACE_SECONDS + 3
    check.check("a")


def test_nobody_passes_when_the_table_never_answered() -> None:
    table = Table("a")
    table.is_down = True
    with pytest.raises(Unavailable):
        table.check().check("a")


def test_requests_without_a_key_read_nothing() -> None:
    table = Table("a")
    with pytest.raises(Unauthorized, match="no key"):
        table.check().check("")
    assert table.reads == 0


def test_where_callers_sign_no_key_opens() -> None:
    table = Table("a")
    table.auth = "iam"
    check = table.check()
    for key in ("a", "b"):
        with pytest.raises(Unauthorized, match="takes no key") as refused:
            check.check(key)
        assert "SigV4" in refused.value.fix
    assert check.check("", "arn:aws:iam::1:user/ann") == check.check("a", "arn:aws:iam::1:user/ann")
    assert check.requests_per_minute == 7


def test_signers_outlive_an_outage_as_keys_do() -> None:
    table = Table()
    table.auth = "iam"
    check = table.check()
    assert check.check("", "arn") == hashlib.sha256(b"arn").hexdigest()
    table.is_down, table.now = True, GRACE_SECONDS
    check.check("", "arn")
    table.now += 1
    with pytest.raises(Unavailable):
        check.check("", "arn")


def test_where_keys_count_a_signature_opens_nothing() -> None:
    """A project that is being deleted has no keys any more, and no other way in."""
    for table in (Table("arn"), Table()):
        with pytest.raises(Unauthorized):
            table.check().check("arn", "arn")


def test_a_project_that_turns_to_signatures_lets_signers_in_after_a_second() -> None:
    table = Table("a")
    check = table.check()
    check.check("a")
    table.auth, table.now = "iam", 1.0
    check.check("", "arn")


def test_a_project_that_goes_back_to_keys_is_open_after_a_second() -> None:
    table = Table("a")
    table.auth = "iam"
    check = table.check()
    with pytest.raises(Unauthorized):
        check.check("a")
    table.auth, table.now = "key", 1.0
    check.check("a")


def test_an_item_of_an_older_version_means_keys() -> None:
    assert EndpointAccess.from_item({"hashes": {"SS": ["h"]}}) == EndpointAccess(frozenset("h"))
    assert EndpointAccess.from_item({}) == EndpointAccess()
    item = {"endpoint_auth": {"S": "iam"}, "requests_per_minute": {"N": "0"}}
    assert EndpointAccess.from_item(item) == EndpointAccess(auth="iam")
