"""One Lambda sandbox: a process that has one function loaded and runs one call at a time."""

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from deployments.local import lambda_bootstrap

INIT_SECONDS = 10.0  # AWS's limit for loading a function
_CLOSING_SECONDS = 1.0  # between a process' end and the end of its pipes


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a sandbox runs and sees. `scratch` is its own writable folder."""

    interpreter: Path
    handler: str
    code: Path
    layers: tuple[Path, ...]
    runtime_libraries: Path
    scratch: Path
    environment: dict[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """One invocation; `event` is any JSON value."""

    event: Any
    request_id: str
    invoked_function_arn: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Either `result`, or `error` in AWS's form; `log` is what the function wrote."""

    result: Any = None
    error: dict[str, Any] | None = None
    log: str = ""
    is_alive: bool = True


class SandboxProcess(subprocess.Popen[str]):
    """Ending it ends its children too: it leads its own process group."""

    def terminate(self) -> None:
        """Kill at once: a sandbox holds nothing worth a grace period."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    kill = terminate


@dataclass(slots=True)
class Sandbox:
    """Start with `start`, call with `run`. After an outcome that is not alive, start anew."""

    process: SandboxProcess
    end_of_log: str
    answers: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)
    log_lines: "queue.SimpleQueue[str | None]" = field(default_factory=queue.SimpleQueue)

    @classmethod
    def start(cls, spec: SandboxSpec) -> tuple["Sandbox", Outcome]:
        """Start the process and load the function; the outcome's error says why that failed."""
        sandbox = cls(_spawn(spec), end_of_log=f"\x00{secrets.token_hex(8)}")
        for stream, lines in (
            (sandbox.process.stdout, sandbox.answers),
            (sandbox.process.stderr, sandbox.log_lines),
        ):
            threading.Thread(target=_pump, args=(stream, lines), daemon=True).start()
        sandbox._send(
            {
                "handler": spec.handler,
                "code": str(spec.code),
                "layers": [str(layer) for layer in spec.layers],
                "runtime_libraries": str(spec.runtime_libraries),
                "end_of_log": sandbox.end_of_log,
            }
        )
        return sandbox, sandbox._outcome("", INIT_SECONDS)

    def run(self, call: Call) -> Outcome:
        """Answer one call, or kill the process after `timeout_seconds`."""
        self._send(
            {
                "event": call.event,
                "request_id": call.request_id,
                "invoked_function_arn": call.invoked_function_arn,
                "timeout_seconds": call.timeout_seconds,
            }
        )
        return self._outcome(call.request_id, call.timeout_seconds)

    def close(self) -> None:
        """End the process; harmless when it has ended."""
        self.process.terminate()
        self.process.wait()
        if self.process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()

    def _send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        with contextlib.suppress(BrokenPipeError):  # its end is reported by the outcome
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()

    def _outcome(self, request_id: str, timeout_seconds: float) -> Outcome:
        try:
            line = self.answers.get(timeout=timeout_seconds)
        except queue.Empty:
            self.process.terminate()
            text = f"Task timed out after {timeout_seconds:.2f} seconds"
            return self._dead("Sandbox.Timedout", text, request_id)
        if line is None:
            return self._dead("Runtime.ExitError", self._exit_reason(), request_id)
        answer = json.loads(line)
        log = self._log()
        return Outcome(answer.get("result"), answer.get("error"), log)

    def _dead(self, error_type: str, text: str, request_id: str) -> Outcome:
        message = f"RequestId: {request_id} Error: {text}"
        log = "\n".join(filter(None, [self._log(), message]))
        error = {"errorType": error_type, "errorMessage": message}
        return Outcome(error=error, log=log, is_alive=False)

    def _exit_reason(self) -> str:
        try:
            status = self.process.wait(timeout=_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:  # it closed its pipe and lives on
            self.process.terminate()
            status = self.process.wait()
        reason = (
            f"signal: {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        )
        return f"Runtime exited with error: {reason}"

    def _log(self) -> str:
        """What was written up to the marker that ends each call, or up to the process' end."""
        lines: list[str] = []
        with contextlib.suppress(queue.Empty):  # a process that left the group keeps the pipe open
            while (line := self.log_lines.get(timeout=_CLOSING_SECONDS)) is not None:
                if line.endswith(self.end_of_log):
                    # A last line without a newline is joined with the marker.
                    lines += filter(None, [line.removesuffix(self.end_of_log)])
                    break
                lines.append(line)
        return "\n".join(lines)


def _spawn(spec: SandboxSpec) -> SandboxProcess:
    """`-I -S`: no environment variable, current folder or site-packages reaches the function."""
    flags = ["-I", "-S", "-u", "-X", "utf8"]
    script = str(Path(lambda_bootstrap.__file__))
    return SandboxProcess(
        # The scratch folder is named so that a later start finds processes left behind.
        [str(spec.interpreter), *flags, script, str(spec.scratch)],
        cwd=spec.code,
        env=spec.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def _pump(stream: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Move lines out of a pipe as they come: a full pipe would block the function."""
    with contextlib.suppress(ValueError, OSError):
        for line in stream:
            lines.put(line.rstrip("\n"))
    stream.close()
    lines.put(None)
