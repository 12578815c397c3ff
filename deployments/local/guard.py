"""Who may talk to the emulator: it has no login, and every web page can reach this machine."""

import json
import re
from collections.abc import Iterable
from typing import Any

from contracts.errors import ExemplarError, LimitExceeded
from deployments.local.function_urls import AsgiApp, Receive, Scope, Send, is_function_url

MAX_CALL_BYTES = 6 * 2**20  # AWS's limit for a synchronous Lambda call
_INVOKE = re.compile(r"/2015-03-31/functions/[^/]+/invocations")


class ForeignRequest(ExemplarError):
    """A web page or a name that is not this emulator's own."""

    code = "foreign_request"
    http_status = 403


class CallTooLarge(LimitExceeded):
    """More than Lambda accepts in one call."""

    code = "RequestTooLargeException"  # AWS's own name: boto3 makes an exception class of it


class Guard:
    """Refuses foreign pages, foreign host names (DNS rebinding) and calls beyond Lambda's size."""

    def __init__(self, app: AsgiApp, port: int, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._port = port
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = _headers(scope)
        try:
            self._check(headers)
            if scope["type"] == "http" and _is_call(scope, headers):
                receive = await _limited(headers, receive)
        except ExemplarError as error:
            return await _refuse(scope, send, error)
        return await self._app(scope, receive, send)

    def _check(self, headers: dict[str, str]) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(host):
            raise ForeignRequest(
                f"host {host!r} is not this emulator's",
                fix=f"use http://127.0.0.1:{self._port} or http://localhost:{self._port}",
            )
        if origin is None:
            if headers.get("sec-fetch-site") == "cross-site":
                raise ForeignRequest("a page of another site may not call the emulator")
        elif origin not in self._origins and not self._is_own(origin.removeprefix("http://")):
            raise ForeignRequest(
                f"a page at {origin!r} may not call the emulator",
                fix=f"start it with --allow-origin {origin}, if that page is yours",
            )

    def _is_own(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        return port == str(self._port) and (
            name in ("127.0.0.1", "localhost") or name.endswith(".localhost")
        )


def _headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; repeated values joined, so that a second `Host` cannot hide."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


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


async def _refuse(scope: Scope, send: Send, error: ExemplarError) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    # AWS clients read `message` and the header, everything else reads `error`.
    body = json.dumps(error.as_dict() | {"message": error.message}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-amzn-errortype", error.code.encode()),
        (b"connection", b"close"),  # an unread body must not be taken for the next request
    ]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
