"""The API behind an issuer of JWTs: the template and the real handlers, on the emulator."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from contracts.archive import write_zip
from deployments.deploy import DeploySettings, deploy
from deployments.packaging import ROOT, Archive, Builder
from tests.emulator_process import emulator, free_port

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
UUID = "0a1b2c3d-0000-4000-8000-00000000ff00"


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Who signs tokens, and the server that publishes the key for checking them."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65_537, 2_048)
        documents = {"/.well-known/jwks.json": self._keys()}

        class Publisher(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = documents.get(self.path)
                body = json.dumps(found or {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def _keys(self) -> dict[str, Any]:
        numbers = self.key.public_key().public_numbers()
        length = (numbers.n.bit_length() + 7) // 8
        modulus, exponent = numbers.n.to_bytes(length, "big"), numbers.e.to_bytes(3, "big")
        own = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "k1"}
        return {"keys": [own | {"n": packed(modulus), "e": packed(exponent)}]}

    def token(self, sub: str, key: rsa.RSAPrivateKey | None = None, **claims: Any) -> str:
        now = int(time.time())
        whole = {"iss": self.url, "aud": "app", "iat": now, "exp": now + 600, "sub": sub} | claims
        head = {"alg": "RS256", "kid": "k1", "typ": "JWT"}
        signed = ".".join(packed(json.dumps(part).encode()) for part in (head, whole))
        signature = (key or self.key).sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{packed(signature)}"


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def base(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API's address, deployed by the template with the handlers of this source tree."""
    port, folder = free_port(), tmp_path_factory.mktemp("jwt")
    sources = [
        (path.relative_to(ROOT).as_posix(), path)
        for package in ("contracts", "lambdas", "serving")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    with emulator(folder, port), pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        for name, entries in (("control_zip", sources), ("inference_layer", [("python/x", b"")])):
            path = folder / f"{name}.zip"
            archive = Archive(path, write_zip(entries, path))
            patch.setattr(Builder, name, lambda _, found=archive: found)
        parameters = {"JwtIssuer": issuer.url, "JwtAudience": "app,other"}
        settings = DeploySettings(
            folder, "http://127.0.0.1:1/api", stack="jwt", parameters=parameters
        )
        outputs = deploy(settings, boto3.Session("test", "test", region_name="us-east-1"))
        yield f"http://127.0.0.1:{port}/_aws/execute-api/{outputs.api_id}/$default/v1"


def asked(url: str, token: str, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body:
        return httpx.post(url, headers=headers, json=body, timeout=30)
    return httpx.get(url, headers=headers, timeout=30)


def test_the_tenant_is_what_the_claim_says(base: str, issuer: Issuer) -> None:
    assert asked(f"{base}/account", issuer.token("ann")).json()["user"] == "ann"
    uuid = asked(f"{base}/account", issuer.token(UUID, aud=["other", "third"])).json()
    assert uuid["user"] == UUID.replace("-", "")
    mine = asked(f"{base}/projects", issuer.token("ann"), name="letters", kind="text")
    assert mine.status_code == 201
    assert len(asked(f"{base}/projects", issuer.token("ann")).json()["projects"]) == 1
    assert asked(f"{base}/projects", issuer.token("eve")).json()["projects"] == []
    assert asked(f"{base}/limits", "").status_code == 200


def test_a_token_for_somebody_else_or_by_somebody_else_opens_nothing(
    base: str, issuer: Issuer
) -> None:
    past = int(time.time()) - 10
    header, payload, _ = issuer.token("ann").split(".")
    unsigned = packed(json.dumps({"alg": "none", "kid": "k1"}).encode())
    tokens = {
        "none": "",
        "another audience": issuer.token("ann", aud="stranger"),
        "another issuer": issuer.token("ann", iss="http://127.0.0.1:1"),
        "expired": issuer.token("ann", exp=past),
        "another key": issuer.token("ann", rsa.generate_private_key(65_537, 2_048)),
        "no signature": f"{header}.{payload}.",
        "no algorithm": f"{unsigned}.{payload}.",
        "ours": "xt_ann_" + "x" * 43,
    }
    answers = {name: asked(f"{base}/account", token) for name, token in tokens.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(
        tokens, 401
    )


def test_a_name_that_can_be_no_user_is_told_by_the_api(base: str, issuer: Issuer) -> None:
    answer = asked(f"{base}/account", issuer.token("Ann Smith"))
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (401, "unauthorized")
    assert "'sub' of your token is 'Ann Smith'" in error["message"]


def test_deploying_asks_for_both_and_for_no_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from deployments import cli

    monkeypatch.chdir(tmp_path)
    common = [
        "deploy",
        "--yes",
        "--prefect-api-url",
        "http://x",
        "--mlflow-tracking-uri",
        "http://y",
    ]
    assert cli.main([*common, "--jwt-issuer", "https://issuer.example"]) == 1
    assert "--jwt-audience belong together" in capsys.readouterr().err
    both = [*common, "--jwt-issuer", "https://issuer.example", "--jwt-audience", "app"]
    assert cli.main([*both, "--token-for", "ann"]) == 1
    assert "leave --token-for out" in capsys.readouterr().err
