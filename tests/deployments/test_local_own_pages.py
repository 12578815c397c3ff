"""Web sockets and repeated headers; the emulator's tests show the rest over HTTP."""

import asyncio
from typing import Any

import pytest

from deployments.local.own_pages import OwnPages


def reached(kind: str, *headers: tuple[str, str]) -> bool:
    """Whether a request with these headers gets to the application."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    async def send(message: Any) -> None:
        assert message["type"].startswith("websocket.close" if kind == "websocket" else "http.")

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": kind, "path": "/", "headers": raw}
    asyncio.run(OwnPages(app, 4200)(scope, lambda: asyncio.sleep(0), send))  # type: ignore[arg-type, return-value]
    return bool(seen)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ([("host", "127.0.0.1:4200")], True),
        ([("Host", "localhost:4200"), ("Origin", "http://localhost:4200")], True),
        ([("host", "127.0.0.1:4200"), ("origin", "http://127.0.0.1:5000")], False),
        ([("host", "127.0.0.1:4200"), ("origin", "https://127.0.0.1:4200")], False),
        ([("host", "127.0.0.1:4200"), ("origin", "null")], False),
        ([("host", "pages.example:4200")], False),
        ([("host", "127.0.0.1")], False),
        ([("host", "pages.example:4200"), ("host", "127.0.0.1:4200")], False),
        ([], False),
    ],
)
def test_only_own_hosts_and_origins_pass(
    kind: str, headers: list[tuple[str, str]], passes: bool
) -> None:
    assert reached(kind, *headers) is passes


def test_what_is_no_request_passes() -> None:
    assert reached("lifespan")
