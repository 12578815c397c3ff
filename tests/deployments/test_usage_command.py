"""What `exemplar usage` shows of an endpoint's log."""

import time
from typing import Any

import pytest

from contracts.answer_counts import AnswerCounts
from contracts.identity import Project
from deployments.client import Exemplar
from deployments.usage_screen import sparkline
from lambdas.drift_records import DriftRecord, DriftRecords
from tests.deployments.api_server import USER, ApiServer
from tests.deployments.command_line import Run
from tests.endpoint_log import Endpoint


@pytest.fixture
def endpoint(server: ApiServer, client: Exemplar, project: str, emulator: Any) -> Endpoint:
    client.create(project, ["cat", "dog"])
    server.serve_endpoint(project)
    return Endpoint(Project(USER, project), emulator.client("logs"))


def test_usage_is_shown_as_days_costs_and_drift(
    server: ApiServer, run: Run, endpoint: Endpoint
) -> None:
    name = endpoint.project.name
    assert f"{name}: 0 requests" in run("usage", name).out
    now_ms = int(time.time() * 1_000)
    endpoint.ask(now_ms, 30, is_cold=True)
    endpoint.ask(now_ms, 10, status=401, labels=(), confidences=())
    shown = run("usage", name)
    assert shown.code == 0
    assert f"{name}: 40 requests, 75.0% answered, half within " in shown.out
    assert "█" in shown.out
    assert "less than 1 cent for answers, less than 1 cent for training" in shown.out
    assert "drift: not judged yet" in shown.out
    document = run("usage", name, "--days", 2, "--json").document
    assert document["total"]["ok"] == 30
    record = DriftRecord(AnswerCounts(), "m", is_drifting=True, since=1e9, judged_at=1e9)
    records = DriftRecords(server.state)
    assert records.put(endpoint.project, record)
    assert "drifting since 2001-09-0" in run("usage", name).out


def test_wrong_days_and_unknown_projects_are_explained(run: Run, endpoint: Endpoint) -> None:
    shown = run("usage", endpoint.project.name, "--days", 1_000)
    assert shown.code == 1
    assert "it must be a number from 1 to 366" in shown.err
    assert "there is no project" in run("usage", "none-such").err


def test_a_bar_for_every_day() -> None:
    assert sparkline([0, 1, 50, 100]) == " ▁▄█"
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "  "
    assert len(sparkline(range(366))) == 60
