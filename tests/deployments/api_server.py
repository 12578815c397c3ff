"""The control API over HTTP as a gateway serves it, on the emulator's S3, DynamoDB and Lambda.

The workflow server is a stand-in that accepts every run; the endpoint is one that checks the key.
"""

import io
import json
import os
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from contracts.identity import Project
from lambdas import api, authorizer, environment
from lambdas.credentials import digest
from lambdas.state import State
from lambdas.table import Table
from serving.explanation import explain
from serving.predictor import Predictor
from tests import http_event
from tests.serving.conftest import colour_card, colour_graph

ROOT = Path(__file__).parents[2]
USER, TOKEN = "ann", "token-of-ann"
INGEST = "exemplar-cli-ingest"
PUBLIC = ("GET /v1/limits", "GET /v1/openapi.json")
RUN_ID = "5f0c7a52-0000-4000-8000-000000000001"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ApiServer:
    """A gateway in front of the handlers; `refuse_next` holds statuses to answer with first."""

    port: int
    bucket: str
    refuse_next: list[int] = field(default_factory=list)
    can_explain: bool = True  # an endpoint made by an older version cannot
    _server: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def state(self) -> State:
        return environment.state()

    @property
    def table(self) -> Table:
        return Table(boto3.client("dynamodb"), os.environ["EXEMPLAR_TABLE"])

    def stored(self, project: str) -> set[str]:
        pages = environment.s3().get_paginator("list_objects_v2")
        prefix = f"users/{USER}/{project}/objects/"
        found = pages.paginate(Bucket=self.bucket, Prefix=prefix)
        return {entry["Key"] for page in found for entry in page.get("Contents", [])}

    def serve_endpoint(self, project: str) -> str:
        endpoint = f"{self.url}/endpoint/{project}"
        self.state.update_project(Project(USER, project), endpoint=endpoint)
        return endpoint

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()  # a Lambda container serves one request at a time

    @cache  # as a gateway keeps it
    def verdict_on(credential: str) -> dict[str, Any]:
        return authorizer.handler({"identitySource": [credential]}, None)

    class Gateway(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            # A client that keeps the connection open would go on talking to a stopped server.
            self.close_connection = True
            if self.path.startswith("/prefect/"):
                run = {"id": RUN_ID, "status": "ACCEPT"}
                known: dict[str, Any] = {"filter": [], "count": 0}
                return self._send(200, known.get(self.path.rpartition("/")[2], run))
            if self.path.startswith("/endpoint/"):
                return self._predict(body)
            if server.refuse_next:
                return self._send(server.refuse_next.pop(0), {"message": "Service Unavailable"})
            return self._invoke(body)

        def __getattr__(self, name: str) -> Any:
            if name.startswith("do_"):  # whatever the method is called
                return self.answer
            raise AttributeError(name)

        def _invoke(self, body: bytes) -> None:
            if f"{self.command} {self.path}" in PUBLIC:
                return self._call(body, {})
            credential = self.headers.get("Authorization")
            if not credential:
                return self._send(401, {"message": "Unauthorized"})
            with one_at_a_time:
                verdict = verdict_on(credential)
            if not verdict["isAuthorized"]:
                return self._send(403, {"message": "Forbidden"})
            return self._call(body, {"authorizer": {"lambda": verdict["context"]}})

        def _call(self, body: bytes, context: dict[str, Any]) -> None:
            event = http_event.event(self.command, self.path, self.headers.items(), body, **context)
            with one_at_a_time:
                answer = api.handler(event, SimpleNamespace(aws_request_id="r"))
            return self._send(answer["statusCode"], answer["body"])

        def _predict(self, body: bytes) -> None:
            address = urlsplit(self.path)
            project = Project(USER, address.path.rpartition("/")[2])
            if server.state.project(project).setting("endpoint_auth") == "iam":
                signature = self.headers.get("Authorization", "")
                if not signature.startswith("AWS4-HMAC-SHA256 Credential=test/"):
                    return self._send(403, {"Message": "Forbidden"})
                return self._send(200, {"label": "signed", "key": self.headers.get("x-api-key")})
            keys = server.table.get((f"PROJECT#{project.slug}", "KEYS")) or {"hashes": set()}
            if digest(self.headers.get("x-api-key", "")) not in keys["hashes"]:
                error = {"code": "unauthorized", "message": "unknown key", "fix": "rotate it"}
                return self._send(401, {"error": error})
            answer: dict[str, Any] = {"label": "cat", "probabilities": {"cat": 0.9, "dog": 0.1}}
            if "explain=true" in address.query and server.can_explain:
                model = Predictor(colour_card(), colour_graph())
                answer["explanation"] = explain(model, body).as_dict()
            content_type = self.headers["Content-Type"]
            return self._send(
                200, answer | {"model_version": "draft-1", "got": [len(body), content_type]}
            )

        def _send(self, status: int, body: Any) -> None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Gateway


@contextmanager
def running_api(endpoint: str, bucket: str, table: str) -> Iterator[ApiServer]:
    """Everything up to the workflow server, with one user and her token."""
    with pytest.MonkeyPatch.context() as patch:
        server = ApiServer(free_port(), bucket)
        own = {
            "EXEMPLAR_BUCKET": bucket,
            "EXEMPLAR_TABLE": table,
            "EXEMPLAR_STACK": "exemplar",
            "EXEMPLAR_INGEST_FUNCTION": INGEST,
            "EXEMPLAR_PIPELINE": "pipeline/test",
            "PREFECT_API_URL": f"{server.url}/prefect",
            "EXEMPLAR_QUOTA_PROJECTS": "10000",  # one user makes those of all tests
            "EXEMPLAR_QUOTA_JOBS": "10000",
            "EXEMPLAR_QUOTA_TRAININGS_PER_DAY": "10000",
        }
        aws = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        for name, value in (own | aws).items():
            patch.setenv(name, value)
        _forget_clients()
        create_ingest(INGEST, own)
        server.state.put_token(TOKEN, USER, time.time() + 3600)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            _forget_clients()


def _forget_clients() -> None:
    clients = (environment.functions, environment.models, environment.logs)
    for client in (environment.s3, *clients, environment.state):
        client.cache_clear()


def create_ingest(function: str, variables: dict[str, str]) -> None:
    """The real function, which `train` calls."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        for package in ("contracts", "lambdas"):
            for path in (ROOT / package).glob("*.py"):
                target.write(path, f"{package}/{path.name}")
    client = boto3.client("lambda")
    names = [function["FunctionName"] for function in client.list_functions()["Functions"]]
    if function in names:  # of another test module on the same emulator
        client.delete_function(FunctionName=function)
    client.create_function(
        FunctionName=function,
        Runtime="python3.12",
        Role="arn:aws:iam::000000000000:role/ingest",
        Handler="lambdas.ingest.handler",
        Code={"ZipFile": archive.getvalue()},
        Environment={"Variables": variables},
        Timeout=60,
    )
    client.get_waiter("function_active_v2").wait(FunctionName=function)
