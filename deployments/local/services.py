"""Which processes make up the embedded stack, and how each is started."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployments.deploy import StackOutputs
from deployments.local.environment import child_environment
from deployments.local.page_address import PREFIX
from deployments.local.ports import Ports
from deployments.local.supervision import Service, Supervisor

EMULATOR, PREFECT, MLFLOW = "emulator", "prefect", "mlflow"
ORCHESTRATION, TRAINING = "orchestration", "training"
REGION = "us-east-1"
CREDENTIAL = "test"
SOURCE = Path(__file__).resolve().parents[2]

_PREFERRED_PORTS = {EMULATOR: 4566, PREFECT: 4200, MLFLOW: 5000}
# A training uses every core, so two at a time would only slow each other down.
RUNS_AT_ONCE = {ORCHESTRATION: 8, TRAINING: 1}
# Training starts while the draft is being promoted; it must not delay the first endpoint.
_NICENESS = {ORCHESTRATION: 0, TRAINING: 10}


@dataclass(frozen=True, slots=True)
class Layout:
    """Folder and addresses of one embedded stack."""

    home: Path
    emulator_port: int
    prefect_port: int
    mlflow_port: int

    @classmethod
    def claim(cls, home: Path, supervisor: Supervisor) -> "Layout":
        """Ports are chosen once and kept. Raises `Conflict` when a kept one was taken."""
        ports = Ports(home / "ports.json")
        chosen = {
            name: ports.claim(name, preferred, is_running=supervisor.is_running(name))
            for name, preferred in _PREFERRED_PORTS.items()
        }
        return cls(home, chosen[EMULATOR], chosen[PREFECT], chosen[MLFLOW])

    @classmethod
    def kept(cls, home: Path) -> "Layout | None":
        """The addresses of the last `up`, or None before the first."""
        ports = Ports(home / "ports.json")
        chosen = [ports.kept(name) for name in _PREFERRED_PORTS]
        if any(port is None for port in chosen):
            return None
        return cls(home, *(port for port in chosen if port is not None))

    @property
    def aws(self) -> str:
        return f"http://127.0.0.1:{self.emulator_port}"

    @property
    def page(self) -> str:
        return f"{self.aws}{PREFIX}/"

    @property
    def prefect(self) -> str:
        return f"http://127.0.0.1:{self.prefect_port}"

    @property
    def mlflow(self) -> str:
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def tracking_store(self) -> str:
        return f"sqlite:///{self.home}/mlflow/mlflow.db"

    def log(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.log"

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """What every process sees: this stack's addresses and no account of the person's."""
        shared = {
            "AWS_ENDPOINT_URL": self.aws,
            "AWS_ACCESS_KEY_ID": CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": CREDENTIAL,
            "AWS_DEFAULT_REGION": REGION,
            "EXEMPLAR_HOME": str(self.home),
            "EXEMPLAR_SOURCE": str(SOURCE),
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PREFECT_API_URL": f"{self.prefect}/api",
            "PREFECT_HOME": str(self.home / "prefect"),
            "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
            "PREFECT_LOGGING_COLORS": "false",
            "PYTHONUNBUFFERED": "1",
        }
        return child_environment(self.home, shared | dict(extra))


def emulator(layout: Layout) -> Service:
    """AWS on loopback."""
    argv = [sys.executable, "-m", "deployments.local.emulator"]
    argv += ["--port", str(layout.emulator_port), "--state-dir", str(layout.home / "aws")]
    return Service(
        EMULATOR,
        argv,
        layout.environment({}),
        layout.log(EMULATOR),
        health_url=f"{layout.aws}/_ministack/health",
        cwd=SOURCE,
    )


def prefect_server(layout: Layout) -> Service:
    """API, scheduler and UI on SQLite; only its own UI may call it from a browser."""
    extra = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": layout.prefect,
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_UI_API_URL": f"{layout.prefect}/api",
    }
    argv = [sys.executable, "-m", "deployments.local.prefect_server"]
    return Service(
        PREFECT,
        [*argv, "--port", str(layout.prefect_port)],
        layout.environment(extra),
        layout.log(PREFECT),
        health_url=f"{layout.prefect}/api/health",
        start_seconds=120,
        cwd=SOURCE,
    )


def mlflow(layout: Layout, bucket: str) -> Service:
    """Tracking and registry on SQLite, artifacts in the data bucket through the server."""
    (layout.home / "mlflow").mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    argv += ["--port", str(layout.mlflow_port), "--workers", "1", "--serve-artifacts"]
    argv += ["--backend-store-uri", layout.tracking_store]
    argv += ["--artifacts-destination", f"s3://{bucket}/mlflow"]
    # Its default takes 10.*, which is also a name that anybody can have: 10.example.org.
    hosts = [f"{name}:{layout.mlflow_port}" for name in ("127.0.0.1", "localhost")]
    argv += ["--allowed-hosts", ",".join(hosts)]
    # Job execution would start seven more processes and a gigabyte for features not used here.
    extra = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "1"}
    return Service(
        MLFLOW,
        argv,
        layout.environment(extra),
        layout.log(MLFLOW),
        health_url=f"{layout.mlflow}/health",
        start_seconds=120,
    )


def worker(layout: Layout, pool: str, outputs: StackOutputs) -> Service:
    """A Prefect worker that starts each flow run as a process of its own."""
    return replace(
        bare_worker(layout, pool), env=layout.environment(flow_environment(layout, outputs))
    )


def bare_worker(layout: Layout, pool: str) -> Service:
    """The worker without what its flow runs need; enough to look whether it runs."""
    argv = ["nice", "-n", str(_NICENESS[pool])]
    argv += [sys.executable, "-m", "prefect", "worker", "start", "--type", "process"]
    argv += ["--pool", pool, "--name", pool, "--limit", str(RUNS_AT_ONCE[pool])]
    return Service(
        f"{pool}-worker", argv, {}, layout.log(f"{pool}-worker"), stop_seconds=15, cwd=SOURCE
    )


def flow_environment(layout: Layout, outputs: StackOutputs) -> dict[str, str]:
    """What flow runs need to know of the stack."""
    return {
        "EXEMPLAR_PLACE": "local",
        "EXEMPLAR_STACK": outputs.stack,
        "EXEMPLAR_REGION": REGION,
        "EXEMPLAR_BUCKET": outputs.bucket,
        "EXEMPLAR_TABLE": outputs.table,
        "EXEMPLAR_INFERENCE_ROLE_ARN": outputs.inference_role_arn,
        "EXEMPLAR_INFERENCE_LAYER_ARN": outputs.inference_layer_arn,
        "EXEMPLAR_RUNTIME": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "EXEMPLAR_FUNCTION_URL_BASE": f"{layout.aws}/lambda-url",
        "EXEMPLAR_CACHE_DIR": str(layout.home / "cache"),
        "MLFLOW_TRACKING_URI": layout.mlflow,
        "EXEMPLAR_TRACKING_STORE": layout.tracking_store,
        # The default of ten seconds would be most of a small job's time. But each look is a write,
        # and with one a second SQLite refused 12 of 30 new flow runs on two busy cores.
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_WORKER_HEARTBEAT_SECONDS": "10",
        # SQLite turns a writer away who meets another, and a crowd of runs meets often. The pauses
        # double, so this is for minutes; the default of five has cost jobs.
        "PREFECT_CLIENT_MAX_RETRIES": "8",
    }
