"""The servers' compose file: pinned as the product is, closed to the network, and commented."""

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
