"""The page's function: which files it answers, how, and what browsers may do with them."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import boto3
import pytest

from deployments.template import Template
from lambdas import environment, site, site_files
from lambdas.site_files import SiteFiles

STORAGE = "https://s-data-1-eu-west-1.s3.eu-west-1.amazonaws.com"
BODY_BYTES_MAX = 5 * 2**20  # Lambda answers six, of which headers and quotes take some
SCRIPT = "export const one = 1;\n" * 50


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    web = tmp_path / "web"
    (web / "vendor").mkdir(parents=True)
    (web / ".hidden").mkdir()
    (web / "index.html").write_text("<!doctype html><title>é</title>", encoding="utf-8")
    (web / "app.js").write_text(SCRIPT)
    (web / "vendor" / "pixel.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    (web / "notes.md").write_text("not a part of the page")
    (web / ".hidden" / "a.js").write_text("hidden")
    (tmp_path / "secret.txt").write_text("secret")
    (web / "link.txt").symlink_to(tmp_path / "secret.txt")
    return web


@pytest.fixture(autouse=True)
def packaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SiteFiles(site_files.listed(folder))
    monkeypatch.setattr(site, "files", lambda: made)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("EXEMPLAR_STORAGE_ORIGIN", STORAGE)


def get(path: str, method: str = "GET", **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    http = {"method": method, "path": path}
    return site.handler({"rawPath": path, "headers": named, "requestContext": {"http": http}}, None)


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"])


def test_the_root_is_the_page_and_its_files_are_below(folder: Path) -> None:
    page = get("/")
    assert page["statusCode"] == 200
    assert page["headers"]["content-type"] == "text/html; charset=utf-8"
    assert body(page) == (folder / "index.html").read_bytes()
    script = get("/page/app.js")
    assert body(script).decode() == SCRIPT
    assert script["headers"]["content-type"] == "text/javascript; charset=utf-8"
    picture = get("/page/vendor/pixel.png", accept_encoding="gzip")
    assert body(picture) == (folder / "vendor" / "pixel.png").read_bytes()
    assert picture["headers"]["content-type"] == "image/png"
    assert "content-encoding" not in picture["headers"]


@pytest.mark.parametrize(
    "path",
    [
        *("/page/", "/page", "/page//app.js", "/page/nothing.js", "/page/vendor", "/page/vendor/"),
        *("/page/../secret.txt", "/page/../../lambdas/api.py", "/page/%2e%2e/secret.txt"),
        *("/page/..%2fsecret.txt", "/page/./app.js", "/page/vendor/../app.js", "/page//etc/passwd"),
        *("/page/\\..\\secret.txt", "/page/app.js\0", "/page/APP.JS", "/page/app.js/", "/app.js"),
        *("/page/notes.md", "/page/.hidden/a.js", "/page/link.txt", "/page/é", "", "page/app.js"),
        "/page/" + "a" * 5_000,
    ],
)
def test_what_is_not_packed_under_this_very_name_is_not_found(path: str) -> None:
    answer = get(path)
    assert answer["statusCode"] == 404
    error = json.loads(answer["body"])["error"]
    assert error["code"] == "not_found"
    assert error["fix"]
    assert len(answer["body"]) < 1_000
    assert answer["headers"]["content-type"] == "application/json"
    assert "default-src 'none'" in answer["headers"]["content-security-policy"]


@pytest.mark.parametrize("accepted", ["gzip", "br, gzip;q=0.5", "GZIP , deflate", "gzip; q=1"])
def test_who_takes_gzip_gets_it_with_a_tag_of_its_own(accepted: str) -> None:
    squeezed, plain = get("/page/app.js", accept_encoding=accepted), get("/page/app.js")
    assert squeezed["headers"]["content-encoding"] == "gzip"
    assert gzip.decompress(body(squeezed)).decode() == SCRIPT
    assert squeezed["headers"]["etag"] != plain["headers"]["etag"]
    assert squeezed["headers"]["vary"] == plain["headers"]["vary"] == "accept-encoding"


@pytest.mark.parametrize("accepted", ["", "identity", "gzip;q=0", "gzip; q=0.0", "br", "xgzip"])
def test_who_does_not_take_gzip_gets_plain_bytes(accepted: str) -> None:
    assert "content-encoding" not in get("/page/app.js", accept_encoding=accepted)["headers"]


def test_who_has_the_file_is_told_so_until_it_changes(folder: Path) -> None:
    tag = get("/page/app.js")["headers"]["etag"]
    assert tag.startswith('"')
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = get("/page/app.js", if_none_match=known)
        assert answer["statusCode"] == 304
        assert not answer.get("body")
        assert answer["headers"]["etag"] == tag
        assert answer["headers"]["cache-control"] == "no-cache"
    for unknown in ('"other"', tag.strip('"'), ""):
        assert get("/page/app.js", if_none_match=unknown)["statusCode"] == 200
    (folder / "app.js").write_text("export {};")
    changed = SiteFiles(site_files.listed(folder)).find("app.js", takes_gzip=False)
    assert changed is not None
    assert changed.tag != tag


def test_head_has_no_body_and_nothing_else_is_taken() -> None:
    head = get("/", method="HEAD")
    assert (head["statusCode"], head["body"]) == (200, "")
    assert head["headers"] == get("/")["headers"]
    for method in ("POST", "PUT", "DELETE", "X"):
        assert get("/", method=method)["statusCode"] == 404


def test_every_answer_says_what_browsers_may_do() -> None:
    for answer in (get("/"), get("/page/nothing"), get("/", if_none_match="*")):
        headers = answer["headers"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["permissions-policy"] == "camera=(self), microphone=(), geolocation=()"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-cache"
        rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert rules == {
            "default-src": "'none'",
            "script-src": "'self'",
            "worker-src": "'self'",
            "style-src": "'self'",
            "font-src": "'self'",
            "img-src": f"'self' blob: data: {STORAGE}",
            "media-src": "'self' blob:",
            "connect-src": f"'self' {STORAGE}",
            "manifest-src": "'self'",
            "form-action": "'none'",
            "base-uri": "'none'",
            "frame-ancestors": "'none'",
        }


def test_an_emulator_is_the_storage_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566/")
    assert "connect-src 'self' http://127.0.0.1:4566;" in site.policy(site.storage_origin())


@pytest.mark.parametrize(
    ("region", "suffix"),
    [
        ("us-east-1", "amazonaws.com"),
        ("eu-central-1", "amazonaws.com"),
        ("ap-southeast-3", "amazonaws.com"),
        ("us-gov-west-1", "amazonaws.com"),
        ("cn-north-1", "amazonaws.com.cn"),
    ],
)
def test_the_policy_names_the_host_that_presigned_addresses_have(
    region: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page could otherwise not send a single file on AWS, and nothing here would notice."""
    functions = Template.load().resources["SiteFunction"]["Properties"]
    origin = functions["Environment"]["Variables"]["EXEMPLAR_STORAGE_ORIGIN"]["Fn::Sub"]
    values = {"StackName": "shop", "AccountId": "123456789012", "Region": region}
    for name, value in (values | {"URLSuffix": suffix}).items():
        origin = origin.replace(f"${{AWS::{name}}}", value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    environment.s3.cache_clear()
    bucket = f"shop-data-123456789012-{region}"
    post = environment.s3().generate_presigned_post(bucket, "key")
    link = environment.s3().generate_presigned_url("get_object", {"Bucket": bucket, "Key": "key"})
    assert post["url"] == f"{origin}/"
    assert link.startswith(f"{origin}/key?")


def test_every_file_of_the_page_has_a_known_kind_and_fits_an_answer() -> None:
    files = site_files.listed(site_files.WEB)
    assert "index.html" in files
    made = SiteFiles(files)
    for name in files:
        for takes_gzip in (True, False):
            found = made.find(name, takes_gzip=takes_gzip)
            assert found is not None
            assert not takes_gzip or len(found.data) * 4 / 3 < BODY_BYTES_MAX, name
