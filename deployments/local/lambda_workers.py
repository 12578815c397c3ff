"""One execution environment of a Python function, in the form that ministack's pool expects."""

import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from deployments.local.code_trees import CodeTrees
from deployments.local.interpreters import interpreter_for
from deployments.local.sandbox import Call, Outcome, Sandbox, SandboxSpec


@dataclass(frozen=True, slots=True)
class Workplace:
    """Folders that all sandboxes share. They hold nothing that outlives the emulator."""

    folder: Path
    endpoint: str

    @property
    def scratch(self) -> Path:
        """One writable folder per sandbox lies in here."""
        return self.folder / "scratch"

    @property
    def runtime_libraries(self) -> Path:
        """Where `boto3` is found."""
        return self.folder / "runtime"


class LambdaWorker:
    """One execution environment, with the attributes that ministack's pool works with."""

    def __init__(
        self, config: dict[str, Any], archive: bytes, trees: CodeTrees, workplace: Workplace
    ) -> None:
        self.config = config
        self.in_use = False
        self.last_used = time.time()
        self._archive = archive
        self._trees = trees
        self._workplace = workplace
        self._scratch = workplace.scratch / uuid4().hex
        self._leased: list[Path] = []
        self._sandbox: Sandbox | None = None
        self._proc: Any = None  # ministack ends it and waits for it
        self._lock = threading.Lock()

    def invoke(
        self, event: Any, request_id: str, *, invoked_function_arn: str = "", **_tracing: Any
    ) -> dict[str, Any]:
        """Run one call, starting the sandbox if need be."""
        with self._lock:
            outcome = Outcome()
            is_cold = self._proc is None or self._proc.poll() is not None
            if is_cold:
                outcome = self._start()
            if outcome.error is None:
                arn = invoked_function_arn or str(self.config["FunctionArn"])
                timeout = float(self.config.get("Timeout", 3))
                assert self._sandbox
                ran = self._sandbox.run(Call(event, request_id, arn, timeout))
                log = "\n".join(filter(None, [outcome.log, ran.log]))
                outcome = Outcome(ran.result, ran.error, log, ran.is_alive)
        return _as_ministack(outcome, is_cold)

    def _start(self) -> Outcome:
        self._discard_tmpdir()
        self._scratch.mkdir(parents=True)
        layers = [self._lease_layer(layer) for layer in self.config.get("Layers", [])]
        runtime = str(self.config.get("Runtime", "python3.12"))
        code = self._lease(self._archive)
        spec = SandboxSpec(
            interpreter=interpreter_for(runtime),
            handler=str(self.config.get("Handler", "")),
            code=code,
            layers=tuple(layer for layer in layers if layer),
            runtime_libraries=self._workplace.runtime_libraries,
            scratch=self._scratch,
            environment=environment(self.config, code, self._scratch, self._workplace.endpoint),
        )
        self._sandbox, outcome = Sandbox.start(spec)
        self._proc = self._sandbox.process
        if outcome.error is not None:
            self._proc.terminate()
        return outcome

    def _lease(self, archive: bytes) -> Path:
        tree = self._trees.lease(archive)
        self._leased.append(tree)
        return tree

    def _lease_layer(self, reference: dict[str, Any]) -> Path | None:
        archive = lambda_svc._resolve_layer_zip(reference)
        return self._lease(archive) if archive else None

    def _discard_tmpdir(self) -> None:
        """Give back what a sandbox that has ended held. ministack's pool calls this by its name."""
        if self._sandbox:
            self._sandbox.close()
            self._sandbox = None
        while self._leased:
            self._trees.release(self._leased.pop())
        shutil.rmtree(self._scratch, ignore_errors=True)


def environment(config: dict[str, Any], code: Path, scratch: Path, endpoint: str) -> dict[str, str]:
    """A function's variables: its own and what AWS sets, nothing of this machine's."""
    own: dict[str, str] = config.get("Environment", {}).get("Variables", {})
    name = str(config["FunctionName"])
    region = str(config["FunctionArn"]).split(":")[3]
    runtime = str(config.get("Runtime", ""))
    logging = config.get("LoggingConfig") or {}
    credentials = {k: v for k, v in lambda_runtime.execution_credentials(config).items() if v}
    defaults = {
        "AWS_ENDPOINT_URL": endpoint,
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TMPDIR": str(scratch),
        "TZ": ":UTC",
    }
    reserved = {
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.get("MemorySize", 128)),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": str(config.get("Version", "$LATEST")),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": uuid4().hex,
        "AWS_REGION": region,
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": str(config.get("Handler", "")),
        # botocore would read the person's own files: it finds the home folder without HOME too.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    return defaults | own | reserved | credentials


def _as_ministack(outcome: Outcome, is_cold: bool) -> dict[str, Any]:
    if outcome.error is None:
        return {
            "status": "ok",
            "result": outcome.result,
            "log": outcome.log,
            "cold_start": is_cold,
        }
    return {
        "status": "error",
        "error": outcome.error["errorMessage"],
        "error_payload": outcome.error,
        "log": outcome.log,
        "cold_start": is_cold,
    }
