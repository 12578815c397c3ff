"""`exemplar history`: what was live when."""

import time
from typing import Any

import pytest

from contracts.errors import InvalidRequest
from contracts.identity import Project
from deployments.client import Exemplar
from deployments.history import Moments, periods
from lambdas.state import ROLLED_BACK, WITHDRAWN, ReleaseRecord
from tests.deployments.api_server import USER, ApiServer
from tests.deployments.command_line import Run


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "start", "seconds"),
    [
        ("2026-11-20", 1_795_129_200, 86_400),
        ("2026-10-25", 1_792_879_200, 90_000),  # the clocks go back
        ("2026-11-20T14:30", 1_795_181_400, 0),
        ("2026-11-20T14:30:00Z", 1_795_185_000, 0),
        ("2026-11-20T14:30+01:00", 1_795_181_400, 0),
    ],
)
def test_a_day_or_a_moment(berlin: None, text: str, start: float, seconds: float) -> None:
    found = Moments.parse(text)
    assert (found.start, found.end - found.start) == (start, seconds)


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "2026-11-31", "20.11.2026", "9999-12-31"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="neither a day nor a moment") as caught:
        Moments.parse(text)
    assert "2026-11-20T14:30" in caught.value.fix


def release(at: float, version: str, event: str = "promoted") -> dict[str, Any]:
    return {
        "model_version": version,
        "lambda_version": "1",
        "at": at,
        "by": "ann",
        "reason": "better",
        "event": event,
    }


def test_a_withdrawn_version_was_not_live_and_the_one_before_stayed() -> None:
    found = periods(
        [
            release(40, "a", "rolled back"),
            release(30, "b"),
            release(20, "a", "withdrawn"),
            release(10, "a"),
        ]
    )
    assert [(p.model_version, p.since, p.until) for p in found] == [
        ("a", 40, None),
        ("b", 30, 40),
        ("a", 10, 30),
    ]


@pytest.mark.parametrize(
    ("start", "end", "live"),
    [
        (5, 5, []),
        (5, 11, ["a"]),
        (10, 10, ["a"]),
        (29, 29, ["a"]),
        (30, 30, ["b"]),
        (20, 35, ["b", "a"]),
    ],
)
def test_what_touches_a_time(start: float, end: float, live: list[str]) -> None:
    found = periods([release(30, "b"), release(10, "a")])
    assert [p.model_version for p in found if p.touches(Moments(start, end))] == live


def test_history_shows_changes_and_what_was_live(
    server: ApiServer, client: Exemplar, run: Run, project: str, berlin: None
) -> None:
    client.create(project, ["cat", "dog"])
    assert "0 changes" in run("history", project).out
    owner, state = Project(USER, project), server.state
    noon = Moments.parse("2026-11-20T12:00").start
    counts = {"tuned-3": {"answers": 12, "failed": 5, "refused": 0, "p95_ms": 11.0}}
    for number, record in enumerate(
        [
            ReleaseRecord("draft-1", "1", noon, USER, "first model"),
            ReleaseRecord("tuned-2", "2", noon + 3_600, USER, "better: [red]12 won"),
            ReleaseRecord(
                "tuned-2", "2", noon + 7_200, "canary", "more failed", WITHDRAWN, "p", 3, counts
            ),
            ReleaseRecord(
                "draft-1", "1", noon + 90_000, USER, "rolled back from tuned-2", ROLLED_BACK
            ),
        ]
    ):
        assert state.change_live(owner, number, record)
    shown = run("history", project)
    assert "4 changes of what is live" in shown.out
    assert "tuned-3: 12 answers, 5 failed, 0 refused" in shown.out
    assert run("history", project, "--json").document["releases"][1]["answers"] == counts

    at = run("history", project, "--on", "2026-11-20T15:30", "--json").document["live"]
    assert [one["model_version"] for one in at] == ["tuned-2"]
    assert at[0]["until"] == noon + 90_000
    day = run("history", project, "--on", "2026-11-20", "--json").document["live"]
    assert [one["model_version"] for one in day] == ["tuned-2", "draft-1"]
    assert "tuned-2" in run("history", project, "--on", "2026-11-21").out
    assert "nothing was live on 2026-11-19" in run("history", project, "--on", "2026-11-19").out
    assert run("history", project, "--on", "x").code == 1
