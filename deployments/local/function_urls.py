"""Function URLs by path: `*.localhost`, as ministack forms them, does not resolve everywhere."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

PREFIX = "/lambda-url/"
_MINISTACK_PREFIX = "/_aws/lambda-url/"
_BY_HOST = re.compile(r"[a-z0-9-]+\.lambda-url\.")


def by_path(app: AsgiApp) -> AsgiApp:
    """Serve `/lambda-url/{url id}/{path}` as the function URL's own `/{path}`."""

    async def rewritten(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            raw = scope.get("raw_path") or scope["path"].encode()
            scope = dict(scope) | {
                "path": _MINISTACK_PREFIX + scope["path"].removeprefix(PREFIX),
                "raw_path": _MINISTACK_PREFIX.encode() + raw.removeprefix(PREFIX.encode()),
            }
        await app(scope, receive, send)

    return rewritten


def is_function_url(host: str, path: str) -> bool:
    """Whether a request goes to a function URL, in any of the forms."""
    return path.startswith((PREFIX, _MINISTACK_PREFIX)) or bool(_BY_HOST.match(host))
