"""The template is valid, grants little, and its parts can be taken apart safely."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

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


def statements(template: Template) -> list[dict[str, Any]]:
    documents = [
        policy["PolicyDocument"]
        for role in of_type(template, "AWS::IAM::Role").values()
        for policy in role["Policies"]
    ]
    documents += [
        policy["PolicyDocument"] for policy in of_type(template, "AWS::IAM::ManagedPolicy").values()
    ]
    return [statement for document in documents for statement in document["Statement"]]


def test_cfn_lint_finds_nothing() -> None:
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(TEMPLATE_FILE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_policy_allows_everything_on_anything(template: Template) -> None:
    for statement in statements(template):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, statement
        assert statement["Resource"] != "*", statement
    assert "Resource: '*'" not in TEMPLATE_FILE.read_text(encoding="utf-8")


def test_each_function_has_a_role_of_its_own_and_only_its_log_group(template: Template) -> None:
    functions = of_type(template, "AWS::Lambda::Function")
    roles = [function["Role"]["Fn::GetAtt"][0] for function in functions.values()]
    assert len(set(roles)) == len(functions) == 3
    for function in functions.values():
        group = function["LoggingConfig"]["LogGroup"]["Ref"]
        role = template.resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]
        allowed = json.dumps(role)
        assert json.dumps({"Fn::GetAtt": [group, "Arn"]}) in allowed
        assert allowed.count("logs:PutLogEvents") == 1


def test_only_preflights_and_limits_need_no_token(template: Template) -> None:
    routes = of_type(template, "AWS::ApiGatewayV2::Route").values()
    free = {route["RouteKey"] for route in routes if route["AuthorizationType"] == "NONE"}
    assert free == {"OPTIONS /{proxy+}", "GET /v1/limits"}
    assert all("AuthorizerId" in r for r in routes if r["RouteKey"] not in free)


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
