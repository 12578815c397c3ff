"""What somebody reaches who runs code in a function, or holds a link that was handed out."""

import hashlib
import io
import json
import zipfile
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from lambdas import environment, uploads
from lambdas.routes.exchange import download_link
from tasks import bundles
from tests.deployments.permissions.account import STACK, Account
from tests.deployments.permissions.conftest import act_as

pytestmark = [
    pytest.mark.stack,
    pytest.mark.usefixtures("clean"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

CATS = Project("ann", "cats")
# What a picture that breaks the decoder might make the process do.
INTRUDER = """
import os
import boto3
from botocore.exceptions import ClientError

def handler(event, context):
    def tried(service, operation, arguments):
        try:
            getattr(boto3.client(service), operation)(**arguments)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "done"
    return {
        "who": boto3.client("sts").get_caller_identity()["Arn"],
        "environment": dict(os.environ),
        "found": [tried(*one) for one in event["tries"]],
    }
"""


def packed(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("main.py", source)
    return buffer.getvalue()


@pytest.fixture
def broken_into(account: Account, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call ann's function as somebody who has made it run his code."""
    act_as(account, "", monkeypatch)
    name, functions = CATS.function_name(STACK), account.client("lambda")
    role = account.role_arn(f"inference/{STACK}-infer_ann_cats")
    functions.update_function_configuration(
        FunctionName=name, Role=role, Timeout=30, **bundles.shared_configuration(CATS)
    )
    functions.update_function_code(FunctionName=name, ZipFile=packed(INTRUDER))
    functions.get_waiter("function_updated_v2").wait(FunctionName=name)

    def run(*tries: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
        answer = functions.invoke(FunctionName=name, Payload=json.dumps({"tries": tries}))
        found = json.load(answer["Payload"])
        assert "who" in found, found
        return dict(found)

    return run


def test_code_in_a_function_reaches_its_own_project_only(
    account: Account, broken_into: Any
) -> None:
    bucket, table = account.outputs.bucket, account.outputs.table

    def item(partition: str) -> dict[str, Any]:
        return {"TableName": table, "Key": {"pk": {"S": partition}, "sk": {"S": "KEYS"}}}

    def stored(key: str) -> dict[str, Any]:
        return {"Bucket": bucket, "Key": key}

    answer = broken_into(
        ("dynamodb", "get_item", item("PROJECT#ann_cats")),
        ("dynamodb", "get_item", item("PROJECT#bob_cats")),
        ("dynamodb", "delete_item", item("PROJECT#ann_cats")),
        ("dynamodb", "get_item", item("TOKEN#1")),
        ("dynamodb", "scan", {"TableName": table}),
        ("s3", "get_object", stored("users/ann/cats/objects/one")),
        ("s3", "get_object", stored("users/bob/cats/objects/one")),
        ("s3", "put_object", stored("users/ann/cats/bundles/m1/model.onnx") | {"Body": "x"}),
        ("s3", "get_object", stored("weights/net.pth")),
        ("lambda", "invoke", {"FunctionName": f"{STACK}-infer_bob_cats"}),
        ("lambda", "list_functions", {}),
        ("iam", "list_roles", {}),
        (
            "sts",
            "assume_role",
            {"RoleArn": account.role_arn("ApiRole"), "RoleSessionName": "intruder"},
        ),
    )
    assert f"/{STACK}-infer_ann_cats/" in answer["who"]
    first, *others = answer["found"]
    assert first == "done"
    assert {code.removesuffix("Exception") for code in others} == {"AccessDenied"}


def test_a_functions_environment_holds_no_secret(broken_into: Any) -> None:
    """Names of places and of the project; the credentials in it are the role's own."""
    own = bundles.shared_configuration(CATS)["Environment"]["Variables"]
    assert {name for name in own if name.startswith("EXEMPLAR_")} == set(own)
    found = broken_into()["environment"]
    assert own.items() <= found.items()
    for word in ("TOKEN", "SECRET", "PASSWORD", "AUTH", "PREFECT", "MLFLOW", "KEY"):
        assert not [name for name in own if word in name]


@pytest.fixture
def api(account: Account, monkeypatch: pytest.MonkeyPatch) -> Account:
    """This process as the control API."""
    act_as(account, "ApiRole", monkeypatch)
    monkeypatch.setattr(environment, "s3", lambda: account.client("s3", "ApiRole"))
    return account


def test_a_download_link_opens_its_object_and_no_other(api: Account) -> None:
    link = download_link("users/ann/cats/bundles/m1/model.onnx")
    assert httpx.get(link).status_code == 200
    for key in ("users/bob/cats/objects/one", "users/ann/cats/objects/one", "weights/net.pth", ""):
        assert (
            httpx.get(link.replace("users/ann/cats/bundles/m1/model.onnx", key)).status_code == 403
        )
    assert httpx.put(link, content=b"new").status_code == 403
    assert httpx.delete(link).status_code == 403
    assert httpx.get(link + "&versionId=null").status_code == 403


def test_an_upload_form_takes_its_object_and_no_other(api: Account) -> None:
    content = b"a picture"
    request = uploads.UploadRequest(
        "u1",
        (
            uploads.AnnouncedFile(
                "cat", "a.jpg", len(content), hashlib.sha256(content).hexdigest(), "image/jpeg"
            ),
        ),
    )
    s3 = api.client("s3", "ApiRole")
    (post,) = uploads.announce(s3, api.outputs.bucket, CATS, request)["posts"]

    def send(**fields: str) -> int:
        form = post["fields"] | fields
        return httpx.post(post["url"], data=form, files={"file": content}).status_code

    for key in ("users/bob/cats/objects/one", "users/ann/cats/bundles/m1/model.onnx"):
        assert send(key=key) == 403
    assert send() in (200, 204)
