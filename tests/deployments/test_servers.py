"""The servers' compose file: pinned as the product is, closed to the network, and commented."""

import base64
import re
from typing import Any

import pytest
import yaml

from deployments.packaging import ROOT

FILE = ROOT / "deployments" / "servers" / "compose.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text(encoding="utf-8")))


def pinned(package: str) -> str:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    (version,) = [line.split("==")[1] for line in lines if line.startswith(f"{package}==")]
    return version


def test_servers_have_the_versions_of_their_clients(document: dict[str, Any]) -> None:
    services = document["services"]
    assert f":{pinned('prefect')}-python" in services["prefect"]["image"]
    recipe = services["mlflow"]["build"]["dockerfile_inline"]
    assert f"'mlflow[auth]=={pinned('mlflow')}'" in recipe
    assert f"'boto3=={pinned('boto3')}'" in recipe
    assert "latest" not in FILE.read_text()


def test_nothing_listens_beyond_loopback_unless_it_is_told_to(document: dict[str, Any]) -> None:
    for name, service in document["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("${BIND_ADDRESS:-127.0.0.1}:"), name
    assert "ports" not in document["services"]["postgres"]


def test_every_service_is_watched_and_every_secret_has_to_be_given(
    document: dict[str, Any],
) -> None:
    for service in document["services"].values():
        assert service["healthcheck"]["test"]
        assert service["restart"] == "unless-stopped"
    text = FILE.read_text()
    for secret in (
        "POSTGRES_PASSWORD",
        "PREFECT_API_AUTH_STRING",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_FLASK_SERVER_SECRET_KEY",
    ):
        assert f"${{{secret}:?" in text


def test_the_example_names_every_variable() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", FILE.read_text()))
    example = (ROOT / "deployments" / "servers" / "servers.env.example").read_text()
    assert used == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


TOKEN, KEY = "xt_ann_secret", "xk_secret"  # what tenants have


@pytest.fixture(scope="module")
def prefect_with_login() -> Any:
    """The server's application with the setting that the compose file gives it."""
    from prefect.server.api.server import create_app
    from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings
    from starlette.testclient import TestClient

    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "operator:password"}):
        yield TestClient(create_app(ignore_cache=True))


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    ["", f"Bearer {TOKEN}", f"Bearer {KEY}", basic(TOKEN), basic(f"ann:{TOKEN}"), basic(":")],
)
def test_no_tenants_credential_opens_prefect(prefect_with_login: Any, header: str) -> None:
    headers = {"Authorization": header} if header else {}
    for call in ("/api/admin/settings", "/api/flow_runs/count", "/api/admin/version"):
        assert prefect_with_login.get(call, headers=headers).status_code == 401
    right = {"Authorization": basic("operator:password")}
    assert prefect_with_login.get("/api/admin/version", headers=right).status_code == 200


@pytest.mark.parametrize("path", ["/api/events/in", "/api/events/out", "/api/logs/out"])
@pytest.mark.parametrize("token", [None, TOKEN, KEY, "operator"])
def test_no_tenants_credential_opens_its_websockets(
    prefect_with_login: Any, path: str, token: str | None
) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), prefect_with_login.websocket_connect(path):
        pass  # without the protocol that logs in
    with prefect_with_login.websocket_connect(path, subprotocols=["prefect"]) as socket:
        socket.send_json({"type": "auth", "token": token})
        with pytest.raises(WebSocketDisconnect):
            socket.receive_json()


def test_mlflow_asks_for_a_login_and_knows_its_own_names_only(document: dict[str, Any]) -> None:
    command = document["services"]["mlflow"]["command"]
    assert "--app-name basic-auth" in command
    assert "default_permission = NO_PERMISSIONS" in document["configs"]["mlflow_auth"]["content"]
    (hosts,) = re.findall(r"--allowed-hosts \$\{MLFLOW_ALLOWED_HOSTS:-(\S+)\}", command)
    # MLflow's own default takes 10.*, which is also a name that anybody can have: 10.example.org.
    assert hosts == "127.0.0.1:*,localhost:*"


def test_prefect_takes_calls_from_its_own_page_only(document: dict[str, Any]) -> None:
    variables = document["services"]["prefect"]["environment"]
    assert variables["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"].startswith(
        "${PREFECT_ORIGIN:-http://127"
    )
