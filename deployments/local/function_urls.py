"""Function URLs by path, as `*.localhost` does not resolve everywhere, and with their signers."""

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


def name_signers() -> None:
    """Tell a function who has signed a request for its URL, as Lambda does and ministack does not.

    A signature is not checked: whoever can reach this machine's emulator is its owner.
    """
    from ministack.services import apigateway, lambda_svc

    build = lambda_svc._build_function_url_event

    def named(*arguments: Any, **known: Any) -> Any:
        event = build(*arguments, **known)
        headers, query = arguments[5], arguments[7]
        if not known.get("anonymous"):
            signer = apigateway._iam_caller_identity_v2(headers, query)
            event["requestContext"] |= {"authorizer": {"iam": signer}} if signer else {}
        return event

    lambda_svc._build_function_url_event = named


def is_function_url(host: str, path: str) -> bool:
    """Whether a request goes to a function URL, in any of the forms."""
    return path.startswith((PREFIX, _MINISTACK_PREFIX)) or bool(_BY_HOST.match(host))
