"""A trainer's credentials reach its own project's data and nobody else's, enforced by IAM."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from contracts.errors import Conflict
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job
from lambdas.state import ProjectRecord, State
from tasks import clients, training_identity
from tasks.settings import settings
from tasks.training_identity import delete_training_identity, ensure_training_identity
from tests.emulator_process import emulator, free_port

CATS, DOGS, BOB = Project("ann", "cats"), Project("ann", "dogs"), Project("bob", "cats")
BUCKET, CODE, TABLE = "exemplar-data", "exemplar-code", "exemplar-state"
REGION = "us-east-1"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    with emulator(tmp_path_factory.mktemp("emulator"), port, "tests.authorizing_emulator"):
        yield f"http://127.0.0.1:{port}"


def session_of(endpoint: str, *credentials: str) -> Any:
    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=credentials[0],
            aws_secret_access_key=credentials[1],
            aws_session_token=credentials[2] if len(credentials) > 2 else None,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    return client


@pytest.fixture(scope="module")
def root(endpoint: str) -> Any:
    """Data of three projects, and what is not theirs, as the account's owner put it there."""
    client = session_of(endpoint, "test", "test")
    s3, table = client("s3"), client("dynamodb")
    for bucket in (BUCKET, CODE):
        s3.create_bucket(Bucket=bucket)
    for user_project in ("ann/cats", "ann/dogs", "bob/cats"):
        s3.put_object(Bucket=BUCKET, Key=f"users/{user_project}/objects/one", Body=b"picture")
    s3.put_object(Bucket=BUCKET, Key="weights/net.pth", Body=b"weights")
    s3.put_object(Bucket=CODE, Key="trainer/x/wheel", Body=b"wheel")
    s3.put_object(Bucket=CODE, Key="code/x.zip", Body=b"zip")
    table.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    return client


@pytest.fixture(scope="module")
def boundary(root: Any) -> str:
    statement = {"Effect": "Allow", "Action": ["s3:*", "dynamodb:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    policy = root("iam").create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]
    return str(policy["Arn"])


@pytest.fixture(scope="module")
def secret(root: Any) -> str:
    return str(root("secretsmanager").create_secret(Name="trainers", SecretString="{}")["ARN"])


@pytest.fixture
def trainer_settings(
    endpoint: str, boundary: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[pytest.MonkeyPatch]:
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EXEMPLAR_PLACE": "local",
        "EXEMPLAR_BUCKET": BUCKET,
        "EXEMPLAR_CODE_BUCKET": CODE,
        "EXEMPLAR_TABLE": TABLE,
        "EXEMPLAR_INFERENCE_ROLE_ARN": "arn:aws:iam::000000000000:role/inference",
        "EXEMPLAR_INFERENCE_LAYER_ARN": "arn:aws:lambda:us-east-1:000000000000:layer:x:1",
        "EXEMPLAR_TRAINER_BOUNDARY_ARN": boundary,
        "EXEMPLAR_TRAINER_SECRET_ARN": secret,
    }.items():
        monkeypatch.setenv(name, value)
    for cached in (settings, clients.session):
        cached.cache_clear()
    yield monkeypatch
    for cached in (settings, clients.session):
        cached.cache_clear()


def assume(endpoint: str, root: Any, project: Project) -> Any:
    """Clients with the role's credentials. EC2 would hand them to the machine; here STS does."""
    name = ensure_training_identity(project)
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    root("iam").update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(trust))
    arn = root("iam").get_role(RoleName=name)["Role"]["Arn"]
    got = root("sts").assume_role(RoleArn=arn, RoleSessionName="machine")["Credentials"]
    return session_of(endpoint, got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])


def refused(call: Any, **arguments: Any) -> bool:
    with pytest.raises(ClientError, match="AccessDenied"):
        call(**arguments)
    return True


def test_a_trainer_reaches_its_own_objects_only(
    endpoint: str, root: Any, trainer_settings: Any
) -> None:
    s3 = assume(endpoint, root, CATS)("s3")
    own = {"Bucket": BUCKET, "Key": "users/ann/cats/objects/one"}
    assert s3.get_object(**own)["Body"].read() == b"picture"
    s3.put_object(Bucket=BUCKET, Key="users/ann/cats/bundles/new", Body=b"model")
    assert s3.get_object(Bucket=BUCKET, Key="weights/net.pth")
    assert s3.get_object(Bucket=CODE, Key="trainer/x/wheel")
    for key in ("users/ann/dogs/objects/one", "users/bob/cats/objects/one"):
        assert refused(s3.get_object, Bucket=BUCKET, Key=key)
        assert refused(s3.put_object, Bucket=BUCKET, Key=key, Body=b"")
        assert refused(s3.delete_object, Bucket=BUCKET, Key=key)
    assert refused(s3.put_object, Bucket=BUCKET, Key="weights/net.pth", Body=b"")
    assert refused(s3.get_object, Bucket=CODE, Key="code/x.zip")
    assert refused(s3.put_object, Bucket=CODE, Key="trainer/x/wheel", Body=b"")


def test_a_trainer_lists_its_own_prefix_only(
    endpoint: str, root: Any, trainer_settings: Any
) -> None:
    s3 = assume(endpoint, root, CATS)("s3")
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="users/ann/cats/")["KeyCount"] >= 1
    assert refused(s3.list_objects_v2, Bucket=BUCKET, Prefix="users/bob/")
    assert refused(s3.list_objects_v2, Bucket=BUCKET)


def test_a_trainer_writes_its_own_partition_and_reads_its_users_projects(
    endpoint: str, root: Any, trainer_settings: Any
) -> None:
    own, table = (
        State(assume(endpoint, root, CATS)("dynamodb"), TABLE),
        State(root("dynamodb"), TABLE),
    )
    for project in (CATS, DOGS, BOB):
        table.create_project(ProjectRecord(project, Kind.IMAGE, ("a", "b")))
        table.create_job(Job(project, "j1", "u1"))
    table.put_token("tok", "ann", 2e9)
    assert own.project(CATS)
    assert own.update_job(CATS, "j1", progress=0.5)
    assert own.jobs(CATS)[0].progress == 0.5
    for project in (DOGS, BOB):
        assert refused(own.job, project=project, job_id="j1")
        assert refused(own.jobs, project=project)
        assert refused(own.update_job, project=project, job_id="j1", progress=0.9)
    assert refused(own.project, project=BOB)
    assert refused(own.update_project, project=CATS, endpoint="https://elsewhere.example")
    assert refused(own.user_of_token, token="tok")


def test_a_trainer_scans_nothing(endpoint: str, root: Any, trainer_settings: Any) -> None:
    assert refused(assume(endpoint, root, CATS)("dynamodb").scan, TableName=TABLE)


def test_the_boundary_holds_whatever_the_role_says(
    endpoint: str, root: Any, trainer_settings: Any
) -> None:
    """The test's boundary grants no secrets, although the project's policy does."""
    secrets = assume(endpoint, root, CATS)("secretsmanager")
    arn = settings().trainer_secret_arn
    assert refused(secrets.get_secret_value, SecretId=arn)


def test_it_is_made_once_and_completed_after_a_kill_at_any_step(
    root: Any, trainer_settings: Any
) -> None:
    iam, name = root("iam"), ensure_training_identity(DOGS)
    assert name == DOGS.trainer_role_name("exemplar")
    assert ensure_training_identity(DOGS) == name
    role = iam.get_role(RoleName=name)["Role"]
    assert role["Path"] == training_identity.role_path("exemplar")
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == settings().trainer_boundary_arn
    losses = (
        lambda: iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name),
        lambda: iam.delete_instance_profile(InstanceProfileName=name),
        lambda: iam.delete_role_policy(RoleName=name, PolicyName="project"),
        lambda: iam.delete_role(RoleName=name),
    )
    for steps in range(1, len(losses) + 1):
        for lose in losses[:steps]:
            lose()
        assert ensure_training_identity(DOGS) == name
        profile = iam.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]
        assert [role["RoleName"] for role in profile["Roles"]] == [name]
        assert iam.list_role_policies(RoleName=name)["PolicyNames"] == ["project"]


def test_a_strangers_role_of_that_name_is_not_taken_over(root: Any, trainer_settings: Any) -> None:
    strange = Project("eve", "cats")
    root("iam").create_role(
        RoleName=strange.trainer_role_name("exemplar"), Path="/", AssumeRolePolicyDocument="{}"
    )
    with pytest.raises(Conflict, match="has to be at /exemplar/trainers/ below"):
        ensure_training_identity(strange)
    names = root("iam").list_role_policies(RoleName=strange.trainer_role_name("exemplar"))
    assert names["PolicyNames"] == []


def test_deleting_it_twice_is_harmless(root: Any, trainer_settings: Any) -> None:
    name = ensure_training_identity(BOB)
    delete_training_identity(BOB)
    delete_training_identity(BOB)
    with pytest.raises(ClientError, match="NoSuchEntity"):
        root("iam").get_role(RoleName=name)


def test_without_a_boundary_nothing_is_made(root: Any, trainer_settings: Any) -> None:
    trainer_settings.setenv("EXEMPLAR_TRAINER_BOUNDARY_ARN", "")
    settings.cache_clear()
    before = len(root("iam").list_roles()["Roles"])
    assert ensure_training_identity(Project("new", "one")) == ""
    assert len(root("iam").list_roles()["Roles"]) == before
