"""No account of the person's reaches a child."""

from pathlib import Path

import pytest
from botocore.session import Session

from deployments.local.environment import child_environment


def test_only_listed_variables_pass(tmp_path: Path) -> None:
    host = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "LC_ALL": "C.UTF-8",
        "EXEMPLAR_LIMIT_MAX_FILES": "5",
        "PIP_INDEX_URL": "https://index.example",
        "https_proxy": "http://proxy.example",
        "AWS_PROFILE": "work",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "PYTHONPATH": "/somewhere",
        "GITHUB_TOKEN": "secret",
    }
    env = child_environment(tmp_path, {"AWS_ACCESS_KEY_ID": "test"}, host)
    assert env["PATH"] == "/bin"
    assert env["EXEMPLAR_LIMIT_MAX_FILES"] == "5"
    assert env["PIP_INDEX_URL"]
    assert env["https_proxy"]
    assert env["AWS_ACCESS_KEY_ID"] == "test"
    assert not {"AWS_PROFILE", "PYTHONPATH", "GITHUB_TOKEN"} & env.keys()


def test_aws_clients_find_no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home" / ".aws"
    home.mkdir(parents=True)
    (home / "credentials").write_text("[default]\naws_access_key_id=A\naws_secret_access_key=B\n")
    host = {"HOME": str(tmp_path / "home"), "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}
    env = child_environment(tmp_path / "state", {}, host)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert Session().get_credentials() is None
