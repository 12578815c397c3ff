"""EC2 for tests: moto's API, and a hypervisor that boots each instance's user data as processes.

An instance's processes carry its id in their environment, so that ending it ends all of them,
whatever sessions they have made. `AWS_EC2_METADATA_SERVICE_ENDPOINT` names its metadata service.
"""

import base64
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.exceptions import ClientError
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import InstanceBackend
from moto.server import ThreadedMotoServer

REGION, ACCOUNT = "us-east-1", "123456789012"
MARK = "EXEMPLAR_TEST_INSTANCE"
_STEP_SECONDS = 0.2


class Hypervisor:
    """Boots, interrupts and ends instances; use it through `hypervisor()`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], port: int) -> None:
        self.folder, self.environment = folder, dict(environment)
        self.endpoint = f"http://127.0.0.1:{port}"
        self.client = boto3.client(
            "ec2",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self.refusals: list[tuple[str, str, str]] = []  # (instance type or "", market or "", code)
        self.launches: list[dict[str, Any]] = []
        self.boots = True  # else machines stay at their start, as EC2's do for a minute
        self._booted: dict[str, subprocess.Popen[bytes]] = {}
        self._noticed: set[str] = set()
        self._stopped = threading.Event()
        self._metadata = metadata_server(self._noticed)
        self._stub = self._shutdown_stub()

    # What a test looks at

    def instances(self, *states: str) -> list[dict[str, Any]]:
        """Descriptions of all instances, or of those in the given states."""
        reservations = self.client.describe_instances()["Reservations"]
        found = [instance for r in reservations for instance in r["Instances"]]
        return [i for i in found if not states or i["State"]["Name"] in states]

    def living(self) -> list[str]:
        return [i["InstanceId"] for i in self.instances("pending", "running", "stopping")]

    def log(self, instance_id: str) -> str:
        return (self.folder / f"{instance_id}.log").read_text(errors="replace")

    # What a test does

    def refuse(self, code: str, instance_type: str = "", market: str = "") -> None:
        """From now on refuse such launches with an error code of EC2."""
        self.refusals.append((instance_type, market, code))

    def notice(self, instance_id: str) -> None:
        """Announce a spot interruption in the instance's metadata."""
        self._noticed.add(instance_id)

    def take_back(self, instance_id: str) -> None:
        """A hard spot interruption."""
        self._end(instance_id, "Server.SpotInstanceTermination")

    # The machine room

    def run(self) -> None:
        while not self._stopped.wait(_STEP_SECONDS):
            with suppress(ClientError):
                self._step()

    def close(self) -> None:
        self._stopped.set()
        for instance_id, process in self._booted.items():
            _kill(instance_id)
            process.wait()
        self._metadata.shutdown()
        self._metadata.server_close()

    def _step(self) -> None:
        for instance in self.instances():
            instance_id, state = instance["InstanceId"], instance["State"]["Name"]
            if state == "running" and instance_id not in self._booted:
                if self.boots:
                    self._boot(instance_id)
            elif state in {"terminated", "shutting-down"} and instance_id in self._booted:
                _kill(instance_id)
            elif state == "running" and self._flag(instance_id).exists():
                self._end(instance_id, "Client.InstanceInitiatedShutdown")

    def _boot(self, instance_id: str) -> None:
        answer = self.client.describe_instance_attribute(
            InstanceId=instance_id, Attribute="userData"
        )
        script = self.folder / f"{instance_id}.sh"
        script.write_bytes(base64.b64decode(answer["UserData"]["Value"]))
        address = f"http://127.0.0.1:{self._metadata.server_port}/{instance_id}"
        own = {
            MARK: instance_id,
            "HOME": str(self.folder / f"{instance_id}.home"),
            "PREFECT_HOME": str(self.folder / f"{instance_id}.home"),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": address,
            "SHUTDOWN_FLAG": str(self._flag(instance_id)),
        }
        path = {"PATH": f"{self._stub}{os.pathsep}{self.environment['PATH']}"}
        with (self.folder / f"{instance_id}.log").open("wb") as log:
            self._booted[instance_id] = subprocess.Popen(
                ["bash", str(script)],
                env=self.environment | own | path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    def _end(self, instance_id: str, code: str) -> None:
        self.client.terminate_instances(InstanceIds=[instance_id])
        _moto_instance(instance_id).state_reason.code = code
        _kill(instance_id)

    def _flag(self, instance_id: str) -> Path:
        return self.folder / f"{instance_id}.shutdown"

    def _shutdown_stub(self) -> Path:
        folder = self.folder / "bin"
        folder.mkdir(parents=True)
        stub = folder / "shutdown"
        stub.write_text('#!/bin/bash\ntouch "$SHUTDOWN_FLAG"\n')
        stub.chmod(0o755)
        return folder


@contextmanager
def hypervisor(folder: Path, environment: Mapping[str, str]) -> Iterator[Hypervisor]:
    """EC2 on loopback. Instances see `environment`, which needs a PATH with the interpreter."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request otherwise
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    machines = Hypervisor(folder, environment, port)
    thread = threading.Thread(target=machines.run, daemon=True)
    add_instances = InstanceBackend.run_instances

    def guarded(backend: Any, image_id: str, count: int, user_data: str, *args: Any, **kw: Any):
        asked = kw | {"image_id": image_id}
        for instance_type, market, code in machines.refusals:
            is_spot = bool(kw.get("instance_market_options"))
            if instance_type in {"", kw.get("instance_type")} and market in {
                "",
                "spot" if is_spot else "on-demand",
            }:
                raise _Refusal(code)
        machines.launches.append(asked)
        return add_instances(backend, image_id, count, user_data, *args, **kw)

    InstanceBackend.run_instances = guarded
    thread.start()
    try:
        yield machines
    finally:
        InstanceBackend.run_instances = add_instances
        machines.close()
        thread.join(5)
        server.stop()
        ec2_backends[ACCOUNT][REGION].reset()


class _Refusal(EC2ClientError):
    def __init__(self, code: str) -> None:
        super().__init__(code, f"refused for the test: {code}")


def _moto_instance(instance_id: str) -> Any:
    backend = ec2_backends[ACCOUNT][REGION]
    return next(
        instance
        for reservation in backend.reservations.values()
        for instance in reservation.instances
        if instance.id == instance_id
    )


def _kill(instance_id: str) -> None:
    """Power off: every process of the instance, at once."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == instance_id:
                process.kill()


def metadata_server(noticed: set[str]) -> ThreadingHTTPServer:
    """IMDSv2: a token first, then the spot notice of the instances that have one."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self._answer(200, b"token")

        def do_GET(self) -> None:
            instance_id = self.path.split("/")[1]
            has_token = self.headers.get("X-aws-ec2-metadata-token") == "token"
            is_notice = self.path.endswith("/latest/meta-data/spot/instance-action")
            if not has_token:
                self._answer(401, b"")
            elif is_notice and instance_id in noticed:
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 120))
                self._answer(200, f'{{"action": "terminate", "time": "{at}"}}'.encode())
            else:
                self._answer(404, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
