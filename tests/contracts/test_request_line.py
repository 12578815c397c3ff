"""An endpoint's line survives Lambda's log, and nothing else is taken for one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.request_line import CallReport, RequestLine

ID = "8f5d3c1e-0000-4b1e-9a55-0a8e0c3c5d1b"


def logged(text: str, request_id: str = ID) -> str:
    return f"[INFO]\t2026-11-27T08:00:00.123Z\t{request_id}\t{text}\n"


LABEL = st.none() | st.text(min_size=1, max_size=64)
ANSWERS = st.lists(st.tuples(LABEL, st.floats(0, 1)), max_size=5)


@given(ANSWERS, st.integers(200, 599), st.floats(0, 1e6), st.booleans(), st.booleans())
def test_a_line_is_read_as_it_was_logged(
    answers: list[tuple[str | None, float]], status: int, ms: float, cold: bool, trial: bool
) -> None:
    labels, confidences = tuple(a[0] for a in answers), tuple(a[1] for a in answers)
    line = RequestLine(ID, status, ms, "tuned-1", labels, confidences, is_cold=cold, is_trial=trial)
    assert RequestLine.from_log(logged(line.to_json())) == line


def test_of_an_answer_only_label_and_probability_are_told() -> None:
    body = {
        "label": "cat",
        "probabilities": {"dog": 0.04321, "cat": 0.95679},
        "model_version": "tuned-1",
        "explanation": {"map": [[1]]},
    }
    assert json.loads(RequestLine.of(ID, 200, 0.01234, body).to_json()) == {
        "request_id": ID,
        "status": 200,
        "ms": 12.3,
        "model_version": "tuned-1",
        "examples": 1,
        "label": "cat",
        "confidence": 0.9568,
        "explained": True,
    }


def test_a_list_of_texts_has_an_entry_for_each() -> None:
    answers = [
        {"label": "spam", "probabilities": {"spam": 0.9, "ham": 0.1}},
        {"label": None, "probabilities": {"spam": 0.4, "ham": 0.6}},
    ]
    line = RequestLine.of(ID, 200, 0.01, {"predictions": answers, "model_version": "m"})
    assert (line.labels, line.confidences) == (("spam", None), (0.9, 0.6))
    assert not line.is_health_check
    assert RequestLine.of(ID, 200, 0.01, {"status": "ok"}).is_health_check
    assert not RequestLine.of(ID, 401, 0.01, {"error": {}}).is_health_check


@pytest.mark.parametrize(
    "message",
    [
        "",
        "START RequestId: x Version: 3",
        "[ERROR]\t2026-11-27T08:00:00.123Z\tx\tboom",
        logged("{}"),
        logged("[]"),
        logged("{" * 100_000),
        logged(RequestLine(ID, 200, 1.0).to_json(), "another-request"),
        logged(RequestLine(ID, 200, 1.0).to_json() + "\n[INFO] and more"),
        logged(RequestLine(ID, 200, float("nan")).to_json()),
        logged(RequestLine(ID, 200, -1.0).to_json()),
        logged(RequestLine(ID, 200, 1.0, "m", ("a",), (1.5,)).to_json()),
        logged(RequestLine(ID, 200, 1.0, "m", ("a", "b"), (0.5,)).to_json()),
        logged(json.dumps({"request_id": ID, "status": "x", "ms": 1, "model_version": ""})),
    ],
    ids=lambda message: message[:40],
)
def test_what_is_no_line_is_passed_over(message: str) -> None:
    assert RequestLine.from_log(message) is None


@pytest.mark.parametrize(
    ("end", "has_failed"),
    [("", False), ("\tInit Duration: 310.20 ms\t\n", False), ("\tStatus: timeout\n", True)],
)
def test_lambdas_report_says_what_is_billed(end: str, has_failed: bool) -> None:
    report = (
        f"REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 13 ms\t"
        f"Memory Size: 1769 MB\tMax Memory Used: 91 MB{end}"
    )
    assert CallReport.from_log(report) == CallReport(ID, 13, 1_769, has_failed)
    other: Any = CallReport.from_log(f"END RequestId: {ID}")
    assert other is None
