"""A user comes, makes something, and goes with everything of it."""

import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments import cli
from deployments.client import Exemplar
from deployments.user_directory import CACHED_SECONDS

pytestmark = [pytest.mark.stack, pytest.mark.soak]


def test_a_removed_users_projects_and_tokens_are_gone(
    stack: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert os.environ["EXEMPLAR_HOME"] == str(stack.home)

    def run(*words: str) -> Any:
        assert cli.main(["users", *words, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    token = run("add", "zoe", "--projects", "2")["token"]
    rows = tmp_path / "rows.csv"
    rows.write_text("text,label\n" + "good day,ham\nwin money,spam\n" * 5)
    with Exemplar(stack.links.url, token) as client:
        client.upload("letters", _created(client, rows))
        client.create("more", ["a", "b"])
        with pytest.raises(Exception, match="your quota is 2"):
            client.create("many", ["a", "b"])
    gone = run("remove", "zoe", "--delete-projects", "--yes")
    assert (sorted(gone["deleted"]), gone["projects"]) == (["letters", "more"], [])
    s3 = stack.session.client("s3")
    (bucket,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if "-data-" in b["Name"]]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="users/zoe/")["KeyCount"] == 0

    def status() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{stack.links.url}/v1/projects", headers=headers).status_code

    deadline = time.monotonic() + CACHED_SECONDS
    while status() != 403:
        assert time.monotonic() < deadline, "the token outlived what is promised"
        time.sleep(1)


def _created(client: Exemplar, rows: Path) -> Any:
    folder = client.read(rows)
    client.create("letters", folder.classes, folder.kind)
    return folder
