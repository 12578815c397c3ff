"""Runs inside a Lambda sandbox of the emulator: imports the handler, then answers call after call.

Started as a script by an interpreter that sees nothing but the standard library. One JSON line on
standard input is one call, one JSON line on the original standard output is its answer.
"""

import contextlib
import importlib
import json
import logging
import os
import queue
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

MAX_RESPONSE_BYTES = 6 * 2**20  # AWS's limit for synchronous calls


class Context:
    """What AWS passes as a handler's second argument."""

    identity = None
    client_context = None

    def __init__(self, call: dict[str, Any]) -> None:
        self.aws_request_id: str = call["request_id"]
        self.invoked_function_arn: str = call["invoked_function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._deadline = time.monotonic() + call["timeout_seconds"]

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the sandbox is killed."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


class HandlerUnusable(Exception):
    """The function cannot be loaded or its result not sent; carries AWS's name for the reason."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def load_handler(handler: str) -> Any:
    """Import `package/module.function`. Raises `HandlerUnusable` with AWS's error types."""
    module_path, dot, function = handler.rpartition(".")
    if not dot:
        raise HandlerUnusable("Runtime.MalformedHandlerName", f"Bad handler '{handler}'")
    module_name = module_path.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        text = f"Unable to import module '{module_name}': {error}"
        raise HandlerUnusable("Runtime.ImportModuleError", text) from error
    except SyntaxError as error:
        text = f"Syntax error in module '{module_name}': {error}"
        raise HandlerUnusable("Runtime.UserCodeSyntaxError", text) from error
    if not hasattr(module, function):
        text = f"Handler '{function}' missing on module '{module_name}'"
        raise HandlerUnusable("Runtime.HandlerNotFound", text)
    return getattr(module, function)


def describe(error: BaseException, request_id: str) -> dict[str, Any]:
    """AWS's error payload; also writes the traceback to the log as AWS does."""
    error_type = error.error_type if isinstance(error, HandlerUnusable) else type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename != __file__]
    stack = traceback.format_list(own)
    sys.stdout.write(
        f"[ERROR] {error_type}: {error}\nTraceback (most recent call last):\n{''.join(stack)}"
    )
    return {
        "errorMessage": str(error),
        "errorType": error_type,
        "requestId": request_id,
        "stackTrace": stack,
    }


def answer(handler: Any, call: dict[str, Any]) -> str:
    """Run one call; the returned line holds either `result` or `error`."""
    context = Context(call)
    try:
        return encode(handler(call["event"], context))
    except Exception as error:  # noqa: BLE001 - whatever a function raises becomes its answer
        return json.dumps({"error": describe(error, context.aws_request_id)})


def encode(result: Any) -> str:
    """The answer's line. Raises `HandlerUnusable` for what AWS refuses as a result."""
    try:
        line = json.dumps({"result": result})
    except (TypeError, ValueError, RecursionError) as error:
        text = f"Unable to marshal response: {error}"
        raise HandlerUnusable("Runtime.MarshalError", text) from error
    if len(line) > MAX_RESPONSE_BYTES:
        text = f"the response has {len(line)} bytes, at most {MAX_RESPONSE_BYTES} are allowed"
        raise HandlerUnusable("Function.ResponseSizeTooLarge", text)
    return line


class _RequestIdFilter(logging.Filter):
    """Gives log records the running call's id, as AWS's format shows it."""

    request_id = ""

    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = self.request_id
        return True


def configure_logging() -> _RequestIdFilter:
    """Install the root handler that AWS's Python runtime has."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s",
            "%Y-%m-%dT%H:%M:%S",
        )
    )
    request_filter = _RequestIdFilter()
    handler.addFilter(request_filter)
    logging.getLogger().addHandler(handler)
    return request_filter


def search_path(code: str, layers: list[str], runtime_libraries: str) -> list[str]:
    """As in AWS: the function's code, its layers (a later one wins), the runtime, its libraries."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    from_layers = [
        str(folder)
        for layer in reversed(layers)
        for folder in (
            Path(layer, "python", "lib", version, "site-packages"),
            Path(layer, "python"),
        )
        if folder.is_dir()
    ]
    return [code, *from_layers, *sys.path, runtime_libraries]


def _read_calls(source: Any, calls: "queue.SimpleQueue[str]") -> None:
    for line in source:
        calls.put(line)
    # The emulator is gone. The sandbox leads its own process group: end what it started as well.
    with contextlib.suppress(OSError):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _take_over_pipes() -> tuple[Any, Any]:
    """Keep the protocol's pipes to ourselves: a handler's `print` and its children use the log."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def main() -> None:
    """Load the handler that the first line names, then serve calls until the pipe closes."""
    requests, replies = _take_over_pipes()
    start = json.loads(requests.readline())
    calls: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_calls, args=(requests, calls), daemon=True).start()
    sys.path[:] = search_path(start["code"], start["layers"], start["runtime_libraries"])
    request_filter = configure_logging()

    def reply(line: str) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(2, f"{start['end_of_log']}\n".encode())
        replies.write(line + "\n")
        replies.flush()

    try:
        handler = load_handler(start["handler"])
    except Exception as error:  # noqa: BLE001 - a module may raise anything while it is imported
        reply(json.dumps({"error": describe(error, "")}))
        return
    reply(json.dumps({"result": "ready"}))
    while True:
        call = json.loads(calls.get())
        request_filter.request_id = call["request_id"]
        reply(answer(handler, call))


if __name__ == "__main__":
    main()
