"""Promotions in processes of their own, which can be killed at any call of AWS.

`python -m tests.release_process` loads everything once and forks for each promotion: one JSON line
on standard input is one promotion, one on standard output is how its process ended.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from botocore.client import BaseClient
from prefect.logging import disable_run_logger

from contracts.identity import Project
from tasks import bundles
from tests.release_stage import Attempt, light_zip, promote

ROOT = Path(__file__).parent.parent
READING = ("Get", "List", "Head", "Query", "Describe", "Filter")


@dataclass(frozen=True)
class Death:
    """After (or before) the so-and-so-manieth call of an operation, counted from 1."""

    operation: str
    number: int = 1
    is_before: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a promotion's process ended, and what it had called to change something."""

    status: int  # negative: by that signal
    calls: list[str]


class Processes:
    """Starts promotions in the forked processes."""

    def __init__(self, server: "subprocess.Popen[str]") -> None:
        self._server = server

    def run(self, attempt: Attempt, death: Death | None = None) -> Outcome:
        assert self._server.stdin
        assert self._server.stdout
        project = attempt.project
        order = asdict(attempt) | {"project": [project.user, project.name]}
        order["death"] = asdict(death) if death else None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return Outcome(**json.loads(self._server.stdout.readline()))


@contextmanager
def processes(variables: Mapping[str, str]) -> Iterator[Processes]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.release_process"],
        cwd=ROOT,
        env=os.environ | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            yield Processes(server)
        finally:
            assert server.stdin
            server.stdin.close()
            server.wait(30)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _run(order, writing)
        os.close(writing)
        with os.fdopen(reading) as calls:
            called = calls.read().split()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"status": status, "calls": called}), flush=True)


def _run(order: dict[str, Any], calls: int) -> None:
    death = Death(**order.pop("death")) if order["death"] else order.pop("death")
    attempt = Attempt(**order | {"project": Project(*order["project"])})
    bundles.function_zip = light_zip
    _count_calls(calls, death)
    with disable_run_logger():
        decision = promote(attempt)
    os._exit(0 if decision.promote else 3)


def _count_calls(calls: int, death: Death | None) -> None:
    """Every client of AWS goes through botocore's one method."""
    call, counted = BaseClient._make_api_call, [0]

    def counting(client: Any, operation: str, arguments: Any) -> Any:
        is_it = death is not None and operation == death.operation
        counted[0] += is_it
        is_last = death is not None and is_it and counted[0] == death.number
        if death and is_last and death.is_before:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = call(client, operation, arguments)
        if not operation.startswith(READING):
            os.write(calls, f"{operation}\n".encode())
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    BaseClient._make_api_call = counting


if __name__ == "__main__":
    main()
