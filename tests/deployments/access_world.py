"""A deployed system with two users, in which every call would find what it asks for."""

import base64
import hashlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest

from contracts.archive import write_zip
from contracts.bundle import CARD_FILE
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from contracts.status import ApprovalState, Job, JobState
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.local.embedded import LoopbackSession
from deployments.packaging import Archive, Builder
from lambdas.credentials import Credentials
from lambdas.live_alias import LIVE
from lambdas.receipts import Receipts
from lambdas.state import ProjectRecord, ReleaseRecord, State, VersionRecord
from models.bundle_writer import write_bundle
from tasks import bundles
from tests.emulator_process import emulator, free_port
from tests.serving.conftest import colour_card, colour_graph

CATS, DOGS = Project("ann", "cats"), Project("bob", "dogs")
JOB, DATASET = "0123456789abcdef", "d" * 64
VERSIONS = ("draft-1", "tuned-2")
_OFTEN: Any = {"Delay": 0.1, "MaxAttempts": 300}
RECEIPT = "0123456789abcdef"
PICTURE = (  # one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYPgPAAEDAQAIicLsAAAAAElFTkSuQmCC"
)
# What stands in a path for each of its variable parts.
VALUES = {
    "name": CATS.name,
    "job_id": JOB,
    "version": VERSIONS[-1],
    "sha256": hashlib.sha256(base64.b64decode(PICTURE)).hexdigest(),
    "receipt_id": RECEIPT,
}
# Bodies that ask for what there is, where the document's examples cannot.
BODIES = {
    "POST /v1/projects/{name}/feedback": {"label": "cat", "image_base64": PICTURE},
    "POST /v1/projects/{name}/predict": {"image_base64": PICTURE},
}


@dataclass
class World:
    """The stack, and what each kind of caller brings along."""

    address: str
    session: boto3.Session
    outputs: StackOutputs
    tokens: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    endpoint: str = ""

    @property
    def api(self) -> str:
        return f"{self.address}/_aws/execute-api/{self.outputs.api_id}/$default"

    @property
    def state(self) -> State:
        return State(self.session.client("dynamodb"), self.outputs.table)

    def stored(self) -> dict[str, Any]:
        """Everything in the bucket and the table, and what the endpoint's alias points to."""
        s3, found = self.session.client("s3"), {}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=self.outputs.bucket):
            found |= {entry["Key"]: entry["ETag"] for entry in page.get("Contents", [])}
        scan = self.session.client("dynamodb").get_paginator("scan")
        for page in scan.paginate(TableName=self.outputs.table, ConsistentRead=True):
            found |= {f"{item['pk']['S']} {item['sk']['S']}": item for item in page["Items"]}
        functions = self.session.client("lambda")
        name = CATS.function_name(self.outputs.stack)
        alias = functions.get_alias(FunctionName=name, Name=LIVE)
        return found | {"live": alias["FunctionVersion"]}


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """The system on an emulator of its own."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with emulator(folder, port), deployed(address, folder, "access") as made:
        yield made


@contextmanager
def deployed(
    address: str,
    folder: Path,
    stack: str,
    parameters: dict[str, str] | None = None,
    *,
    has_layer: bool = False,
) -> Iterator[World]:
    """Deploy the real control functions.

    Without the real layer, inference functions find what this environment has installed, which our
    own launcher hides from them.
    """
    with _workflow_server() as workflows, pytest.MonkeyPatch.context() as patch:
        if not has_layer:
            layer = folder / "layer.zip"
            archive = Archive(layer, write_zip([("python/shared.py", b"")], layer))
            patch.setattr(Builder, "inference_layer", lambda self: archive)
        session = LoopbackSession(address)
        wanted = DeploySettings(
            folder / "zips", workflows, stack=stack, parameters=parameters or {}
        )
        made = World(address, session, deploy(wanted, session))
        _fill(made, folder)
        yield made


def _fill(world: World, folder: Path) -> None:
    for project in (CATS, DOGS):
        fill_project(world.state, world.session.client("s3"), world.outputs.bucket, project)
    delete_another(world.state, CATS.user)
    _give_tokens(world)
    world.endpoint = _serve(world, folder)
    world.state.update_project(CATS, endpoint=world.endpoint)
    credentials = Credentials(world.state.table)
    world.keys = {"taken back": "xk_old", "another project's": "xk_dogs", "own": "xk_new"}
    credentials.put_key(CATS, world.keys["taken back"])
    credentials.put_key(CATS, world.keys["own"])
    credentials.put_key(DOGS, world.keys["another project's"])


def _give_tokens(world: World) -> None:
    accounts, soon = world.state.accounts, time.time() + 3_600
    for user in ("ann", "bob"):
        accounts.add(user)
    accounts.issue("ann", "xt_old", soon)
    accounts.rotate("ann", "xt_ann", soon)
    accounts.issue("ann", "xt_expired", time.time() - 1)
    accounts.issue("bob", "xt_bob", soon)
    world.tokens = {
        "unknown": "xt_unknown",
        "expired": "xt_expired",
        "taken back": "xt_old",
        "another user's": "xt_bob",
        "own": "xt_ann",
    }


def delete_another(state: State, user: str) -> None:
    """Leave a receipt."""
    Receipts(state.table).open(Project(user, "gone"), RECEIPT, {})


def fill_project(state: State, s3: Any, bucket: str, project: Project) -> None:
    """One that has a job that waits for approval, and a live model after an earlier one."""
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    asked = {"state": ApprovalState.WAITING, "flow_run_id": "run-1"}
    job = Job(project=project, job_id=JOB, upload="u1", state=JobState.RUNNING, approval=asked)
    assert state.create_job(job)
    keys = ProjectKeys(project)
    for number, version in enumerate(VERSIONS, 1):
        for key in (keys.bundle(version, CARD_FILE), keys.evaluation(version, DATASET)):
            s3.put_object(Bucket=bucket, Key=key, Body=b"{}")
        release = ReleaseRecord(version, str(number), 1_000.0 + number, project.user, "better")
        state.put_release(project, release)
        state.put_version(
            project,
            VersionRecord(
                model_version=version,
                lambda_version=str(number),
                dataset_version=DATASET,
                job_id=JOB,
                promoted_at=release.at,
                promoted_by=project.user,
                reason="better",
                accuracy=0.9,
            ),
        )
    state.update_project(
        project,
        model_version=VERSIONS[-1],
        lambda_version=str(len(VERSIONS)),
        dataset_version=DATASET,
        last_job=JOB,
    )


def _serve(world: World, folder: Path) -> str:
    write_bundle(folder / "bundle", colour_card(rejection_threshold=-0.5), colour_graph())
    return serve(world, CATS, folder / "bundle")


def serve(world: World, project: Project, bundle: Path) -> str:
    """Two versions of the real inference function behind a function URL."""
    functions, name = world.session.client("lambda"), project.function_name(world.outputs.stack)
    with bundles.function_zip(bundle) as archive:
        functions.create_function(
            FunctionName=name,
            Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
            Layers=[world.outputs.inference_layer_arn],
            Role=world.outputs.inference_role_arn,
            Handler="lambdas.predict.handler",
            Code={"ZipFile": archive.read_bytes()},
            Timeout=30,
            Environment={
                "Variables": {
                    "EXEMPLAR_TABLE": world.outputs.table,
                    "EXEMPLAR_BUCKET": world.outputs.bucket,
                    "EXEMPLAR_USER": project.user,
                    "EXEMPLAR_PROJECT": project.name,
                }
            },
        )
    updated = functions.get_waiter("function_updated_v2")
    for number in range(1, len(VERSIONS) + 1):
        updated.wait(FunctionName=name, WaiterConfig=_OFTEN)
        functions.update_function_configuration(FunctionName=name, Description=str(number))
        updated.wait(FunctionName=name, WaiterConfig=_OFTEN)
        assert functions.publish_version(FunctionName=name)["Version"] == str(number)
    functions.create_alias(FunctionName=name, Name=LIVE, FunctionVersion=str(len(VERSIONS)))
    url = functions.create_function_url_config(FunctionName=name, Qualifier=LIVE, AuthType="NONE")[
        "FunctionUrl"
    ]
    url_id = url.partition("://")[2].partition(".")[0]
    return f"{world.address}/_aws/lambda-url/{url_id}"


@contextmanager
def _workflow_server() -> Iterator[str]:
    """Stands in for Prefect, which takes whatever it is asked; what it does is tested elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            found: Any = [] if self.path.endswith("/filter") else {"id": "x", "status": "ACCEPT"}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
