"""How a person on this machine comes to the page: `exemplar up`, `status` and `open`."""

import json
import webbrowser
from pathlib import Path

import pytest

from deployments import cli
from deployments.local import embedded
from deployments.local.embedded import Links
from deployments.local.supervision import ServiceStatus
from tests.deployments.command_line import Outcome, Run

TOKEN = "xt_me_" + "a" * 43
PAGE = "http://127.0.0.1:4566/app/"
LINK = f"{PAGE}#token={TOKEN}"
API = "http://127.0.0.1:4566/_aws/execute-api/0a1b2c3d/$default"
LINKS = Links(API, TOKEN, "me", "http://127.0.0.1:4200", "http://127.0.0.1:5000", LINK)


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in ("EXEMPLAR_URL", "EXEMPLAR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EXEMPLAR_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "40")  # narrower than the link

    def call(*words: object) -> Outcome:
        code = cli.main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Links that a browser was given."""
    found: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda link: found.append(link) or True)
    return found


def test_up_names_the_page_first_and_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "up", lambda home, say: LINKS)
    shown = run("up")
    assert shown.code == 0, shown.err
    lines = [line.strip() for line in shown.out.splitlines() if line.strip()]
    assert lines[0].startswith("Exemplar is up")
    assert lines[1:3] == ["Open this in a browser:", LINK]
    assert run("up", "--json").document["page"] == LINK


def test_status_shows_the_page_while_it_is_served(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LINKS.write(tmp_path)
    running = ServiceStatus("emulator", 1, started_at=0.0, is_healthy=True)
    monkeypatch.setattr(embedded, "status", lambda home: [running])
    assert LINK in run("status").out
    assert run("status", "--json").document["page"] == LINK
    monkeypatch.setattr(embedded, "status", lambda home: [])
    assert LINK not in run("status").out


def test_open_gives_the_link_to_the_browser(run: Run, tmp_path: Path, opened: list[str]) -> None:
    LINKS.write(tmp_path)
    assert run("open") == Outcome(0, "", "")
    shown = run("open", "--project", "my-cat", "--json")
    assert shown.document == {"page": f"{LINK}&project=my-cat", "opened": True}
    assert opened == [LINK, f"{LINK}&project=my-cat"]


def test_open_prints_the_link_where_there_is_no_browser(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LINKS.write(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda link: False)
    assert LINK in run("open").out.split()


def test_open_is_for_a_system_on_aws_too(
    run: Run, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXEMPLAR_URL", "https://abc.execute-api.eu-west-1.amazonaws.com")
    monkeypatch.setenv("EXEMPLAR_TOKEN", TOKEN)
    assert run("open").code == 0
    assert opened == [f"https://abc.execute-api.eu-west-1.amazonaws.com/#token={TOKEN}"]


def test_where_nothing_runs_it_says_what_to_run(run: Run, opened: list[str]) -> None:
    refused = run("open")
    assert (refused.code, opened) == (1, [])
    assert "exemplar up" in refused.err


def test_what_an_earlier_version_has_written_is_read(
    run: Run, tmp_path: Path, opened: list[str]
) -> None:
    document = {"url": API, "token": TOKEN, "user": "me", "prefect_ui": "", "mlflow_ui": ""}
    (tmp_path / "connection.json").write_text(json.dumps(document))
    old = Links.read(tmp_path)
    assert old is not None
    assert (old.token, old.page) == (TOKEN, "")
    assert old.with_token("xt_new").page == ""
    assert run("open").code == 0
    assert opened == [f"{API}/#token={TOKEN}"]  # where the API is, the page is too
