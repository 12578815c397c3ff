"""The whole system on this machine: what `exemplar up`, `down` and `status` do."""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import httpx

from contracts.errors import Unavailable
from deployments.connection import page_link
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.local import services
from deployments.local.services import Layout
from deployments.local.supervision import ServiceStatus, Supervisor
from lambdas.accounts import new_token
from lambdas.state import State

DEFAULT_USER = "me"
_TOKEN_SECONDS = 10 * 365 * 86_400  # a laptop's own token ends with its state folder
_SETUP_TIMEOUT_SECONDS = 300

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Links:
    """How to reach the running stack; kept in a file that only its owner can read."""

    url: str
    token: str
    user: str
    prefect_ui: str
    mlflow_ui: str
    page: str = ""  # with the token; empty in what an earlier version has written

    def with_token(self, token: str) -> "Links":
        """The same with the user's next token."""
        address = self.page.partition("#")[0]
        return replace(self, token=token, page=page_link(address, token) if address else "")

    @classmethod
    def read(cls, home: Path) -> "Links | None":
        """What the last `up` left, or None."""
        try:
            return cls(**json.loads((home / "connection.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write(self, home: Path) -> None:
        """Replace the file as a whole."""
        partial = home / "connection.partial"
        partial.touch(mode=0o600)
        partial.write_text(json.dumps(asdict(self), indent=1) + "\n")
        partial.replace(home / "connection.json")


class LoopbackSession(boto3.Session):
    """A session that reaches the emulator and nothing else, whatever the environment says."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(services.CREDENTIAL, services.CREDENTIAL, region_name=services.REGION)
        self._endpoint = endpoint

    def client(self, service_name: str, **options: Any) -> Any:  # type: ignore[override]
        return super().client(service_name, **(options | {"endpoint_url": self._endpoint}))  # type: ignore[call-overload]


def up(home: Path, say: Say = print) -> Links:
    """Start what is not running, deploy, and return how to reach it.

    Repeating it changes nothing; after a part was killed it brings that part back.
    """
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    supervisor = Supervisor(home / "services")
    with supervisor.lock():
        layout = Layout.claim(home, supervisor)
        say("starting the AWS emulator")
        supervisor.start(services.emulator(layout))
        with ThreadPoolExecutor(2) as pool:
            say("starting Prefect and MLflow, deploying the stack")
            prefect = pool.submit(supervisor.start, services.prefect_server(layout))
            outputs = deploy(_deploy_settings(layout), LoopbackSession(layout.aws))
            encoder = pool.submit(_prepare_encoder, layout, outputs)
            supervisor.start(services.mlflow(layout, outputs.bucket))
            prefect.result()
            say("applying prefect.yaml")
            _set_up_orchestration(supervisor, layout, outputs)
            say(f"pretrained encoder: {encoder.result()}")
        for name in (services.ORCHESTRATION, services.TRAINING):
            supervisor.start(services.worker(layout, name, outputs))
        connection = _connection(layout, outputs)
        connection.write(home)
    return connection


def down(home: Path) -> list[str]:
    """Stop every process of the stack, workers first; return the names of those that ran."""
    supervisor = Supervisor(home.resolve() / "services")
    with supervisor.lock(wait_seconds=30):
        names = supervisor.recorded_names()
        ordered = sorted(
            names, key=lambda name: (not name.endswith("worker"), name == services.EMULATOR)
        )
        return [name for name in ordered if supervisor.stop(name, grace_seconds=15)]


def status(home: Path) -> list[ServiceStatus]:
    """Every part of the stack, running or not."""
    home = home.resolve()
    supervisor = Supervisor(home / "services")
    layout = Layout.kept(home)
    if layout is None:
        return []
    parts = [
        services.emulator(layout),
        services.prefect_server(layout),
        services.mlflow(layout, ""),
    ]
    found = [supervisor.status(part) for part in parts]
    return found + [
        supervisor.status(services.bare_worker(layout, name))
        for name in (services.ORCHESTRATION, services.TRAINING)
    ]


def _deploy_settings(layout: Layout) -> DeploySettings:
    return DeploySettings(
        cache=layout.home / "packages",
        prefect_api_url=f"{layout.prefect}/api",
        region=services.REGION,
        allowed_origins=(layout.aws, f"http://localhost:{layout.emulator_port}"),
        parameters={"PrefectLink": layout.prefect, "MlflowLink": layout.mlflow},
    )


def _prepare_encoder(layout: Layout, outputs: StackOutputs) -> str:
    """Have the draft's encoder in the bucket before the first job asks for it."""
    done = _run_module("tasks.weights", layout, outputs)
    return done.stdout.strip() or "none"


def _set_up_orchestration(supervisor: Supervisor, layout: Layout, outputs: StackOutputs) -> None:
    """Apply prefect.yaml when it or the stack has changed, and free the runs of dead workers."""
    idle = [
        name
        for name in (services.ORCHESTRATION, services.TRAINING)
        if not supervisor.is_running(f"{name}-worker")
    ]
    applied = layout.home / "orchestration.applied"
    wanted = _fingerprint(outputs)
    is_current = applied.exists() and applied.read_text() == wanted and _has_pipeline(layout)
    arguments = ["--orphans-of", *idle] if idle else []
    if is_current and not idle:
        return
    done = _run_module(
        "deployments.orchestration",
        layout,
        outputs,
        *([] if is_current else ["--apply"]),
        f"--pipelines={services.RUNS_AT_ONCE[services.ORCHESTRATION]}",
        f"--trainings={services.RUNS_AT_ONCE[services.TRAINING]}",
        *arguments,
    )
    if done.returncode != 0:
        raise Unavailable(
            f"Prefect could not be set up: {done.stderr[-1_500:]}",
            fix=f"see {layout.log(services.PREFECT)}, then try again",
        )
    applied.write_text(wanted)


def _fingerprint(outputs: StackOutputs) -> str:
    """Changes with anything that the deployments are made of."""
    sources = [services.SOURCE / "prefect.yaml", services.SOURCE / "deployments/automations.py"]
    sources += sorted((services.SOURCE / "flows").glob("*.py"))
    digest = hashlib.sha256(repr((outputs.stack, outputs.bucket, services.SOURCE)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _has_pipeline(layout: Layout) -> bool:
    url = f"{layout.prefect}/api/deployments/name/pipeline/pipeline"
    return httpx.get(url, timeout=10, trust_env=False).is_success


def _run_module(
    module: str, layout: Layout, outputs: StackOutputs, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """In a process of its own, so that this command loads neither Prefect nor torch."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=services.SOURCE,
        env=layout.environment(services.flow_environment(layout, outputs)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SETUP_TIMEOUT_SECONDS,
        check=False,
    )


def _connection(layout: Layout, outputs: StackOutputs) -> Links:
    """Keep the token of the last `up` as long as the stack still knows it."""
    state = State(LoopbackSession(layout.aws).client("dynamodb"), outputs.table)
    old = Links.read(layout.home)
    token = old.token if old else ""
    if not token or state.user_of_token(token) is None:
        token = new_token(DEFAULT_USER)
        state.put_token(token, DEFAULT_USER, time.time() + _TOKEN_SECONDS)
    return Links(
        url=f"{layout.aws}/_aws/execute-api/{outputs.api_id}/$default",
        token=token,
        user=DEFAULT_USER,
        prefect_ui=layout.prefect,
        mlflow_ui=layout.mlflow,
        page=page_link(layout.page, token),
    )
