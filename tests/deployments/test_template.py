"""The template is valid, grants little, and its parts can be taken apart safely."""

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from contracts.quotas import Quotas
from deployments.aws.account import Account
from deployments.aws.options import DeployOptions
from deployments.aws.system import Plan
from deployments.template import TEMPLATE_FILE, Template


@pytest.fixture(scope="module")
def template() -> Template:
    return Template.load()


def of_type(template: Template, kind: str) -> dict[str, Any]:
    return {
        name: definition["Properties"]
        for name, definition in template.resources.items()
        if definition["Type"] == kind
    }


def policies(template: Template) -> dict[str, dict[str, Any]]:
    """Policy documents by the role or managed policy that they belong to."""
    found = {
        name: role["Policies"][0]["PolicyDocument"]
        for name, role in of_type(template, "AWS::IAM::Role").items()
    }
    return found | {
        name: policy["PolicyDocument"]
        for name, policy in of_type(template, "AWS::IAM::ManagedPolicy").items()
    }


def statements(template: Template) -> list[tuple[str, dict[str, Any]]]:
    return [
        (owner, statement)
        for owner, document in policies(template).items()
        for statement in document["Statement"]
    ]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# What AWS grants on all resources or on none: the service's authorization reference names no
# resource type for these, so a narrower resource would refuse the call.
KNOWN_ON_ANYTHING = {
    ("TrainingPolicy", "ec2:DescribeInstances"),
    ("TrainingPolicy", "ec2:DescribeInstanceTypeOfferings"),
    ("TrainingPolicy", "ec2:DescribeSpotPriceHistory"),
    ("TrainingPolicy", "ec2:DescribeSubnets"),
    ("ReaperRole", "ec2:DescribeInstances"),
    ("ImageBuildRole", "ecr:GetAuthorizationToken"),
}

# Lambda and EC2 take a role only from a caller of the role's own account who may pass it, so no
# stranger can have them assume it, and neither promises to send aws:SourceAccount.
TRUSTED_WITHOUT_CONDITION = {"lambda.amazonaws.com"}


def test_cfn_lint_finds_nothing() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(TEMPLATE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_action_has_a_wildcard_and_resources_are_named(template: Template) -> None:
    anything = set()
    for owner, statement in statements(template):
        assert statement["Effect"] == "Allow"
        assert "NotAction" not in statement
        assert "NotResource" not in statement
        for action in listed(statement["Action"]):
            assert "*" not in action, statement
        if "*" in listed(statement["Resource"]):
            assert statement["Sid"].endswith("KnowsNoResources")
            anything |= {(owner, action) for action in listed(statement["Action"])}
    assert anything == KNOWN_ON_ANYTHING


def test_named_resources_belong_to_this_stack(template: Template) -> None:
    """Each resource names the stack, one of its resources, or is narrowed by a condition."""
    for _, statement in statements(template):
        for resource in listed(statement["Resource"]):
            text = json.dumps(resource)
            own = {"AWS::StackName", "CodeBucket"} | set(template.resources)
            is_own = any(f"${{{name}" in text or f'"{name}"' in text for name in own)
            assert is_own or "Condition" in statement or resource == "*", statement


def test_managed_policies_fit_their_size(template: Template) -> None:
    """IAM counts 6,144 characters without white space, after substitution."""
    values = {"AWS::Partition": "aws-us-gov", "AWS::Region": "ap-southeast-1"}
    values |= {"AWS::AccountId": "1" * 12, "AWS::StackName": "s" * 20}
    for name in of_type(template, "AWS::IAM::ManagedPolicy"):
        text = json.dumps(policies(template)[name], separators=(",", ":"))
        for variable, value in values.items():
            text = text.replace(f"${{{variable}}}", value)
        assert len(text) < 6_144, name


def test_roles_trust_one_service_each(template: Template) -> None:
    for role in of_type(template, "AWS::IAM::Role").values():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]
        assert (
            statement["Principal"]["Service"] in TRUSTED_WITHOUT_CONDITION
            or "aws:SourceAccount" in statement["Condition"]["StringEquals"]
        )


def test_services_may_call_functions_only_for_this_account(template: Template) -> None:
    for permission in of_type(template, "AWS::Lambda::Permission").values():
        source = json.dumps(permission["SourceArn"])
        assert "${AWS::AccountId}" in source or permission["SourceAccount"]


# Whoever makes roles, and the upper bound of what they make.
BOUNDARIES = {"TrainingPolicy": "TrainerBoundary", "DeployerPolicy": "InferenceBoundary"}


def test_projects_roles_cannot_outgrow_their_boundary(template: Template) -> None:
    """Whoever makes roles could otherwise make one that may do everything."""
    for owner, statement in statements(template):
        for action in listed(statement["Action"]):
            if action in {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}:
                condition = statement["Condition"]["StringEquals"]
                path = "trainers" if owner == "TrainingPolicy" else "inference"
                assert json.dumps(statement["Resource"]).endswith(f'/{path}/*"}}')
                assert condition["iam:PermissionsBoundary"] == {"Ref": BOUNDARIES[owner]}
            assert action not in {"iam:PutRolePermissionsBoundary", "iam:CreatePolicyVersion"}
            assert action != "iam:DeleteRolePermissionsBoundary"
            if action == "iam:PassRole":
                assert "iam:PassedToService" in statement["Condition"]["StringEquals"], owner


def test_the_boundary_keeps_trainers_from_tokens(template: Template) -> None:
    (table,) = [
        statement
        for owner, statement in statements(template)
        if owner == "TrainerBoundary" and "dynamodb:GetItem" in statement["Action"]
    ]
    allowed = table["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]
    assert allowed == ["PROJECT#*", "USER#*"]
    # ForAllValues holds for a request without keys; a scan is one.
    assert table["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}


def test_machines_start_only_tagged_from_the_template_in_the_subnets(template: Template) -> None:
    starts = [s for _, s in statements(template) if s["Action"] == "ec2:RunInstances"]
    for statement in starts:
        text = json.dumps(statement["Condition"])
        assert "ec2:LaunchTemplate" in text or "ec2:SubnetID" in text
    (machines,) = [s for s in starts if ":instance/*" in json.dumps(s["Resource"])]
    assert machines["Condition"]["StringEquals"] == {
        "aws:RequestTag/exemplar:stack": {"Ref": "AWS::StackName"}
    }
    ends = [s for _, s in statements(template) if s["Action"] == "ec2:TerminateInstances"]
    assert len(ends) == 2
    for statement in ends:
        assert statement["Condition"]["StringEquals"] == {
            "aws:ResourceTag/exemplar:stack": {"Ref": "AWS::StackName"}
        }


def test_machines_cannot_be_called_and_end_when_they_shut_down(template: Template) -> None:
    for group in of_type(template, "AWS::EC2::SecurityGroup").values():
        assert "SecurityGroupIngress" not in group
    assert "AWS::EC2::SecurityGroupIngress" not in TEMPLATE_FILE.read_text(encoding="utf-8")
    (machine,) = of_type(template, "AWS::EC2::LaunchTemplate").values()
    data = machine["LaunchTemplateData"]
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    (disk,) = data["BlockDeviceMappings"]
    assert disk["Ebs"]["Encrypted"] is True
    assert disk["Ebs"]["DeleteOnTermination"] is True
    assert disk["Ebs"]["VolumeType"] == "gp3"
    assert "IamInstanceProfile" not in data  # each project brings its own


def test_buckets_are_private_encrypted_and_refuse_plain_http(template: Template) -> None:
    buckets = of_type(template, "AWS::S3::Bucket")
    for bucket in buckets.values():
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    guarded = {p["Bucket"]["Ref"]: p for p in of_type(template, "AWS::S3::BucketPolicy").values()}
    assert set(guarded) == set(buckets)
    for policy in guarded.values():
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_page_at_the_apis_own_address_may_send_files_to_the_bucket(template: Template) -> None:
    rules = template.resources["DataBucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    (chosen, own) = (rule["AllowedOrigins"] for rule in rules)
    assert chosen == {"Ref": "AllowedOrigins"}
    assert own == [{"Fn::Sub": "https://*.execute-api.${AWS::Region}.${AWS::URLSuffix}"}]


def test_the_page_is_answered_by_a_role_that_may_only_log(template: Template) -> None:
    assert {
        action
        for owner, statement in statements(template)
        if owner == "SiteRole"
        for action in listed(statement["Action"])
    } == {"logs:CreateLogStream", "logs:PutLogEvents"}


def test_lifecycle_expires_what_is_tagged_and_nothing_else(template: Template) -> None:
    rules = template.resources["DataBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    for rule in rules:
        if "ExpirationInDays" in rule:
            (tag,) = rule["TagFilters"]
            assert tag["Key"] == "expires"


def test_every_function_has_a_log_group_with_retention(template: Template) -> None:
    groups = of_type(template, "AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] for group in groups.values())
    functions = of_type(template, "AWS::Lambda::Function")
    used = {f["LoggingConfig"]["LogGroup"]["Ref"] for f in functions.values()}
    builds = of_type(template, "AWS::CodeBuild::Project").values()
    used |= {b["LogsConfig"]["CloudWatchLogs"]["GroupName"]["Ref"] for b in builds}
    assert used == set(groups)


def test_every_alarm_tells_somebody(template: Template) -> None:
    alarms = of_type(template, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 5
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [{"Ref": "AlertTopic"}]
    assert {template.resources[name]["Condition"] for name in alarms} == {
        "Alerts",
        "AlertsOnMachines",
    }


def test_each_function_has_a_role_of_its_own_and_only_its_log_group(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert len(set(roles)) == len(functions) == 5
    for function in functions.values():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        role = template.resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]
        allowed = json.dumps(role)
        assert json.dumps({"Fn::GetAtt": [group, "Arn"]}) in allowed
        assert allowed.count("logs:PutLogEvents") == 1


def test_only_preflights_page_limits_and_description_need_no_token(
    template: Template,
) -> None:
    routes = of_type(template, "AWS::ApiGatewayV2::Route").values()
    free = {route["RouteKey"] for route in routes if route["AuthorizationType"] == "NONE"}
    page = {"GET /", "GET /page/{proxy+}"}
    assert free == page | {"OPTIONS /{proxy+}", "GET /v1/limits", "GET /v1/openapi.json"}
    assert all("AuthorizerId" in r for r in routes if r["RouteKey"] not in free)


def test_every_quota_reaches_the_functions_that_keep_it(template: Template) -> None:
    names = {f"EXEMPLAR_QUOTA_{field.name.upper()}" for field in fields(Quotas)}
    functions = of_type(template, "AWS::Lambda::Function")
    for function in ("ApiFunction", "IngestFunction"):
        variables = functions[function]["Environment"]["Variables"]
        assert {name for name in variables if name.startswith("EXEMPLAR_QUOTA_")} == names
    options = DeployOptions(quota_projects=1, quota_stored_gib=2, quota_jobs=3)
    options = replace(options, quota_trainings_per_day=4)
    chosen = Plan(options, Account(boto3.Session(), "1", "eu-west-1", "me"), None).parameters()
    quotas = {name: value for name, value in chosen.items() if name.startswith("Quota")}
    assert sorted(quotas.values()) == ["1", "2", "3", "4"]
    assert set(quotas) <= set(template.document["Parameters"])


def test_no_account_region_or_partition_is_written_down() -> None:
    text = TEMPLATE_FILE.read_text(encoding="utf-8")
    assert "arn:aws:" not in text
    assert "us-east-1" not in text
    assert "000000000000" not in text


def test_data_refers_to_nothing_so_repairs_never_touch_it(template: Template) -> None:
    data = {resource.logical_id for resource in template.retained()}
    assert data == {"DataBucket", "StateTable"}
    for name in set(template.resources) - data:
        assert not template.dependents({name}) & data
    for logical_id in data:
        definition = template.resources[logical_id]
        assert definition["DeletionPolicy"] == definition["UpdateReplacePolicy"] == "Retain"


def test_dependents_follow_references_at_any_distance(template: Template) -> None:
    found = template.dependents({"ApiRole"})
    assert {"ApiFunction", "HttpIntegration", "DefaultRoute", "ApiPermission"} <= found
    assert not found & {"HttpApi", "IngestFunction", "InferenceLayer"}


def test_subsets_refer_to_nothing_outside(template: Template) -> None:
    kept = set(template.resources) - template.dependents({"HttpApi"})
    document = json.loads(template.only(kept))
    assert set(document["Resources"]) == kept
    assert not {"ApiId", "ApiUrl"} & set(document["Outputs"])
    assert {"BucketName", "InferenceLayerArn"} <= set(document["Outputs"])


def test_names_of_retained_data_are_those_that_cloudformation_builds(template: Template) -> None:
    variables = {"AWS::StackName": "s", "AWS::AccountId": "1", "AWS::Region": "eu-west-1"}
    names = {r.logical_id: r.physical_id for r in template.retained(variables)}
    assert names == {"DataBucket": "s-data-1-eu-west-1", "StateTable": "s-state"}
