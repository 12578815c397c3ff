"""Where a machine is asked for, and with what; against moto's EC2."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from contracts import machine_tags as tags
from contracts.errors import LimitExceeded
from deployments.ec2.configuration import EC2JobConfiguration
from deployments.ec2.launch import NoCapacity, launch
from deployments.ec2.request import Attempt, LaunchRefused, options, request
from deployments.ec2.user_data import user_data

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ATTEMPT = Attempt(
    flow_run_id="0f8fad5b-d9cb-469f-a165-70867728950e",
    number=0,
    asked_at=1_700_000_000,
    pool="training",
    parameters={"user": "ann", "project": "cats", "job_id": "j1", "seed": 0},
)


def configuration(**values: Any) -> EC2JobConfiguration:
    return EC2JobConfiguration(
        **{"image_id": "ami-12345678", "command": "prefect flow-run execute"} | values
    )


@pytest.fixture
def ec2(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield boto3.client("ec2", region_name="us-east-1")


class Refusing:
    """EC2 that refuses some launches; everything else goes to moto."""

    def __init__(self, client: Any, refusals: dict[tuple[str, bool], str]) -> None:
        self._client, self._refusals, self.asked = client, refusals, list[tuple[str, bool]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def run_instances(self, **wanted: Any) -> Any:
        place = (wanted["InstanceType"], "InstanceMarketOptions" in wanted)
        self.asked.append(place)
        if code := self._refusals.get(place):
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "RunInstances")
        return self._client.run_instances(**wanted)


SPOT = ["spot-a-s1", "spot-a-s2", "spot-b-s1", "spot-b-s2"]
ON_DEMAND = ["on-demand-a-s1", "on-demand-a-s2", "on-demand-b-s1", "on-demand-b-s2"]


@pytest.mark.parametrize(
    ("market", "names"),
    [
        ("spot-then-on-demand", [*SPOT, *ON_DEMAND]),
        ("spot", SPOT),
        ("on-demand", ON_DEMAND),
    ],
)
def test_every_zone_and_type_is_tried_before_the_dearer_market(
    market: str, names: list[str]
) -> None:
    wanted = configuration(market=market, instance_types=["a", "b"], subnet_ids=["s1", "s2"])
    assert [option.name for option in options(wanted)] == names


def test_a_machine_is_locked_down_and_says_whose_it_is(ec2: Any) -> None:
    started = launch(ec2, ATTEMPT, configuration(tags={"team": "vision"}))
    (reservation,) = ec2.describe_instances(InstanceIds=[started.instance_id])["Reservations"]
    (instance,) = reservation["Instances"]
    assert tags.of(instance) == {
        "Name": f"exemplar {ATTEMPT.flow_run_id}",
        "exemplar:pool": "training",
        "exemplar:flow-run": ATTEMPT.flow_run_id,
        "exemplar:attempt": "0",
        "exemplar:deadline": str(1_700_000_000 + 360 * 60),
        "exemplar:user": "ann",
        "exemplar:project": "cats",
        "exemplar:job": "j1",
        "team": "vision",
    }
    asked = request(ATTEMPT, configuration(), next(options(configuration())))
    assert asked["MetadataOptions"] == {"HttpTokens": "required", "HttpPutResponseHopLimit": 1}
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert asked["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] is True
    assert asked["InstanceMarketOptions"]["SpotOptions"]["SpotInstanceType"] == "one-time"


def test_asking_again_for_an_attempt_finds_its_machine(ec2: Any) -> None:
    first = launch(ec2, ATTEMPT, configuration())
    again = launch(ec2, ATTEMPT, configuration())
    assert (again.instance_id, again.where) == (first.instance_id, "started before")


def test_a_request_repeats_its_token_and_no_other_does() -> None:
    spot, on_demand = (
        next(options(configuration(market=market))) for market in ("spot", "on-demand")
    )
    tokens = [
        request(attempt, configuration(), option)["ClientToken"]
        for attempt in (ATTEMPT, Attempt(ATTEMPT.flow_run_id, 1, 1_700_000_100, "training", {}))
        for option in (spot, on_demand)
    ]
    assert len(set(tokens)) == 4
    assert all(len(token) <= 64 for token in tokens)
    assert request(ATTEMPT, configuration(), spot)["ClientToken"] == tokens[0]


def test_what_is_not_to_be_had_is_looked_for_elsewhere(ec2: Any) -> None:
    refusing = Refusing(
        ec2,
        {
            ("g4dn.xlarge", True): "InsufficientInstanceCapacity",
            ("g5.xlarge", True): "MaxSpotInstanceCountExceeded",
            ("g4dn.xlarge", False): "VcpuLimitExceeded",
        },
    )
    wanted = configuration(instance_types=["g4dn.xlarge", "g5.xlarge"])
    assert launch(refusing, ATTEMPT, wanted).where == "on-demand-g5.xlarge"  # type: ignore[arg-type]
    assert len(refusing.asked) == 4


def test_when_nothing_is_to_be_had_every_refusal_is_named(ec2: Any) -> None:
    refusing = Refusing(ec2, {("g4dn.xlarge", True): "InsufficientInstanceCapacity"})
    with pytest.raises(NoCapacity, match=r"spot-g4dn\.xlarge: InsufficientInstanceCapacity"):
        launch(refusing, ATTEMPT, configuration(market="spot"))  # type: ignore[arg-type]


def test_what_a_person_has_to_correct_is_not_tried_elsewhere(ec2: Any) -> None:
    refusing = Refusing(ec2, {("g4dn.xlarge", True): "InvalidAMIID.NotFound"})
    with pytest.raises(LaunchRefused, match=r"InvalidAMIID\.NotFound") as refusal:
        launch(refusing, ATTEMPT, configuration())  # type: ignore[arg-type]
    assert "AMI" in refusal.value.fix
    assert len(refusing.asked) == 1


def test_a_launch_template_says_which_image_and_disk() -> None:
    wanted = configuration(image_id="", launch_template_id="lt-1")
    asked = request(ATTEMPT, wanted, next(options(wanted)))
    assert asked["LaunchTemplate"] == {"LaunchTemplateId": "lt-1", "Version": "$Latest"}
    assert not {"ImageId", "BlockDeviceMappings"} & set(asked)


def test_a_pool_without_image_and_template_is_refused() -> None:
    wanted = configuration(image_id="")
    with pytest.raises(LaunchRefused, match="neither an AMI nor a launch template"):
        request(ATTEMPT, wanted, next(options(wanted)))


def test_a_budget_shortens_the_machines_life() -> None:
    """A spot g4dn.xlarge costs 21 cents an hour."""
    wanted = configuration(max_dollars=0.107, disk_gb=8)
    asked = request(ATTEMPT, wanted, next(options(wanted)))
    assert "--lifetime-seconds 1800 " in asked["UserData"]
    (labels, _) = [tags.of(kind) for kind in asked["TagSpecifications"]]
    assert labels[tags.DEADLINE] == str(1_700_000_000 + 30 * 60)
    assert request(ATTEMPT, configuration(), next(options(wanted)))["UserData"] == user_data(
        configuration()
    )


def test_what_earlier_machines_have_cost_counts() -> None:
    wanted = configuration(max_dollars=0.107)
    spent = replace(ATTEMPT, spent_dollars=0.104)
    with pytest.raises(LaunchRefused, match=r"\$0.10 of the run's \$0.11 are spent"):
        request(spent, wanted, next(options(wanted)))


def test_a_budget_needs_a_price() -> None:
    wanted = configuration(max_dollars=1, instance_types=["x99.mega"])
    with pytest.raises(LaunchRefused, match=r"know no x99\.mega"):
        request(ATTEMPT, wanted, next(options(wanted)))


def test_each_project_has_its_own_instance_profile(ec2: Any) -> None:
    wanted = configuration(instance_profile="exemplar-train_{user}_{project}")
    asked = request(ATTEMPT, wanted, next(options(wanted)))
    assert asked["IamInstanceProfile"] == {"Name": "exemplar-train_ann_cats"}


def test_user_data_is_kept_whole_by_ec2(ec2: Any) -> None:
    wanted = configuration(env={"A": "it's $HOME"})
    started = launch(ec2, ATTEMPT, wanted)
    stored = ec2.describe_instance_attribute(InstanceId=started.instance_id, Attribute="userData")[
        "UserData"
    ]["Value"]
    assert base64.b64decode(stored).decode() == user_data(wanted)


def test_a_start_script_longer_than_ec2_takes_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="16,384"):
        user_data(configuration(setup_script="#" * 17_000))
