"""What a page in this machine's browser reaches of Prefect and MLflow, which have no login here."""

import json
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

pytestmark = pytest.mark.stack

FLOW = ("prefect", "/api/flows/")
EXPERIMENT = ("mlflow", "/api/2.0/mlflow/experiments/create")
ELSEWHERE = "http://pages.example"


def address(stack: Any, server: str) -> str:
    return str(stack.links.prefect_ui if server == "prefect" else stack.links.mlflow_ui)


@pytest.mark.parametrize("target", [FLOW, EXPERIMENT], ids=["prefect", "mlflow"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": ELSEWHERE, "content-type": "application/json"},
        {"origin": ELSEWHERE},  # a Blob without a type: no preflight is asked for
        {"origin": ELSEWHERE, "content-type": "text/plain"},
        {"origin": "null", "content-type": "text/plain"},  # a sandboxed frame
        {"origin": "http://pages.example:{port}", "host": "pages.example:{port}"},  # rebinding
        {"host": "pages.example:{port}", "content-type": "application/json"},
        {"host": "10.pages.example:{port}"},  # looks like a private address to a pattern
        {"host": "192.168.pages.example:{port}"},
    ],
    ids=str,
)
def test_pages_of_other_sites_change_nothing(
    stack: Any, target: tuple[str, str], headers: dict[str, str]
) -> None:
    server, path = target
    base = address(stack, server)
    sent = {name: value.format(port=httpx.URL(base).port) for name, value in headers.items()}
    answer = httpx.post(base + path, content=json.dumps({"name": "planted"}), headers=sent)
    assert answer.status_code == 403, answer.text
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("prefect", "/api/admin/settings"),
        ("prefect", "/ui-settings"),
        ("mlflow", "/api/2.0/mlflow/experiments/search?max_results=1"),
    ],
)
def test_a_name_that_was_rebound_to_this_machine_reads_nothing(
    stack: Any, server: str, path: str
) -> None:
    base = address(stack, server)
    for name in ("pages.example", "10.pages.example"):
        host = f"{name}:{httpx.URL(base).port}"
        assert httpx.get(base + path, headers={"host": host}).status_code == 403
    assert httpx.get(base + path).status_code == 200


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
def test_websockets_open_for_programs_and_own_pages_only(stack: Any, path: str) -> None:
    """They tell the ids of flows and deployments, and CORS does not hold for them."""
    base = stack.links.prefect_ui
    url = base.replace("http://", "ws://") + path
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, origin=ELSEWHERE, subprotocols=["prefect"])
    for origin in (None, base):
        with connect(url, origin=origin, subprotocols=["prefect"]):
            continue


def test_tokens_and_keys_of_the_product_are_no_origin(stack: Any) -> None:
    """A page that has got hold of a user's token is still a page of elsewhere."""
    headers = {"origin": ELSEWHERE, "authorization": f"Bearer {stack.links.token}"}
    for server, path in (FLOW, EXPERIMENT):
        answer = httpx.post(address(stack, server) + path, json={"name": "p"}, headers=headers)
        assert answer.status_code == 403
