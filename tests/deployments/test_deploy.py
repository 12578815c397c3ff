"""The whole stack on the emulator: deployed, called, deployed again, damaged and repaired."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from contracts.archive import write_zip
from contracts.errors import ExemplarError, InvalidName
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.packaging import Archive, Builder
from deployments.repair import Probe
from deployments.stack import Stack
from tests.emulator_process import call, emulator, free_port, until

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

# Stand-ins with the real names, so that this tests the template and not the handlers.
HANDLERS = {
    "lambdas/api.py": b"""
def handler(event, context):
    lambda_ = (event["requestContext"].get("authorizer") or {}).get("lambda") or {}
    return {"statusCode": 200, "body": lambda_.get("user", "nobody")}
""",
    "lambdas/authorizer.py": b"""
def handler(event, context):
    token = (event.get("identitySource") or [""])[0]
    return {"isAuthorized": token == "Bearer right", "context": {"user": "ann"}}
""",
    "lambdas/site.py": b"""
def handler(event, context):
    return {"statusCode": 200, "body": "page " + event["rawPath"]}
""",
    "lambdas/ingest.py": b"""
import os, boto3
def handler(event, context):
    record = event["Records"][0]["s3"]
    boto3.client("dynamodb").put_item(
        TableName=os.environ["EXEMPLAR_TABLE"],
        Item={"pk": {"S": "seen"}, "sk": {"S": record["object"]["key"]}},
    )
""",
}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with emulator(tmp_path_factory.mktemp("emulator"), port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def session(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return boto3.Session("test", "test", region_name="us-east-1")


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Archive]:
    folder = tmp_path_factory.mktemp("zips")
    layer = [("python/shared.py", b"")]
    return {
        "control": archive(folder / "control.zip", list(HANDLERS.items())),
        "layer": archive(folder / "layer.zip", layer),
    }


def archive(path: Path, entries: list[tuple[str, bytes]]) -> Archive:
    return Archive(path, write_zip(entries, path))


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    archives: dict[str, Archive],
    monkeypatch: pytest.MonkeyPatch,
) -> DeploySettings:
    """A stack of its own for each test; building the real zips is tested beside packaging."""
    monkeypatch.setattr(Builder, "control_zip", lambda self: archives["control"])
    monkeypatch.setattr(Builder, "site_zip", lambda self: archives["control"])
    monkeypatch.setattr(Builder, "inference_layer", lambda self: archives["layer"])
    stack = f"t{abs(hash(request.node.name)) % 10**8}"
    return DeploySettings(tmp_path, "http://127.0.0.1:1/api", stack=stack)


def api(endpoint: str, outputs: StackOutputs) -> str:
    return f"{endpoint}/_aws/execute-api/{outputs.api_id}/$default"


def seen(session: boto3.Session, outputs: StackOutputs) -> set[str]:
    found = session.client("dynamodb").scan(TableName=outputs.table)["Items"]
    return {item["sk"]["S"] for item in found}


def test_deployed_api_asks_the_authorizer(
    endpoint: str, session: boto3.Session, settings: DeploySettings
) -> None:
    outputs = deploy(settings, session)
    base = api(endpoint, outputs)
    assert call(f"{base}/v1/projects", Authorization="Bearer right") == (200, b"ann")
    assert call(f"{base}/v1/projects", Authorization="Bearer wrong")[0] == 403
    assert call(f"{base}/v1/projects")[0] == 401
    assert call(f"{base}/v1/limits") == (200, b"nobody")
    assert call(f"{base}/") == (200, b"page /")
    assert call(f"{base}/page/app.js") == (200, b"page /page/app.js")


def test_browsers_of_other_origins_get_no_permission(
    endpoint: str, session: boto3.Session, settings: DeploySettings
) -> None:
    outputs = deploy(settings, session)

    def preflight(origin: str) -> str | None:
        request = urllib.request.Request(
            f"{api(endpoint, outputs)}/v1/projects",
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            method="OPTIONS",
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return str(answer.headers["Access-Control-Allow-Origin"])
        except urllib.error.HTTPError as error:
            error.close()
            return None

    assert preflight("http://127.0.0.1:8000") == "http://127.0.0.1:8000"
    assert preflight("https://evil.example") is None


def test_a_dropped_manifest_reaches_ingest_and_other_objects_do_not(
    session: boto3.Session, settings: DeploySettings
) -> None:
    outputs, s3 = deploy(settings, session), session.client("s3")
    s3.put_object(Bucket=outputs.bucket, Key="users/ann/cats/objects/other", Body=b"{}")
    drop = "users/ann/cats/inbox/u1/manifest.json"
    s3.put_object(Bucket=outputs.bucket, Key=drop, Body=b"{}")
    until(lambda: bool(seen(session, outputs)))
    assert seen(session, outputs) == {drop}


def test_bucket_and_functions_are_as_the_template_says(
    session: boto3.Session, settings: DeploySettings
) -> None:
    outputs = deploy(settings, session)
    s3, functions = session.client("s3"), session.client("lambda")
    block = s3.get_public_access_block(Bucket=outputs.bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    assert s3.get_bucket_encryption(Bucket=outputs.bucket)
    found = functions.get_function_configuration(FunctionName=f"{settings.stack}-api")
    variables = found["Environment"]["Variables"]
    assert variables["EXEMPLAR_TABLE"] == outputs.table
    assert variables["EXEMPLAR_BUCKET"] == outputs.bucket
    assert variables["EXEMPLAR_INGEST_FUNCTION"] == outputs.ingest_function
    assert variables["PREFECT_API_URL"] == settings.prefect_api_url
    layer = functions.get_layer_version_by_arn(Arn=outputs.inference_layer_arn)
    assert layer["Content"]["CodeSize"] > 0


def test_a_stack_that_trains_has_a_launch_template_and_a_reaper_that_runs(
    session: boto3.Session, settings: DeploySettings
) -> None:
    network = {"Training": "ec2", "TrainingVpc": "vpc-0a1b2c3d", "TrainingSubnets": "subnet-1"}
    told: list[str] = []
    outputs = deploy(replace(settings, parameters=network), session, told.append)
    assert outputs.trainer_template_id.startswith("lt-")
    assert outputs.trainer_security_group_id.startswith("sg-")
    assert ":policy/" in outputs.trainer_boundary_arn
    assert outputs.trainer_secret_arn
    assert any("CREATE_COMPLETE  ReaperFunction" in line for line in told)
    assert len(told) == len(set(told))
    told.clear()
    assert not deploy(replace(settings, parameters=network), session, told.append).has_changed
    assert told == []
    versions = session.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=outputs.trainer_template_id
    )["LaunchTemplateVersions"]
    assert versions[0]["LaunchTemplateData"]["ImageId"].startswith("ami-")
    variables = session.client("lambda").get_function_configuration(
        FunctionName=f"{settings.stack}-reaper"
    )["Environment"]["Variables"]
    assert variables["EXEMPLAR_MAX_TRAINING_HOURS"] == "24"
    without = deploy(settings, session)
    assert without.trainer_template_id == ""


def test_deploying_again_changes_nothing_and_new_code_changes_the_functions_only(
    session: boto3.Session,
    settings: DeploySettings,
    archives: dict[str, Archive],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = deploy(settings, session)
    assert first.has_changed
    assert deploy(settings, session) == replace(first, has_changed=False)
    newer = HANDLERS | {"lambdas/extra.py": b""}
    control = archive(tmp_path / "newer.zip", list(newer.items()))
    monkeypatch.setattr(Builder, "control_zip", lambda self: control)
    assert deploy(settings, session) == first


@pytest.mark.parametrize("lost", ["ingest", "table http", "bucket", "api authorizer ingest layer"])
def test_what_got_lost_is_made_again_and_data_stays(
    endpoint: str, session: boto3.Session, settings: DeploySettings, lost: str
) -> None:
    outputs, s3 = deploy(settings, session), session.client("s3")
    table = session.client("dynamodb")
    table.put_item(TableName=outputs.table, Item={"pk": {"S": "kept"}, "sk": {"S": "row"}})
    s3.put_object(Bucket=outputs.bucket, Key="users/ann/cats/objects/kept", Body=b"kept")
    for what in lost.split():
        lose(session, outputs, what)
    repaired = deploy(settings, session)
    assert repaired.has_changed
    stack = Stack(session.client("cloudformation"), settings.stack)
    assert Probe(session, settings.region).missing(stack.resources()) == []
    assert call(f"{api(endpoint, repaired)}/v1/x", Authorization="Bearer right") == (200, b"ann")
    if "table" not in lost:
        assert "row" in seen(session, repaired)
    if lost != "bucket":
        kept = s3.get_object(Bucket=repaired.bucket, Key="users/ann/cats/objects/kept")
        assert kept["Body"].read() == b"kept"
    drop = "users/ann/cats/inbox/u2/manifest.json"
    s3.put_object(Bucket=repaired.bucket, Key=drop, Body=b"{}")
    until(lambda: drop in seen(session, repaired))
    assert not deploy(settings, session).has_changed


def lose(session: boto3.Session, outputs: StackOutputs, what: str) -> None:
    functions, s3 = session.client("lambda"), session.client("s3")
    if what == "table":
        session.client("dynamodb").delete_table(TableName=outputs.table)
    elif what == "bucket":
        s3.delete_object(Bucket=outputs.bucket, Key="users/ann/cats/objects/kept")
        s3.delete_bucket(Bucket=outputs.bucket)
    elif what == "http":
        session.client("apigatewayv2").delete_api(ApiId=outputs.api_id)
    elif what == "layer":
        name, version = outputs.inference_layer_arn.split(":")[-2:]
        functions.delete_layer_version(LayerName=name, VersionNumber=int(version))
    else:
        functions.delete_function(FunctionName=f"{outputs.stack}-{what}")


def test_a_new_stack_takes_over_the_data_of_the_one_before(
    endpoint: str, session: boto3.Session, settings: DeploySettings
) -> None:
    before, s3 = deploy(settings, session), session.client("s3")
    s3.put_object(Bucket=before.bucket, Key="users/ann/cats/objects/kept", Body=b"kept")
    table = session.client("dynamodb")
    table.put_item(TableName=before.table, Item={"pk": {"S": "kept"}, "sk": {"S": "row"}})
    Stack(session.client("cloudformation"), settings.stack).delete()
    after = deploy(settings, session)
    assert (after.bucket, after.table) == (before.bucket, before.table)
    assert s3.get_object(Bucket=after.bucket, Key="users/ann/cats/objects/kept")
    drop = "users/ann/cats/inbox/u1/manifest.json"
    s3.put_object(Bucket=after.bucket, Key=drop, Body=b"{}")
    until(lambda: drop in seen(session, after))
    assert "row" in seen(session, after)
    assert call(f"{api(endpoint, after)}/v1/x", Authorization="Bearer right") == (200, b"ann")


def test_objects_outlive_a_killed_emulator_that_forgot_the_stack(
    settings: DeploySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    storage = {
        "PERSIST_STATE": "1",
        "STATE_DIR": str(tmp_path / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(tmp_path / "objects"),
    }
    session = boto3.Session("test", "test", region_name="us-east-1")
    with emulator(tmp_path, port, **storage) as server:
        before, s3 = deploy(settings, session), session.client("s3")
        s3.put_object(Bucket=before.bucket, Key="users/ann/cats/objects/kept", Body=b"kept")
        server.kill()
    with emulator(tmp_path, port, **storage):
        after = deploy(settings, session)
        kept = s3.get_object(Bucket=before.bucket, Key="users/ann/cats/objects/kept")
        assert kept["Body"].read() == b"kept"
        drop = "users/ann/cats/inbox/u1/manifest.json"
        s3.put_object(Bucket=after.bucket, Key=drop, Body=b"{}")
        until(lambda: drop in seen(session, after))
        assert not deploy(settings, session).has_changed


def test_a_failed_creation_says_why_and_does_not_block_the_next(
    session: boto3.Session, settings: DeploySettings
) -> None:
    stack = Stack(session.client("cloudformation"), settings.stack)
    broken: dict[str, Any] = {
        "Resources": {
            "First": {"Type": "AWS::SQS::Queue", "Properties": {}},
            "Second": {
                "Type": "AWS::SQS::Queue",
                "DependsOn": "First",
                "Properties": {"QueueName": "not-fifo", "FifoQueue": True},
            },
        }
    }
    with pytest.raises(ExemplarError, match="Second") as caught:
        stack.apply(json.dumps(broken), {})
    assert any("FIFO" in reason for reason in caught.value.details)
    assert stack.status() == "ROLLBACK_COMPLETE"
    assert deploy(settings, session).has_changed


def test_stack_names_that_resources_could_not_bear_are_refused(tmp_path: Path) -> None:
    for name in ["", "Url", "url-shop", "a_b", "a" * 21, "1a", "-a", "a-", "a\n"]:
        with pytest.raises(InvalidName, match="stack name"):
            DeploySettings(tmp_path, "http://127.0.0.1:1/api", stack=name)


def test_a_stack_with_large_models_builds_images_that_only_its_functions_take(
    session: boto3.Session, settings: DeploySettings
) -> None:
    outputs = deploy(replace(settings, parameters={"LargeModels": "images"}), session)
    repository = session.client("ecr").describe_repositories(
        repositoryNames=[outputs.image_repository]
    )["repositories"][0]
    assert repository["imageTagMutability"] == "IMMUTABLE"
    (project,) = session.client("codebuild").batch_get_projects(names=[outputs.image_builder])[
        "projects"
    ]
    (variable,) = project["environment"]["environmentVariables"]
    assert variable["name"] == "REPOSITORY"
    assert variable["value"].endswith(f"/{outputs.image_repository}")
    commands = yaml.safe_load(project["source"]["buildspec"])["phases"]["build"]["commands"]
    assert [command.split("|")[-1].split()[:2] for command in commands] == [
        ["docker", "login"],
        ["docker", "build"],
        ["docker", "push"],
    ]
    assert ":role/" in outputs.forward_role_arn
    assert ":policy/" in outputs.large_model_policy_arn
    assert not deploy(settings, session).image_builder
