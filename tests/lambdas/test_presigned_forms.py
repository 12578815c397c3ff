"""A presigned form takes one content at one key for an hour, whatever is done to it.

The emulator looks at signatures only where it is told to, as AWS always does.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config

from contracts.identity import Project
from contracts.requests import AnnouncedFile, UploadRequest
from lambdas import uploads
from tests.emulator_process import emulator, free_port

BUCKET, OTHER_BUCKET = "exemplar-forms", "exemplar-others"
PROJECT = Project("ann", "shop")
CONTENT = b"\x89PNG\r\n\x1a\n" + b"0" * 100
OTHER = hashlib.sha256(b"other").hexdigest()
Fields = dict[str, str]
Form = tuple[str, Fields, bytes]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    port = free_port()
    with emulator(tmp_path_factory.mktemp("emulator"), port, AUTH="true"):
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        for bucket in (BUCKET, OTHER_BUCKET):
            client.create_bucket(Bucket=bucket)
        yield client


def announced(s3: Any) -> Form:
    """The form of one picture, with the picture."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    file = AnnouncedFile("cat", "a.png", len(CONTENT), digest, "image/png")
    request = UploadRequest("u1", (file,))
    (post,) = uploads.announce(s3, BUCKET, PROJECT, request)["posts"]
    return post["url"], post["fields"], CONTENT


def stored(s3: Any) -> dict[str, str]:
    return {
        f"{bucket}/{entry['Key']}": entry["ETag"]
        for bucket in (BUCKET, OTHER_BUCKET)
        for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        if "/inbox/" not in entry["Key"]
    }


def send(form: Form) -> httpx.Response:
    url, fields, content = form
    return httpx.post(url, data=fields, files={"file": content}, trust_env=False)


def with_content(content: bytes) -> Callable[[Form], Form]:
    return lambda form: (form[0], form[1], content)


def with_field(name: str, value: str | None) -> Callable[[Form], Form]:
    """Another value; None leaves the field out."""

    def change(form: Form) -> Form:
        rest = {key: old for key, old in form[1].items() if key != name}
        return form[0], rest if value is None else rest | {name: value}, form[2]

    return change


def with_policy(change: Callable[[dict[str, Any]], Any]) -> Callable[[Form], Form]:
    """A policy that says something else, under the signature of the old one."""

    def rewrite(form: Form) -> Form:
        policy = json.loads(base64.b64decode(form[1]["policy"]))
        change(policy)
        text = base64.b64encode(json.dumps(policy).encode()).decode()
        return form[0], form[1] | {"policy": text}, form[2]

    return rewrite


def to_bucket(form: Form) -> Form:
    return form[0].replace(BUCKET, OTHER_BUCKET), form[1], form[2]


def widened(policy: dict[str, Any]) -> None:
    policy["conditions"] = [["starts-with", "$key", "users/"]]


KEY = f"users/ann/shop/objects/{OTHER}"
CHECKSUM = base64.b64encode(bytes.fromhex(OTHER)).decode()
ABUSES: dict[str, tuple[Callable[[Form], Form], int]] = {
    "a byte more": (with_content(CONTENT + b"1"), 400),
    "a byte less": (with_content(CONTENT[:-1]), 400),
    "nothing": (with_content(b""), 400),
    "a page as its type": (with_field("Content-Type", "text/html"), 403),
    "no type": (with_field("Content-Type", None), 403),
    "another key of the project": (with_field("key", KEY), 403),
    "another user's key": (with_field("key", f"users/bob/shop/objects/{OTHER}"), 403),
    "another project's key": (with_field("key", f"users/ann/shop2/objects/{OTHER}"), 403),
    "a manifest's key": (with_field("key", "users/ann/shop/inbox/u1/manifest.json"), 403),
    "a key that climbs": (with_field("key", f"users/ann/shop/objects/../../{OTHER}"), 403),
    "the file's own name as key": (with_field("key", "users/ann/shop/objects/${filename}"), 403),
    "no key": (with_field("key", None), 400),
    "another checksum": (with_field("x-amz-checksum-sha256", CHECKSUM), 403),
    "no checksum": (with_field("x-amz-checksum-sha256", None), 403),
    "another algorithm": (with_field("x-amz-checksum-algorithm", "CRC32"), 403),
    "a signature that differs": (with_field("x-amz-signature", "0" * 64), 403),
    "no signature": (with_field("x-amz-signature", None), 400),
    "another signer": (with_field("x-amz-credential", "x/20261127/us-east-1/s3/aws4_request"), 403),
    "no policy": (with_field("policy", None), 400),
    "a wider policy": (with_policy(widened), 403),
    "a longer policy": (with_policy(lambda p: p.update(expiration="2099-01-01T00:00:00Z")), 403),
    "public to all": (with_field("acl", "public-read"), 403),
    "another bucket": (to_bucket, 403),
}


@pytest.mark.parametrize("abuse", ABUSES)
def test_an_abused_form_stores_nothing(s3: Any, abuse: str) -> None:
    change, status = ABUSES[abuse]
    before = stored(s3)
    answer = send(change(announced(s3)))
    assert answer.status_code == status, answer.text
    assert stored(s3) == before


def test_an_expired_form_stores_nothing(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "POST_SECONDS", -10)
    form, before = announced(s3), stored(s3)
    assert send(form).status_code == 403
    assert stored(s3) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_without_a_form_nobody_gets_in(s3: Any, method: str) -> None:
    address = f"{s3.meta.endpoint_url}/{BUCKET}"
    s3.put_object(Bucket=BUCKET, Key="users/ann/shop/objects/there", Body=b"there")
    before = stored(s3)
    for path in ("/users/ann/shop/objects/there", "/users/ann/shop/objects/new", "/"):
        assert httpx.request(method, address + path, trust_env=False).status_code == 403
    assert stored(s3) == before


def test_the_form_as_it_was_given_stores_its_picture_once(s3: Any) -> None:
    form = announced(s3)
    assert send(form).status_code == 204
    assert f"{BUCKET}/{form[1]['key']}" in stored(s3)
    assert send(form).status_code == 204  # again: the same content at the same key
