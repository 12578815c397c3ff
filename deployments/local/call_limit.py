"""Lambda's limit on the size of a call, which the emulator itself does not know."""

import re
from typing import Any

from contracts.errors import LimitExceeded
from deployments.local.function_urls import AsgiApp, Receive, Scope, Send, is_function_url
from deployments.local.own_pages import read_headers, refuse

MAX_CALL_BYTES = 6 * 2**20  # AWS's limit for a synchronous Lambda call
_INVOKE = re.compile(r"/2015-03-31/functions/[^/]+/invocations")


class CallTooLarge(LimitExceeded):
    """More than Lambda accepts in one call."""

    code = "RequestTooLargeException"  # AWS's own name: boto3 makes an exception class of it


class CallLimit:
    """Refuses calls of functions beyond Lambda's size."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] == "http":
            headers = read_headers(scope)
            if _is_call(scope, headers):
                try:
                    receive = await _limited(headers, receive)
                except CallTooLarge as error:
                    return await refuse(scope, send, error)
        return await self._app(scope, receive, send)


def _is_call(scope: Scope, headers: dict[str, str]) -> bool:
    path = str(scope["path"])
    return bool(_INVOKE.fullmatch(path)) or is_function_url(headers["host"], path)


async def _limited(headers: dict[str, str], receive: Receive) -> Receive:
    """Read the whole body, at most `MAX_CALL_BYTES`, and hand out a `receive` that replays it."""
    announced = headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > MAX_CALL_BYTES:
        raise _too_large()
    messages: list[Any] = []
    size = 0
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())
        size += len(messages[-1].get("body", b""))
        if size > MAX_CALL_BYTES:
            raise _too_large()
    replay = iter(messages)

    async def replayed() -> Any:
        message = next(replay, None)
        return await receive() if message is None else message

    return replayed


def _too_large() -> CallTooLarge:
    return CallTooLarge(
        f"Request must be smaller than {MAX_CALL_BYTES} bytes for the InvokeFunction operation",
        fix="put the data into S3 and send its key",
    )
