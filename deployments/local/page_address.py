"""The page and its API at one short address that stays, whatever id the API has got: `/app/`."""

from typing import Final

from contracts.errors import NotFound
from deployments.local.function_urls import AsgiApp, Receive, Scope, Send
from deployments.local.own_pages import refuse

PREFIX: Final = "/app"
STACK: Final = "exemplar"


def at_app(app: AsgiApp, stack: str = STACK) -> AsgiApp:
    """Serve `/app/{path}` as the `/{path}` of the stack's API."""

    async def rewritten(scope: Scope, receive: Receive, send: Send) -> None:
        raw = b"" if scope["type"] != "http" else scope.get("raw_path") or scope["path"].encode()
        if raw == PREFIX.encode():
            return await _redirect(scope, send)
        if not raw.startswith(f"{PREFIX}/".encode()):
            return await app(scope, receive, send)
        api_id = _api_named(stack)
        if api_id is None:
            error = NotFound(f"no stack {stack!r} is deployed here", fix="run `exemplar up`")
            return await refuse(scope, send, error)
        target = f"/_aws/execute-api/{api_id}/$default"
        path = target + scope["path"].removeprefix(PREFIX)
        raw = target.encode() + raw.removeprefix(PREFIX.encode())
        return await app(dict(scope) | {"path": path, "raw_path": raw}, receive, send)

    return rewritten


def _api_named(stack: str) -> str | None:
    from ministack.services import apigateway

    found = [api_id for (*_, api_id), api in apigateway._apis.all_items() if api["name"] == stack]
    return str(found[-1]) if found else None


async def _redirect(scope: Scope, send: Send) -> None:
    """The page's own links are relative to its folder."""
    query = scope.get("query_string") or b""
    location = f"{PREFIX}/".encode() + (b"?" + query if query else b"")
    headers = [(b"location", location), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
