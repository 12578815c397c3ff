"""The log of an endpoint's functions, written as Lambda writes it."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from contracts.identity import Project
from contracts.request_line import RequestLine
from lambdas.function_logs import log_group

MEMORY = "\tMemory Size: 1024 MB\tMax Memory Used: 90 MB"


@dataclass(frozen=True)
class Endpoint:
    """A project's functions; `logs` is a client of the emulator."""

    project: Project
    logs: Any

    def log(self, at_ms: int, messages: Iterable[str], *, of_image: bool = False) -> None:
        function = self.project.image_function_name() if of_image else self.project.function_name()
        group, stream = log_group(function), uuid.uuid4().hex
        if not self.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            self.logs.create_log_group(logGroupName=group)
        self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        self.logs.put_log_events(
            logGroupName=group,
            logStreamName=stream,
            logEvents=[{"timestamp": at_ms, "message": message} for message in messages],
        )

    def ask(self, at_ms: int, count: int = 1, **line: Any) -> None:
        """Requests that are answered alike; `line` says what differs from the usual answer."""
        self.log(at_ms, [text for _ in range(count) for text in _lines_of_call(line)])

    def die(self, at_ms: int) -> None:
        report = f"REPORT RequestId: {uuid.uuid4()}\tDuration: 30000.00 ms"
        self.log(at_ms, [f"{report}\tBilled Duration: 30000 ms{MEMORY}\tStatus: timeout\n"])


def _lines_of_call(line: dict[str, Any]) -> list[str]:
    request_id = str(uuid.uuid4())
    usual = RequestLine(request_id, 200, 10.0, "tuned-1", ("cat",), (0.9,))
    return [
        f"START RequestId: {request_id} Version: 1",
        f"[INFO]\t2026-11-20T12:00:00.000Z\t{request_id}\t{replace(usual, **line).to_json()}\n",
        f"END RequestId: {request_id}",
        f"REPORT RequestId: {request_id}\tDuration: 9.1 ms\tBilled Duration: 10 ms{MEMORY}",
    ]
