"""The embedded stack's AWS, as its clients meet it: over HTTP, through boto3, across restarts."""

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from contracts.request_line import CallReport
from deployments.local import emulator
from lambdas.signing import signed

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "deployments.local.emulator"]
ROLE = "arn:aws:iam::000000000000:role/any"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"

ECHO = """
import json, os, sys
def handler(event, context):
    print("seen", event.get("n") if isinstance(event, dict) else event)
    return {"version": context.function_version, "event": event}
"""


@dataclass
class Emulator:
    """A running emulator and clients for it."""

    process: "subprocess.Popen[bytes]"
    port: int
    state_dir: Path
    clients: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.client(
                service,
                endpoint_url=self.url,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
        return self.clients[service]

    def function(self, name: str, source: str, **settings: Any) -> Any:
        client = self.client("lambda")
        client.create_function(
            FunctionName=name,
            Runtime=RUNTIME,
            Role=ROLE,
            Handler="app.handler",
            Code={"ZipFile": zipped({"app.py": source})},
            **settings,
        )
        client.get_waiter("function_active_v2").wait(
            FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
        return client

    def invoke(self, name: str, event: object = None, **options: Any) -> Any:
        answer = self.client("lambda").invoke(
            FunctionName=name, Payload=json.dumps(event).encode(), **options
        )
        return json.loads(answer["Payload"].read())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def sandboxes(self) -> list[psutil.Process]:
        scratch = str(self.state_dir / "work" / "lambda" / "scratch")
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(part.startswith(scratch) for part in process.info["cmdline"] or [])
        ]


def zipped(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(state_dir: Path, port: int | None = None, *options: str) -> Emulator:
    port = port or free_port()
    process = subprocess.Popen(
        [*COMMAND, f"--port={port}", f"--state-dir={state_dir}", *options],
        cwd=ROOT,
        env={**os.environ, "AWS_SECRET_ACCESS_KEY": "the person's own", "SECRET_OF_HOST": "1"},
    )
    eventually(lambda: httpx.get(f"http://127.0.0.1:{port}{emulator.HEALTH_PATH}").is_success)
    return Emulator(process, port, state_dir)


def eventually(check: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if check():
                return
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


@contextmanager
def running(state_dir: Path, *options: str) -> Iterator[Emulator]:
    started = start(state_dir, None, *options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    state_dir = tmp_path_factory.mktemp("emulator")
    with running(state_dir, "--allow-origin=http://pages.example:8000") as started:
        yield started


# --- who may call -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example:{port}"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1"},
        {"host": "localhost.attacker.example:{port}"},
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"origin": "https://localhost:{port}"},
        {"origin": "http://localhost:1"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_foreign_pages_and_host_names_are_refused(aws: Emulator, headers: dict[str, str]) -> None:
    headers = {name: value.format(port=aws.port) for name, value in headers.items()}
    answer = httpx.get(aws.url + emulator.HEALTH_PATH, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "foreign_request"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "localhost:{port}"},
        {"host": "bucket.localhost:{port}"},
        {"origin": "http://localhost:{port}"},
        {"origin": "http://127.0.0.1:{port}"},
        {"origin": "http://pages.example:8000", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-origin"},
    ],
)
def test_own_pages_and_programs_pass(aws: Emulator, headers: dict[str, str]) -> None:
    headers = {name: value.format(port=aws.port) for name, value in headers.items()}
    assert httpx.options(aws.url + "/b/k", headers=headers).status_code != 403


def test_it_listens_on_loopback_only(aws: Emulator) -> None:
    listening = [
        connection.laddr
        for connection in psutil.Process(aws.process.pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening == [("127.0.0.1", aws.port)]


def test_calls_beyond_lambdas_limit_are_refused(aws: Emulator) -> None:
    client = aws.function("sizes", ECHO)
    with pytest.raises(client.exceptions.RequestTooLargeException):
        client.invoke(FunctionName="sizes", Payload=b'"' + b"x" * (6 * 2**20) + b'"')

    def chunks() -> Iterator[bytes]:  # without a content-length
        for _ in range(7):
            yield b"x" * 2**20

    answer = httpx.post(f"{aws.url}/lambda-url/{'a' * 32}/", content=chunks())
    assert answer.status_code == 413
    assert aws.invoke("sizes", {"n": 1})["event"] == {"n": 1}


# --- functions ----------------------------------------------------------------------------------


def test_a_function_sees_its_own_world_only(aws: Emulator) -> None:
    source = """
import os, sys, importlib
def importable(name):
    try: return importlib.import_module(name).__file__
    except ImportError: return None
def handler(event, context):
    return {"environment": dict(os.environ), "path": sys.path, "cwd": os.getcwd(),
            "boto3": importable("boto3"), "psutil": importable("psutil"),
            "deployments": importable("deployments")}
"""
    aws.function("world", source, Environment={"Variables": {"OWN": "1", "AWS_REGION": "mars"}})
    world = aws.invoke("world")
    environment = world["environment"]
    assert environment["OWN"] == "1"
    assert environment["AWS_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == aws.url
    assert environment["AWS_SECRET_ACCESS_KEY"] == "test"
    assert not {"SECRET_OF_HOST", "HOME", "PYTHONPATH", "VIRTUAL_ENV"} & environment.keys()
    assert world["boto3"]
    assert world["psutil"] is None
    assert world["deployments"] is None
    assert world["path"][0] == world["cwd"] == environment["LAMBDA_TASK_ROOT"]
    assert not any("site-packages" in entry for entry in world["path"])


def test_function_code_comes_before_layers_and_layers_before_the_runtime(aws: Emulator) -> None:
    client = aws.client("lambda")
    first = zipped(
        {
            "python/both.py": "where = 'layer'",
            "python/shared.py": "where = 'first'",
            "python/boto3.py": "where = 'layer'",
        }
    )
    site_packages = f"python/lib/{RUNTIME}/site-packages"
    second = zipped({f"{site_packages}/shared.py": "where = 'second'"})
    arns = [
        client.publish_layer_version(LayerName=name, Content={"ZipFile": content})[
            "LayerVersionArn"
        ]
        for name, content in (("first", first), ("second", second))
    ]
    source = """
import both, shared, boto3
def handler(event, context): return [both.where, shared.where, boto3.where]
"""
    client.create_function(
        FunctionName="layered",
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": zipped({"app.py": source, "both.py": "where = 'function'"})},
        Layers=arns,
    )
    assert aws.invoke("layered") == ["function", "second", "layer"]


def test_sandboxes_with_the_same_layer_share_one_copy(aws: Emulator) -> None:
    client = aws.client("lambda")
    layer = client.publish_layer_version(
        LayerName="shared", Content={"ZipFile": zipped({"python/shared_layer.py": ""})}
    )
    source = "import shared_layer\ndef handler(event, context): return shared_layer.__file__"
    for name in ("one", "two"):
        aws.function(name, source, Layers=[layer["LayerVersionArn"]])
    assert aws.invoke("one") == aws.invoke("two")


@pytest.mark.parametrize(
    ("source", "error_type", "message"),
    [
        ("def handler(e, c): raise LookupError('no such label')", "LookupError", "no such label"),
        ("import missing_thing", "Runtime.ImportModuleError", "missing_thing"),
        ("def handler(", "Runtime.UserCodeSyntaxError", "app"),
        ("x = 1", "Runtime.HandlerNotFound", "'handler' missing"),
        ("1 / 0", "ZeroDivisionError", "division"),
        ("def handler(e, c): return {1, 2}", "Runtime.MarshalError", "not JSON serializable"),
        ("import os\ndef handler(e, c): os._exit(3)", "Runtime.ExitError", "exit status 3"),
        ("import time\ndef handler(e, c): time.sleep(60)", "Sandbox.Timedout", "1.00 seconds"),
        ("def handler(e, c): return 'x' * 7_000_000", "Function.ResponseSizeTooLarge", "7000014"),
    ],
)
def test_the_real_error_reaches_the_caller_and_the_log(
    aws: Emulator, source: str, error_type: str, message: str
) -> None:
    name = "fails-" + error_type.replace(".", "-")
    client = aws.function(name, source, Timeout=1)
    answer = client.invoke(FunctionName=name, LogType="Tail")
    payload = json.loads(answer["Payload"].read())
    assert answer["FunctionError"] == "Unhandled"
    assert payload["errorType"] == error_type
    assert message in payload["errorMessage"]
    events = aws.client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
    assert any(message in event["message"] for event in events)
    (report,) = [CallReport.from_log(e["message"]) for e in events if "REPORT" in e["message"]]
    assert report is not None
    assert report.has_failed


def test_a_sandbox_survives_an_exception(aws: Emulator) -> None:
    source = """
import os
def handler(event, context):
    if event: raise ValueError(str(os.getpid()))
    return str(os.getpid())
"""
    aws.function("survivor", source)
    assert aws.invoke("survivor", True)["errorMessage"] == aws.invoke("survivor", False)


def test_prints_logging_and_children_write_to_the_log(aws: Emulator) -> None:
    source = """
import logging, subprocess, sys
logging.getLogger().setLevel("INFO")
def handler(event, context):
    print("printed")
    logging.info("logged")
    subprocess.run(["/bin/sh", "-c", "echo from a child"])
    sys.stderr.write("no newline at the end")
    return sys.stdin.read()
"""
    aws.function("writer", source)
    assert aws.invoke("writer") == ""
    events = aws.client("logs").filter_log_events(logGroupName="/aws/lambda/writer")["events"]
    messages = [event["message"] for event in events]
    assert {"printed", "from a child", "no newline at the end"} <= set(messages)
    logged = next(message for message in messages if message.endswith("logged"))
    request_id = messages[0].split()[2]
    assert logged.startswith("[INFO]\t")
    assert request_id in logged


# --- aliases and function URLs ------------------------------------------------------------------


def weighted(aws: Emulator, name: str) -> Any:
    """Function with versions 1 and 2, and alias `live` sending half of its calls to each."""
    client = aws.function(name, ECHO, Publish=True)
    client.update_function_code(
        FunctionName=name, ZipFile=zipped({"app.py": ECHO + "\n# 2"}), Publish=True
    )
    client.create_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    return client


def versions_called(aws: Emulator, name: str) -> set[str]:
    return {aws.invoke(name, Qualifier="live")["version"] for _ in range(40)}


def by_path(aws: Emulator, client: Any, name: str, qualifier: str | None = None) -> str:
    target = {"Qualifier": qualifier} if qualifier else {}
    url = client.create_function_url_config(FunctionName=name, AuthType="NONE", **target)
    url_id = url["FunctionUrl"].split("//")[1].split(".")[0]
    return f"{aws.url}/lambda-url/{url_id}"


def test_alias_weights_are_honoured(aws: Emulator) -> None:
    client = weighted(aws, "weighted")
    assert versions_called(aws, "weighted") == {"1", "2"}
    url = by_path(aws, client, "weighted", "live")
    assert {httpx.get(url + "/").json()["version"] for _ in range(40)} == {"1", "2"}
    for _ in range(10):  # reading shows the main version, whatever calls do
        shown = client.get_function_configuration(FunctionName="weighted", Qualifier="live")
        assert shown["Version"] == "1"
    client.update_alias(FunctionName="weighted", Name="live", RoutingConfig={})
    assert versions_called(aws, "weighted") == {"1"}


def test_weights_of_an_alias_made_by_a_stack_are_honoured(aws: Emulator) -> None:
    client = aws.function("by-stack", ECHO, Publish=True)
    client.update_function_code(
        FunctionName="by-stack", ZipFile=zipped({"app.py": ECHO + "\n# 2"}), Publish=True
    )
    weights = [{"FunctionVersion": "2", "FunctionWeight": 0.5}]
    alias = {
        "Type": "AWS::Lambda::Alias",
        "Properties": {
            "FunctionName": "by-stack",
            "Name": "live",
            "FunctionVersion": "1",
            "RoutingConfig": {"AdditionalVersionWeights": weights},
        },
    }
    stacks = aws.client("cloudformation")
    stacks.create_stack(
        StackName="aliases", TemplateBody=json.dumps({"Resources": {"Alias": alias}})
    )
    stacks.get_waiter("stack_create_complete").wait(
        StackName="aliases", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    assert versions_called(aws, "by-stack") == {"1", "2"}


def test_function_urls_by_path_keep_the_request(aws: Emulator) -> None:
    client = aws.function("mirror", "def handler(event, context): return event")
    url = by_path(aws, client, "mirror")
    body = bytes(range(256))
    event = httpx.put(f"{url}/a/b%20c?x=1&x=2&y=%26", content=body, headers={"x-own": "1"}).json()
    assert event["requestContext"]["http"]["method"] == "PUT"
    assert event["rawPath"] in ("/a/b c", "/a/b%20c")
    assert event["queryStringParameters"] == {"x": "1,2", "y": "&"}
    assert event["headers"]["x-own"] == "1"
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == body
    assert httpx.get(url).json()["rawPath"] == "/"


def test_a_signed_url_names_its_signer_and_nobody_else_can(aws: Emulator) -> None:
    source = "def handler(event, context): return event['requestContext'].get('authorizer') or {}"
    client = aws.function("signed", source)
    url = by_path(aws, client, "signed") + "/"
    own = Credentials("test", "test")
    smuggled = json.dumps({"requestContext": {"authorizer": {"iam": {"userArn": "me"}}}}).encode()
    headers = {"content-type": "application/json", "requestcontext": smuggled.decode()}
    # Without signatures nobody is named, whatever is sent.
    assert httpx.post(url, content=smuggled, headers=headers).json() == {}
    signature = signed(url, smuggled, headers, own, "us-east-1")
    assert httpx.post(url, content=smuggled, headers=signature).json() == {}
    client.update_function_url_config(FunctionName="signed", AuthType="AWS_IAM")
    assert httpx.post(url, content=smuggled, headers=headers).status_code == 403
    named = httpx.post(url, content=smuggled, headers=signature).json()["iam"]
    assert named["userArn"] == "arn:aws:iam::000000000000:root"


def test_one_functions_flood_is_throttled_while_another_answers(aws: Emulator) -> None:
    slow = "import time\ndef handler(event, context): time.sleep(1.0); return {'ok': True}"
    urls = {}
    for name in ("flooded", "neighbour"):
        client = aws.function(name, slow, Timeout=20)
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=2)
        urls[name] = by_path(aws, client, name)
    with ThreadPoolExecutor(12) as pool:
        flood = [pool.submit(httpx.post, urls["flooded"], timeout=30) for _ in range(10)]
        eventually(lambda: any(one.done() for one in flood))  # those beyond the two, at once
        assert httpx.post(urls["neighbour"], timeout=30).status_code == 200
        statuses = [one.result().status_code for one in flood]
    assert set(statuses) == {200, 429}


# --- life and death -----------------------------------------------------------------------------


def test_everything_survives_a_kill(tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = start(state)
    content = os.urandom(300_000)
    first.client("s3").create_bucket(Bucket="bucket")
    first.client("s3").put_object(Bucket="bucket", Key="a/b", Body=content)
    dynamodb = first.client("dynamodb")
    dynamodb.create_table(
        TableName="jobs",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.put_item(TableName="jobs", Item={"id": {"S": "1"}, "blob": {"B": content[:9000]}})
    functions = weighted(first, "kept")
    layer = functions.publish_layer_version(
        LayerName="layer", Content={"ZipFile": zipped({"python/in_layer.py": "x = 7"})}
    )["LayerVersionArn"]
    layered = "import in_layer\ndef handler(event, context): return in_layer.x"
    first.function("layered", layered, Layers=[layer])
    url = by_path(first, functions, "kept", "live")
    role = first.client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")
    first.client("ssm").put_parameter(Name="/p", Value="v", Type="String")
    api = first.client("apigatewayv2").create_api(Name="api", ProtocolType="HTTP")["ApiId"]
    queue = {"Resources": {"Log": {"Type": "AWS::Logs::LogGroup"}}}
    first.client("cloudformation").create_stack(StackName="stack", TemplateBody=json.dumps(queue))
    first.invoke("layered")
    dynamodb.put_item(TableName="jobs", Item={"id": {"S": "last"}})
    sandboxes = first.sandboxes()
    assert sandboxes
    time.sleep(2)  # more than the promised second: what was written before must be on the disk
    first.process.kill()
    first.process.wait()
    psutil.wait_procs(sandboxes, timeout=10)
    assert not first.sandboxes(), "sandboxes outlive their emulator"

    second = start(state, first.port)
    try:
        body = second.client("s3").get_object(Bucket="bucket", Key="a/b")["Body"].read()
        assert body == content
        dynamodb = second.client("dynamodb")
        item = dynamodb.get_item(TableName="jobs", Key={"id": {"S": "1"}})["Item"]
        assert item["blob"]["B"] == content[:9000]
        assert "Item" in dynamodb.get_item(TableName="jobs", Key={"id": {"S": "last"}})
        assert versions_called(second, "kept") == {"1", "2"}
        assert httpx.get(url).status_code == 200
        assert second.invoke("layered") == 7
        assert second.client("iam").get_role(RoleName="role")["Role"]["Arn"] == role["Role"]["Arn"]
        assert second.client("ssm").get_parameter(Name="/p")["Parameter"]["Value"] == "v"
        assert second.client("apigatewayv2").get_api(ApiId=api)["Name"] == "api"
        stacks = second.client("cloudformation").describe_stacks(StackName="stack")["Stacks"]
        assert stacks[0]["StackStatus"] == "CREATE_COMPLETE"
        assert second.client("logs").filter_log_events(logGroupName="/aws/lambda/layered")["events"]
        waiter = second.client("lambda").get_waiter("function_active_v2")
        waiter.wait(FunctionName="layered", WaiterConfig={"Delay": 1, "MaxAttempts": 5})
    finally:
        assert second.stop() == 0
    assert not second.sandboxes()


def test_what_a_kill_interrupted_is_settled(tmp_path: Path) -> None:
    with running(tmp_path) as started:
        started.function("made", ECHO)
        template = json.dumps({"Resources": {"Log": {"Type": "AWS::Logs::LogGroup"}}})
        stacks = started.client("cloudformation")
        stacks.create_stack(StackName="stack", TemplateBody=template)
        stacks.get_waiter("stack_create_complete").wait(
            StackName="stack", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
        )
    for name, done, interrupted in (
        ("lambda", '"State": "Active"', '"State": "Pending"'),
        (
            "cloudformation",
            '"StackStatus": "CREATE_COMPLETE"',
            '"StackStatus": "CREATE_IN_PROGRESS"',
        ),
    ):
        file = tmp_path / "services" / f"{name}.json"
        assert done in file.read_text()
        file.write_text(file.read_text().replace(done, interrupted))
    with running(tmp_path) as started:
        function = started.client("lambda").get_function_configuration(FunctionName="made")
        assert function["State"] == "Active"
        stack = started.client("cloudformation").describe_stacks(StackName="stack")["Stacks"][0]
        assert stack["StackStatus"] == "ROLLBACK_COMPLETE"


def test_a_state_file_that_cannot_be_read_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "iam.json").write_text('{"roles": ')
    with running(tmp_path) as started:
        started.client("iam").create_role(RoleName="new", AssumeRolePolicyDocument="{}")
    assert (tmp_path / "services" / "iam.unreadable").read_text() == '{"roles": '
    assert "new" in (tmp_path / "services" / "iam.json").read_text()


def test_a_busy_sandbox_ends_with_its_killed_emulator(tmp_path: Path) -> None:
    started = start(tmp_path)
    client = started.function("busy", "def handler(e, c):\n    while True: pass", Timeout=60)
    client.invoke(FunctionName="busy", InvocationType="Event")
    eventually(started.sandboxes)
    sandboxes = started.sandboxes()
    started.process.kill()
    started.process.wait()
    _gone, alive = psutil.wait_procs(sandboxes, timeout=20)
    assert not alive


def test_a_sandbox_that_cannot_notice_is_ended_by_the_next_start(tmp_path: Path) -> None:
    started = start(tmp_path)
    endless = (
        "import re\ndef handler(e, c): re.match('(a+)+$', 'a' * 60 + 'b')"  # in C, with the GIL
    )
    client = started.function("stuck", endless, Timeout=60)
    client.invoke(FunctionName="stuck", InvocationType="Event")
    eventually(started.sandboxes)
    sandbox = started.sandboxes()[0]
    eventually(lambda: sandbox.cpu_times().user > 0.5)
    started.process.kill()
    started.process.wait()
    assert sandbox.is_running()
    with running(tmp_path):
        assert not sandbox.is_running()


def test_a_clean_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    started = start(tmp_path)
    started.function("quiet", ECHO)
    started.invoke("quiet", {})
    assert started.sandboxes()
    assert started.stop() == 0
    assert not started.sandboxes()
    assert not (tmp_path / "work").exists()


def test_a_second_emulator_on_the_same_state_is_refused(aws: Emulator) -> None:
    second = subprocess.run(
        [*COMMAND, f"--port={free_port()}", f"--state-dir={aws.state_dir}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1
    assert "already running" in second.stderr
    assert httpx.get(aws.url + emulator.HEALTH_PATH).is_success


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulator, "MINISTACK_VERSION", "1.4.21")
    with pytest.raises(Exception, match=r"1\.4\.21 is needed, 1\.5\.33 is installed"):
        emulator.check_version()


def test_unknown_functions_stay_unknown(aws: Emulator) -> None:
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        aws.invoke("never-made")
