"""Projects with something of every kind in every place, on the emulator, Prefect and SQLite."""

import gc
import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, WorkPoolCreate
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed

from contracts import machine_tags
from contracts.identity import Project
from contracts.keys import COLLECTION, ProjectKeys
from contracts.manifest import Kind
from contracts.project_settings import NO_RETRAINING
from contracts.status import Job
from flows.delete import delete
from lambdas.endpoints import Endpoints
from lambdas.leases import EXAMPLES
from lambdas.ledger import Ledger
from lambdas.live_alias import LIVE
from lambdas.quotas import HeldQuotas
from lambdas.retraining import schedule_kept, watched_projects
from lambdas.state import ProjectRecord, ReleaseRecord, VersionRecord
from tasks import clients
from tasks.deletion import tracking
from tasks.inference_identity import ensure_inference_identity
from tasks.settings import settings
from tasks.training_identity import ensure_training_identity
from tests.lambdas.test_rollback import ROLE, package

Furnish = Callable[..., dict[str, int]]
IMAGES = "exemplar-test-models"
_CACHED = (settings, clients.images, clients.ec2)


@flow
def training_of_a_project() -> None:
    """Stands for what has run for a project."""


@pytest.fixture(scope="module")
def tracking_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's database; making one takes seconds. Artifacts lie in the folder that we are in."""
    folder = tmp_path_factory.mktemp("mlflow")
    address = f"sqlite:///{folder}/mlflow.db"
    before, home = mlflow.get_tracking_uri(), Path.cwd()
    mlflow.set_tracking_uri(address)
    os.chdir(folder)
    yield address
    os.chdir(home)
    mlflow.set_tracking_uri(before)
    tracking._opened.cache_clear()
    gc.collect()  # SQLite's connections warn when they are collected: here, not in a later test


@pytest.fixture
def places(
    emulator: Any,
    tasks_environment: pytest.MonkeyPatch,
    prefect_server: None,
    tracking_store: str,
    tmp_path: Path,
) -> Iterator[pytest.MonkeyPatch]:
    """Settings of a stack that has machines, images and MLflow's database."""
    boundary = _boundary(emulator)
    for name, value in {
        "EXEMPLAR_IMAGE_REPOSITORY": IMAGES,
        "EXEMPLAR_TRAINER_BOUNDARY_ARN": boundary,
        "EXEMPLAR_INFERENCE_BOUNDARY_ARN": boundary,
        "EXEMPLAR_TRACKING_STORE": tracking_store,
        "EXEMPLAR_TUNING_STORAGE": f"sqlite:///{tmp_path}/studies.db",
        "EXEMPLAR_DELETION": "delete/of-tests",
        "EXEMPLAR_DELETION_DEPLOYMENT": "delete/of-tests",
        "MLFLOW_TRACKING_URI": tracking_store,
        "PREFECT_API_URL": str(PREFECT_API_URL.value()),
    }.items():
        tasks_environment.setenv(name, value)
    for cached in _CACHED:
        cached.cache_clear()
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="of-tests", type="process"), overwrite=True)
        client.create_deployment(client.create_flow(delete), "of-tests", work_pool_name="of-tests")
    yield tasks_environment
    for cached in _CACHED:
        cached.cache_clear()


def _boundary(emulator: Any) -> str:
    iam, name = emulator.client("iam"), "boundary-of-deletion"
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    try:
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        return str(iam.create_policy(PolicyName=name, PolicyDocument=document)["Policy"]["Arn"])
    except iam.exceptions.EntityAlreadyExistsException:
        return f"arn:aws:iam::000000000000:policy/{name}"


@pytest.fixture
def furnish(places: pytest.MonkeyPatch) -> Furnish:
    """Give a project something everywhere; returns what its receipt must say."""

    def make(project: Project, examples: int = 3) -> dict[str, int]:
        clients.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
        return {
            **_state(project),
            **_objects(project, examples),
            **_functions(project),
            **_machines(project),
            **_tracked(project),
            **_runs(project),
            **_copies(project),
            "projects": 1,
        }

    return make


def _state(project: Project) -> dict[str, int]:
    state = clients.state()
    state.put_key(project, "xk_one")
    state.add_key(project, "xk_two")
    for number in range(3):
        state.create_job(Job(project, f"j{number}", "u1"))
        name, at = f"tuned-{number}", 1_000.0 + number
        record = VersionRecord(name, "1", "d" * 64, f"j{number}", at, "ann", "better", 0.9)
        state.put_version(project, record)
        state.put_release(project, ReleaseRecord(name, "1", at, "ann", "better"))
    state.table.put((f"PROJECT#{project.slug}", "USAGE#2026-11"), {"calls": 7})
    dead = (f"PROJECT#{project.slug}", EXAMPLES.sort_key)  # somebody's who was editing
    state.table.take_lease(dead, "dead", time.time(), time.time() + 30)
    Endpoints(state.table).add(project, "2026-11-27")
    with schedule_kept(state.table, project, {"retrain": NO_RETRAINING | {"every_days": 30}}):
        pass
    held = HeldQuotas(state, project.user)
    held.take_project(project.name)
    held.take_training(project, "j0")
    Ledger(state.table, project.user, "BYTES").take(f"{project.name}#stored", 6, 10**12)
    counts = {"keys": 2, "jobs": 3, "versions": 3, "releases": 3, "other_records": 2}
    return counts | {"quota_records": 3}


def _objects(project: Project, examples: int) -> dict[str, int]:
    s3, bucket, keys = clients.s3(), settings().bucket, ProjectKeys(project)
    names = [keys.object(f"{number:064x}") for number in range(examples)]
    names += [keys.manifest("a" * 64), keys.inbox_manifest("u1"), keys.checkpoint("t1", "x.ckpt")]
    names += [keys.bundle("tuned-1", "model.onnx"), keys.features("net")]
    names += [keys.inbox_part(COLLECTION, "b" * 64)]
    names += [f"{keys.prefix}feedback/one.json", f"{keys.prefix}requests/one.json"]
    names += [f"{keys.prefix}what is this/ü #1.txt"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b"12"), names))
    s3.create_multipart_upload(Bucket=bucket, Key=keys.checkpoint("t1", "large.ckpt"))
    once = ("dataset_files", "upload_lists", "checkpoints", "model_files", "features", "feedback")
    counts = dict.fromkeys((*once, "stored_requests", "other_files", "unfinished_uploads"), 1)
    return counts | {"upload_lists": 2, "examples": examples, "bytes": 2 * len(names)}


def _functions(project: Project) -> dict[str, int]:
    client, logs = clients.functions(), clients.session().client("logs")
    for name in (project.function_name(), project.image_function_name()):
        client.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=ROLE,
            Handler="code.handler",
            Code={"ZipFile": package(name)},
        )
        client.publish_version(FunctionName=name)
        logs.create_log_group(logGroupName=f"/aws/lambda/{name}")
    name = project.function_name()
    client.create_alias(FunctionName=name, Name=LIVE, FunctionVersion="1")
    client.create_function_url_config(FunctionName=name, Qualifier=LIVE, AuthType="NONE")
    _images(project)
    counts = {"functions": 2, "function_versions": 2, "aliases": 1, "function_urls": 1}
    return counts | {"log_groups": 2, "images": 2}


def _images(project: Project) -> None:
    client = clients.images()
    with suppress(client.exceptions.RepositoryAlreadyExistsException):
        client.create_repository(repositoryName=IMAGES)
    for digest in ("0" * 16, "1" * 16):
        tag = f"{project.slug}.{digest}"
        client.put_image(
            repositoryName=IMAGES,
            imageManifest=json.dumps({"schemaVersion": 2, "of": tag}),
            imageTag=tag,
        )


def _machines(project: Project) -> dict[str, int]:
    ensure_training_identity(project)
    ensure_inference_identity(project)
    tags = {
        machine_tags.STACK: settings().stack,
        machine_tags.FROM_PARAMETERS["user"]: project.user,
        machine_tags.FROM_PARAMETERS["project"]: project.name,
    }
    clients.ec2().run_instances(
        ImageId="ami-12345678",
        InstanceType="g4dn.xlarge",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": machine_tags.as_list(tags)}],
    )
    return {"machines": 1, "roles": 2}


def _tracked(project: Project) -> dict[str, int]:
    client, name = MlflowClient(), project.registry_name
    experiment = client.create_experiment(name)
    client.create_registered_model(name)
    for number in range(2):
        run = client.create_run(experiment)
        client.log_metric(run.info.run_id, "accuracy", 0.9)
        client.log_text(run.info.run_id, "page", f"pages/{number}.html")
        client.log_text(run.info.run_id, "{}", "evaluation.json")
        client.create_model_version(name, f"{run.info.artifact_uri}/bundle", run.info.run_id)
    return {
        "models": 1,
        "model_versions": 2,
        "tracked_runs": 2,
        "tracked_files": 4,
        "experiments": 1,
    }


def _runs(project: Project) -> dict[str, int]:
    """Two runs, one with a run inside it, and artifacts of both."""
    with get_client(sync_client=True) as client:
        tags = [f"user:{project.user}", f"project:{project.slug}"]
        outer = [
            client.create_flow_run(training_of_a_project, state=Completed(), tags=tags)
            for _ in range(2)
        ]
        inner = _inside(client, outer[0].id)
        for run in (outer[0].id, inner):
            artifact = ArtifactCreate(key="gate", type="markdown", data="x", flow_run_id=run)
            client.create_artifact(artifact)
    return {"flow_runs": 3, "run_artifacts": 2}


def _inside(client: Any, parent: UUID) -> UUID:
    from prefect import task

    @task
    def step() -> None:
        pass

    around = client.create_task_run(task=step, flow_run_id=parent, dynamic_key="0")
    run = client.create_flow_run(
        training_of_a_project, state=Completed(), parent_task_run_id=around.id
    )
    return UUID(str(run.id))


def _copies(project: Project) -> dict[str, int]:
    import optuna

    for folder in ("objects", "bundles/tuned-1"):
        first, _, rest = folder.partition("/")
        path = settings().cache_dir / first / project.slug / rest / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(study_name=f"{project.slug}-{'0' * 16}", storage=settings().tuning_storage)
    return {"cached_copies": 2, "studies": 1}


Look = Callable[[Project], dict[str, Any]]


@pytest.fixture
def look(places: pytest.MonkeyPatch) -> Look:
    """Everything that still bears a project's name, by place; asked for without our own code."""

    def see(project: Project) -> dict[str, Any]:
        found = {
            "record": clients.state().find_project(project) is not None,
            "items": clients.state().table.sort_keys(f"PROJECT#{project.slug}"),
            "quotas": _held_by(project),
            "served": Endpoints(clients.state().table).find(project),
            "watched": [p for p in watched_projects(clients.state().table) if p == project],
            "objects": _keys_of(project),
            "functions": _function_names(project),
            "logs": _group_names(project),
            "images": _tags_of(project),
            "roles": _role_names(project),
            "machines": _living(project),
            "tracked": _tracked_names(project),
            "runs": _run_names(project),
            "copies": list(settings().cache_dir.glob(f"*/{project.slug}")),
        }
        return {place: what for place, what in found.items() if what}

    return see


def _held_by(project: Project) -> list[str]:
    names = clients.state().table.sort_keys(f"ACCOUNT#{project.user}")
    return [name for name in names if name.split("#")[1] == project.name]


def _keys_of(project: Project) -> list[str]:
    s3, prefix = clients.s3(), f"users/{project.user}/{project.name}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=settings().bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    begun = s3.list_multipart_uploads(Bucket=settings().bucket, Prefix=prefix)
    return keys + [upload["Key"] for upload in begun.get("Uploads", [])]


def _function_names(project: Project) -> list[str]:
    pages = clients.functions().get_paginator("list_functions").paginate()
    names = {function["FunctionName"] for page in pages for function in page["Functions"]}
    return sorted(names & {project.function_name(), project.image_function_name()})


def _group_names(project: Project) -> list[str]:
    found = clients.session().client("logs").describe_log_groups(logGroupNamePrefix="/aws/lambda/")
    names = {group["logGroupName"].rpartition("/")[2] for group in found["logGroups"]}
    return sorted(names & {project.function_name(), project.image_function_name()})


def _tags_of(project: Project) -> list[str]:
    found = clients.images().list_images(repositoryName=IMAGES)["imageIds"]
    tags = [image.get("imageTag", "") for image in found]
    return [tag for tag in tags if tag.split(".")[0] == project.slug]


def _role_names(project: Project) -> list[str]:
    roles = clients.session().client("iam").list_roles()["Roles"]
    names = {project.trainer_role_name(), project.inference_role_name()}
    return sorted(names & {role["RoleName"] for role in roles})


def _living(project: Project) -> list[str]:
    found = machine_tags.machines(clients.ec2(), settings().stack)
    wanted = [project.user, project.name]
    return [
        machine["InstanceId"]
        for machine in found
        if [machine_tags.of(machine)[f"exemplar:{n}"] for n in ("user", "project")] == wanted
    ]


def _tracked_names(project: Project) -> list[str]:
    client, name = MlflowClient(), project.registry_name
    experiments = [e for e in client.search_experiments(ViewType.ALL) if e.name == name]
    runs = client.search_runs([e.experiment_id for e in experiments], run_view_type=ViewType.ALL)
    files = [file.path for run in runs for file in client.list_artifacts(run.info.run_id)]
    models = client.search_model_versions(f"name = '{name}'")
    return [e.name for e in experiments] + files + [model.version for model in models]


def _run_names(project: Project) -> list[str]:
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(limit=200)
    return [run.name for run in runs if f"project:{project.slug}" in run.tags]
