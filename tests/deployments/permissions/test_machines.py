"""Starting and ending machines: conditions that no emulator's EC2 reports, put to IAM's rules.

The policies are those of the deployed stack; what EC2 would say of a request is written here.
"""

import json
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.deployments.permissions.account import REGION, STACK, Account

ACCOUNT = "000000000000"
MINE = {"aws:RequestTag/exemplar:stack": STACK}
OTHERS = {"aws:RequestTag/exemplar:stack": "other"}
OWN = {"aws:ResourceTag/exemplar:stack": STACK}
ANOTHERS = {"aws:ResourceTag/exemplar:stack": "other"}
STARTING = {"ec2:CreateAction": "RunInstances"}
FROM_MINE = {"ec2:LaunchTemplate": "template"}  # filled in: the stack's own
FROM_ANOTHER = {"ec2:LaunchTemplate": f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/lt-other"}
EC2, LAMBDA = ({"iam:PassedToService": f"{service}.amazonaws.com"} for service in ("ec2", "lambda"))

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


def arn(resource: str, service: str = "ec2") -> str:
    region = "" if service == "iam" else REGION
    account = "" if resource.startswith("image/") else ACCOUNT  # images may be anybody's
    return f"arn:aws:{service}:{region}:{account}:{resource}"


@pytest.mark.parametrize(
    ("who", "may", "action", "resource", "said"),
    [
        ("TrainingPolicy", True, "ec2:RunInstances", "instance/*", MINE | FROM_MINE),
        ("TrainingPolicy", False, "ec2:RunInstances", "instance/*", FROM_MINE),
        ("TrainingPolicy", False, "ec2:RunInstances", "instance/*", OTHERS | FROM_MINE),
        ("TrainingPolicy", False, "ec2:RunInstances", "instance/*", MINE),
        ("TrainingPolicy", False, "ec2:RunInstances", "instance/*", MINE | FROM_ANOTHER),
        ("TrainingPolicy", True, "ec2:RunInstances", "subnet/s", {"ec2:SubnetID": "subnet-1"}),
        ("TrainingPolicy", False, "ec2:RunInstances", "subnet/s", {"ec2:SubnetID": "subnet-2"}),
        ("TrainingPolicy", True, "ec2:RunInstances", "image/ami-1", FROM_MINE),
        ("TrainingPolicy", False, "ec2:RunInstances", "image/ami-1", {}),
        ("TrainingPolicy", False, "ec2:RunInstances", "security-group/sg-other", FROM_MINE),
        ("TrainingPolicy", True, "ec2:CreateTags", "instance/i-1", STARTING),
        ("TrainingPolicy", False, "ec2:CreateTags", "instance/i-1", {}),
        ("TrainingPolicy", True, "ec2:TerminateInstances", "instance/i-1", OWN),
        ("TrainingPolicy", False, "ec2:TerminateInstances", "instance/i-1", ANOTHERS),
        ("TrainingPolicy", False, "ec2:TerminateInstances", "instance/i-1", {}),
        ("ReaperRole", True, "ec2:TerminateInstances", "instance/i-1", OWN),
        ("ReaperRole", False, "ec2:TerminateInstances", "instance/i-1", ANOTHERS),
        ("ReaperRole", False, "ec2:RunInstances", "instance/*", MINE | FROM_MINE),
        ("DeployerPolicy", False, "ec2:RunInstances", "instance/*", MINE | FROM_MINE),
        ("TrainingPolicy", True, "iam:PassRole", f"role/{STACK}/trainers/x", EC2),
        ("TrainingPolicy", False, "iam:PassRole", f"role/{STACK}/trainers/x", LAMBDA),
        ("TrainingPolicy", False, "iam:PassRole", f"role/{STACK}/inference/x", EC2),
        ("TrainingPolicy", False, "iam:PassRole", f"role/{STACK}-ApiRole-1", EC2),
        ("DeployerPolicy", False, "iam:PassRole", f"role/{STACK}/inference/x", EC2),
        ("DeployerPolicy", False, "iam:PassRole", f"role/{STACK}/trainers/x", LAMBDA),
    ],
)  # fmt: skip
def test_conditions(
    account: Account, who: str, may: bool, action: str, resource: str, said: dict[str, str]
) -> None:
    own = account.outputs.trainer_template_id
    if said.get("ec2:LaunchTemplate") == "template":
        said = said | {"ec2:LaunchTemplate": arn(f"launch-template/{own}")}
    request = EvalContext(
        principal_arn=arn(f"role/{who}", "iam"),
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=action,
        resource_arn=arn(resource, action.partition(":")[0]),
        region=REGION,
        service_context={name.lower(): value for name, value in said.items()},
    )
    decision = evaluate(request, [parse_policy_document(document(account, who))]).decision
    assert (decision == "Allow") is may, decision


def document(account: Account, who: str) -> Any:
    """As IAM has it stored."""
    iam, name = account.client("iam"), account.resources[who]
    if who.endswith("Role"):
        (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
        found = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    else:
        found = iam.get_policy_version(PolicyArn=name, VersionId="v1")["PolicyVersion"]["Document"]
    return json.dumps(found)
