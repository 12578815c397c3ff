from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts.machine_use import MachineUse, from_labels, total_dollars

LAUNCHED = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
INSTANCE = {
    "InstanceId": "i-1",
    "InstanceType": "g4dn.xlarge",
    "InstanceLifecycle": "spot",
    "LaunchTime": LAUNCHED,
}
NOW = LAUNCHED.timestamp() + 3_600


def use() -> MachineUse:
    found = MachineUse.of(INSTANCE, disk_gb=0)
    assert found
    return found


def test_labels_say_what_a_machine_was_and_later_ones_replace_earlier() -> None:
    ended = replace(use(), ended_at=NOW - 1_800)
    other = replace(use(), instance_id="i-2", is_spot=False, started_at=NOW)
    labels = other.label | use().label | ended.label | {"prefect.flow.id": "x"}
    assert from_labels(labels) == [ended, other]


def test_a_machine_costs_until_its_end() -> None:
    assert use().dollars(NOW) == pytest.approx(0.526 * 0.4)
    assert replace(use(), ended_at=NOW - 1_800).dollars(NOW) == pytest.approx(0.526 * 0.2)
    assert total_dollars([use(), use()], NOW) == pytest.approx(0.526 * 0.8)


def test_an_unknown_price_makes_the_sum_unknown() -> None:
    assert total_dollars([use(), replace(use(), instance_type="x99.mega")], NOW) is None


def test_a_machine_that_ec2_has_forgotten_says_nothing() -> None:
    assert MachineUse.of({"InstanceId": "i-1", "State": {"Name": "terminated"}}, 30) is None
