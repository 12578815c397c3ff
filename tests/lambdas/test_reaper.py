"""Which machines the reaper ends, against an EC2 that keeps tags and states."""

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lambdas import reaper

HOUR = 3_600
LONGEST = 24 * HOUR


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3.client("ec2")


@pytest.fixture
def start(ec2: Any) -> Any:
    image = ec2.describe_images()["Images"][0]["ImageId"]

    def started(**tags: str) -> str:
        entries = [{"Key": f"exemplar:{key}", "Value": value} for key, value in tags.items()]
        specification = [{"ResourceType": "instance", "Tags": entries}] if entries else []
        answer = ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specification
        )
        return str(answer["Instances"][0]["InstanceId"])

    return started


def state(ec2: Any, machine: str) -> str:
    found = ec2.describe_instances(InstanceIds=[machine])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"])


def test_only_overdue_machines_of_this_stack_are_ended(ec2: Any, start: Any) -> None:
    now = time.time()
    overdue = start(stack="exemplar", deadline=str(int(now) - 1))
    running = start(stack="exemplar", deadline=str(int(now) + HOUR))
    foreign = start(stack="exemplar-two", deadline=str(int(now) - 1))
    untagged = start()
    result = reaper.reap(ec2, "exemplar", LONGEST, now)
    assert result == {"overdue": 1, "alive": 1, "ended": [overdue]}
    assert state(ec2, overdue) == "terminated"
    assert {state(ec2, machine) for machine in (running, foreign, untagged)} == {"running"}


def test_a_second_call_finds_nothing_to_do(ec2: Any, start: Any) -> None:
    start(stack="exemplar", deadline="1")
    assert reaper.reap(ec2, "exemplar", LONGEST, time.time())["overdue"] == 1
    assert reaper.reap(ec2, "exemplar", LONGEST, time.time()) == {
        "overdue": 0,
        "alive": 0,
        "ended": [],
    }


@pytest.mark.parametrize("tags", [{}, {"deadline": "tomorrow"}, {"deadline": "9" * 12}])
def test_no_tag_prolongs_a_life_beyond_the_longest(
    ec2: Any, start: Any, tags: dict[str, str]
) -> None:
    start(stack="exemplar", **tags)
    now = time.time()
    assert reaper.reap(ec2, "exemplar", LONGEST, now)["overdue"] == 0
    assert reaper.reap(ec2, "exemplar", LONGEST, now + LONGEST + 5)["overdue"] == 1


def test_stopped_machines_end_too(ec2: Any, start: Any) -> None:
    machine = start(stack="exemplar", deadline="1")
    ec2.stop_instances(InstanceIds=[machine])
    assert reaper.reap(ec2, "exemplar", LONGEST, time.time())["ended"] == [machine]


def test_every_page_is_read(ec2: Any, start: Any) -> None:
    machines = {start(stack="exemplar", deadline="1") for _ in range(105)}
    assert set(reaper.reap(ec2, "exemplar", LONGEST, time.time())["ended"]) == machines
    assert {state(ec2, machine) for machine in machines} == {"terminated"}


def test_the_printed_line_is_what_the_metric_filter_reads(
    ec2: Any, start: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_STACK", "exemplar")
    monkeypatch.setenv("EXEMPLAR_MAX_TRAINING_HOURS", "24")
    start(stack="exemplar", deadline="1")
    result = reaper.handler({}, None)
    assert json.loads(capsys.readouterr().out) == result
    assert result["overdue"] == 1
