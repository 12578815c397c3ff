"""Runs a function zip as Lambda does: nothing but the zip, its layers and the runtime to import.

A small Lambda Runtime API (standard library) serves one `awslambdaric` child, AWS's own client,
which is started without site-packages.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_RUNTIME_LIBRARIES = ("awslambdaric", "simplejson", "snapshot-restore-py")
# Lambda's order: the function, its layers, the standard library, the runtime's own packages.
_BOOT = """
import os, sys
front, back = os.environ.pop("TEST_FRONT"), os.environ.pop("TEST_BACK")
sys.path[:0] = front.split(os.pathsep)
sys.path.append(back)
import awslambdaric.__main__ as client
client.main(["bootstrap", os.environ["_HANDLER"]])
"""


class FunctionError(Exception):
    """The function failed; `kind` is AWS's errorType, e.g. `Runtime.ImportModuleError`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class LambdaRuntime:
    """`with LambdaRuntime(zip, "lambdas.api.handler") as function: function.invoke({})`.

    `libraries` names installed distributions that AWS's image has beside the runtime client, such
    as boto3. Raises `FunctionError` on entering when the function cannot be initialised.
    """

    def __init__(
        self,
        function_zip: Path,
        handler: str,
        layers: Iterable[Path] = (),
        env: Mapping[str, str] | None = None,
        libraries: Iterable[str] = (),
        timeout_seconds: float = 30.0,
    ) -> None:
        self._zips = [function_zip, *layers]
        self._handler = handler
        self._env = dict(env or {})
        self._libraries = [*_RUNTIME_LIBRARIES, *libraries]
        self._timeout_seconds = timeout_seconds
        self._api = _RuntimeApi()
        self.init_seconds = 0.0

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="lambda-runtime-")
        self._api.start()
        started = time.perf_counter()
        self._child = self._start(Path(self._folder.name))
        try:
            self._await(self._api.is_initialised)
        except BaseException:
            self._stop()
            raise
        self.init_seconds = time.perf_counter() - started
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def invoke(self, event: Any) -> Any:
        """Return the handler's answer to a JSON event. Raises `FunctionError`."""
        call = _Call(json.dumps(event).encode(), self._timeout_seconds)
        self._api.put(call)
        self._await(call.is_done)
        answer = json.loads(call.answer)
        if call.is_error:
            raise FunctionError(answer["errorType"], answer["errorMessage"])
        return answer

    def _start(self, folder: Path) -> "subprocess.Popen[bytes]":
        roots = [folder / ("task" if number == 0 else f"opt{number}") for number in range(9)]
        for source, root in zip(self._zips, roots, strict=False):
            with zipfile.ZipFile(source) as archive:
                archive.extractall(root)
        task, layers = roots[0], roots[1 : len(self._zips)]
        front = [str(task), *(str(layer / "python") for layer in layers)]
        _link_distributions(self._libraries, folder / "runtime")
        environment = {
            "PATH": "/usr/bin:/bin",
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "function-under-test",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": str(task),
            "_HANDLER": self._handler,
            "TEST_FRONT": os.pathsep.join(front),
            "TEST_BACK": str(folder / "runtime"),
        }
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT], cwd=task, env=environment | self._env
        )

    def _await(self, done: threading.Event) -> None:
        deadline = time.monotonic() + self._timeout_seconds
        while not done.wait(0.01):
            if self._api.init_error:
                error = json.loads(self._api.init_error)
                raise FunctionError(error["errorType"], error["errorMessage"])
            if self._child.poll() is not None and not self._api.init_error:
                raise FunctionError("Runtime.ExitError", f"status {self._child.returncode}")
            if time.monotonic() > deadline:
                raise FunctionError("Sandbox.Timedout", f"after {self._timeout_seconds} seconds")

    def _stop(self) -> None:
        self._child.kill()
        self._child.wait()
        self._api.stop()
        self._folder.cleanup()


class _Call:
    """One event on its way through the child."""

    def __init__(self, event: bytes, timeout_seconds: float) -> None:
        self.request_id = str(uuid.uuid4())
        self.event = event
        self.deadline_ms = int((time.time() + timeout_seconds) * 1000)
        self.answer = b""
        self.is_error = False
        self.is_done = threading.Event()


class _RuntimeApi:
    """The four calls of the Lambda Runtime API, for one child and one event at a time."""

    def __init__(self) -> None:
        self.is_initialised = threading.Event()
        self.init_error = b""
        self._waiting: queue.Queue[_Call | None] = queue.Queue()
        self._calls: dict[str, _Call] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_for(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, call: _Call) -> None:
        self._calls[call.request_id] = call
        self._waiting.put(call)

    def next(self) -> _Call | None:
        self.is_initialised.set()
        return self._waiting.get()

    def finish(self, path: str, body: bytes) -> None:
        if path.endswith("/init/error"):
            self.init_error = body
            return
        request_id, kind = path.split("/")[-2:]
        call = self._calls.pop(request_id)
        call.answer, call.is_error = body, kind == "error"
        call.is_done.set()


def _handler_for(api: _RuntimeApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        disable_nagle_algorithm = True  # else every answer waits 40 ms for an acknowledgement
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if call := api.next():
                self._reply(
                    200,
                    call.event,
                    {
                        "Lambda-Runtime-Aws-Request-Id": call.request_id,
                        "Lambda-Runtime-Deadline-Ms": str(call.deadline_ms),
                        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:0:f",
                        "Content-Type": "application/json",
                    },
                )

        def do_POST(self) -> None:
            api.finish(self.path, self._body())
            self._reply(202, b"", {})

        def _body(self) -> bytes:
            if length := self.headers.get("Content-Length"):
                return self.rfile.read(int(length))
            body = b""  # awslambdaric streams long answers in chunks
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body

        def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    return Handler


def _link_distributions(names: Iterable[str], folder: Path) -> None:
    """Make the installed distributions, and nothing beside them, importable from `folder`."""
    folder.mkdir()
    for name in names:
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or () if ".." not in file.parts}:
            if not (folder / top).exists() and top != "__pycache__":
                (folder / top).symlink_to(Path(str(distribution.locate_file(top))).absolute())
