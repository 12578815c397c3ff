"""Who may talk to this machine's servers: they have no login, and every web page can reach them.

CORS rules do not keep pages out: they guard the answers, not the calls, and no WebSocket at all.
"""

import json
from collections.abc import Iterable

from contracts.errors import ExemplarError
from deployments.local.function_urls import AsgiApp, Receive, Scope, Send


class ForeignRequest(ExemplarError):
    """A web page or a host name that is not this server's own."""

    code = "foreign_request"
    http_status = 403


class OwnPages:
    """Refuses pages of other origins and foreign host names (DNS rebinding); programs pass."""

    def __init__(self, app: AsgiApp, port: int, origins: Iterable[str] = ()) -> None:
        self._app = app
        self._port = port
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on."""
        if scope["type"] in ("http", "websocket"):
            try:
                self._check(read_headers(scope))
            except ForeignRequest as error:
                return await refuse(scope, send, error)
        return await self._app(scope, receive, send)

    def _check(self, headers: dict[str, str]) -> None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._is_own(host):
            raise ForeignRequest(
                f"host {host!r} is not this server's",
                fix=f"use http://127.0.0.1:{self._port} or http://localhost:{self._port}",
            )
        if origin is None:
            if headers.get("sec-fetch-site") == "cross-site":
                raise ForeignRequest("a page of another site may not call this server")
        elif origin not in self._origins and not self._is_own(origin.removeprefix("http://")):
            raise ForeignRequest(
                f"a page at {origin!r} may not call this server",
                fix=f"open http://127.0.0.1:{self._port}; if that page is yours, the emulator "
                f"takes --allow-origin {origin}",
            )

    def _is_own(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        return port == str(self._port) and (
            name in ("127.0.0.1", "localhost") or name.endswith(".localhost")
        )


def read_headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; repeated values joined, so that a second `Host` cannot hide."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def refuse(scope: Scope, send: Send, error: ExemplarError) -> None:
    """Answer with the error, in a form that AWS clients understand too."""
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
