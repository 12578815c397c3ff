"""From a folder of labelled pictures to an endpoint that answers, as people use it."""

import base64
import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from contracts.identity import Project
from deployments.api_calls import ApiError
from deployments.client import Exemplar
from deployments.model_runs import compare_runs
from tests.emulator_process import until

pytestmark = pytest.mark.stack


def test_the_job_ends_with_a_sentence_a_decision_and_an_endpoint(trained: Any) -> None:
    _, result, _ = trained
    document = result.as_dict()
    assert document["state"] == "done"
    assert document["accuracy"] >= 0.9
    assert "out of 27" in document["sentence"]
    low, high = document["interval"]
    assert low < document["accuracy"] <= high
    assert document["decision"]["reason"]
    assert document["draft_seconds"] > 0
    assert set(document["stage_seconds"]) >= {
        "ingest",
        "prepare",
        "draft",
        "promote-draft",
        "train",
        "promote",
    }


def test_the_endpoint_answers_rightly_with_its_version(trained: Any) -> None:
    client, result, folder = trained
    answers = [client.predict("digits", path) for path in sorted(folder.glob("*/3.png"))]
    assert [answer["label"] for answer in answers] == ["digit 0", "digit 1", "digit 4"]
    for answer in answers:
        assert answer["model_version"] == result.as_dict()["model_version"]
        assert answer["request_id"]
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_the_page_asks_the_same_model_without_its_key(stack: Any, trained: Any) -> None:
    client, _, folder = trained
    picture = folder / "digit 1" / "3.png"
    body = {"image_base64": base64.b64encode(picture.read_bytes()).decode()}
    with stack.at_the_page() as page:
        assert page.get("").headers["content-type"].startswith("text/html")
        account = page.get("v1/account").json()
        answer = page.post("v1/projects/digits/predict", json=body).json()
    expected = client.predict("digits", picture)
    for same in ("label", "probabilities", "model_version"):
        assert answer[same] == expected[same]
    links = {"prefect": stack.links.prefect_ui, "mlflow": stack.links.mlflow_ui}
    assert (account["user"], account["links"]) == (stack.links.user, links)


def test_every_answer_is_counted_at_once_and_the_monitor_is_on(stack: Any, trained: Any) -> None:
    client, _, folder = trained
    before = client.usage("digits")["total"]
    answers = [client.predict("digits", path) for path in sorted(folder.glob("*/[0-3].png"))]
    httpx.post(client.endpoint("digits"), content=b"x")

    def after() -> dict[str, Any]:
        return dict(client.usage("digits")["total"])

    until(lambda: after()["requests"] == before["requests"] + len(answers) + 1)
    total = after()
    assert total["ok"] == before["ok"] + len(answers) == before["ok"] + 12
    assert total["refused"] == before["refused"] + 1
    assert total["failed"] == 0
    assert 0 < total["p50_ms"] <= total["p95_ms"]
    assert total["dollars"] > before["dollars"]
    # A release tries what it has made, which costs and is no use of it.
    assert total["calls"] > total["requests"]
    url = f"{stack.links.prefect_ui}/api/deployments/name/monitor/monitor"
    (schedule,) = httpx.get(url).json()["schedules"]
    assert schedule["active"]


def test_the_endpoint_says_why(trained: Any) -> None:
    client, _, folder = trained
    path = next(folder.glob("digit 1/*.png"))
    answer = client.predict("digits", path, explain=True, class_name="digit 4")
    assert answer["explanation"]["class"] == "digit 4"
    assert len(answer["explanation"]["map"]) == len(answer["explanation"]["map"][0])


@pytest.mark.parametrize("mode", ["RGBA", "L", "CMYK", "1", "P", "I;16", "LA"])
def test_pictures_of_any_mode_get_an_answer(trained: Any, mode: str, tmp_path: Path) -> None:
    client, _, folder = trained
    grey = Image.open(next(folder.glob("digit 0/*.png"))).convert("L")
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        picture = grey.convert("RGB").convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(path)
    label = client.predict("digits", path)["label"]
    assert label == "digit 0" or (mode in {"1", "P"} and label is None)  # dithered: like no digit


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 400, "invalid_request"),
        (b"no picture", {}, 422, "unreadable_example"),
        (b"<svg onload=alert(1)>", {"content-type": "image/svg+xml"}, 422, "unreadable_example"),
        (b"{", {"content-type": "application/json"}, 400, "invalid_request"),
        (b'{"url": "http://169.254.169.254/"}', {"content-type": "application/json"}, 400, "in"),
        (b'{"text": "hello"}', {"content-type": "application/json"}, 400, "invalid_request"),
    ],
)
def test_bad_requests_get_the_error_form_never_a_200(
    trained: Any, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    client, _, _ = trained
    key = {"x-api-key": client.saved_key("digits")}
    answer = httpx.post(client.endpoint("digits"), content=body, headers=headers | key)
    error = answer.json()["error"]
    assert answer.status_code == status
    assert error["code"].startswith(code)
    assert error["message"]
    assert error["fix"]


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "xk_wrong"}, {"authorization": "Bearer x"}])
def test_without_the_key_nobody_gets_an_answer(trained: Any, headers: dict[str, str]) -> None:
    client, _, folder = trained
    picture = next(folder.glob("*/*.png")).read_bytes()
    answer = httpx.post(client.endpoint("digits"), content=picture, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_signatures_open_the_endpoint_instead_of_keys_as_soon_as_its_owner_wants(
    trained: Any,
) -> None:
    client, _, folder = trained
    picture = next(folder.glob("*/*.png"))
    key, url = client.saved_key("digits"), client.endpoint("digits")
    label = client.predict("digits", picture)["label"]

    def status(**headers: str) -> int:
        return httpx.post(url, content=picture.read_bytes(), headers=headers).status_code

    def is_signed_for() -> bool:
        """A function that has just looked for changes looks again a second later."""
        with suppress(ApiError):
            return bool(client.predict("digits", picture)["label"] == label)
        return False

    client.change_settings("digits", endpoint_auth="iam")
    try:
        assert status(**{"x-api-key": key}) == 403  # by Lambda, before the function
        until(is_signed_for, seconds=10)
        assert "explanation" in client.predict("digits", picture, explain=True)
    finally:
        client.change_settings("digits", endpoint_auth="key")
    until(lambda: status(**{"x-api-key": key}) == 200, seconds=10)


def test_more_requests_than_the_owner_allows_are_told_to_wait(trained: Any) -> None:
    client, _, folder = trained
    picture = next(folder.glob("*/*.png")).read_bytes()
    client.change_settings("digits", requests_per_minute=20)
    key, url = {"x-api-key": client.rotate_key("digits")}, client.endpoint("digits")
    try:
        until(lambda: httpx.post(url, content=b"?", headers=key).status_code != 401)
        answers = [httpx.post(url, content=picture, headers=key) for _ in range(60)]
    finally:
        client.change_settings("digits", requests_per_minute=None)
        client.rotate_key("digits")  # another caller, who has the whole minute
    statuses = [answer.status_code for answer in answers]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert set(statuses) == {200, 429}
    assert 18 <= statuses.count(200) <= 40  # a new minute may have begun
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.json()["error"]["code"] == "rate_limited"


def test_the_api_refuses_strangers(stack: Any, trained: Any) -> None:
    url = f"{stack.links.url}/v1/projects"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={"authorization": "Bearer wrong"}).status_code == 403


def test_running_it_again_sends_nothing_and_attaches(trained: Any) -> None:
    client, result, folder = trained
    seen: list[Any] = []
    again = client.train(folder, "digits", on_progress=seen.append, recipe="fast")
    sending = [progress for progress in seen if progress.phase == "send"]
    assert sending[-1].files_kept == sending[-1].files_total == 120
    assert again.as_dict()["job_id"] == result.as_dict()["job_id"]


def test_details_show_data_versions_and_jobs(trained: Any) -> None:
    client, result, _ = trained
    details = client.details("digits")
    assert details["classes"] == ["digit 0", "digit 1", "digit 4"]
    assert details["model_version"] == result.as_dict()["model_version"]
    assert details["dataset_version"] == result.as_dict()["dataset_version"] != ""
    assert details["versions"][0]["reason"]
    assert details["report"]["usable"] == 120
    assert details["endpoint"]


def test_reports_on_data_and_model_can_be_fetched(trained: Any, tmp_path: Path) -> None:
    client, result, _ = trained
    data, model = client.download_reports("digits", tmp_path)
    assert "Data set of" in data.read_text()
    page = model.read_text()
    assert result.as_dict()["model_version"] in page
    assert "What is taken for what" in page
    assert "expected calibration error" in page


def test_the_draft_and_the_trained_model_can_be_compared(trained: Any) -> None:
    client, _, _ = trained
    tuned = next(m["model_version"] for m in client.models("digits") if "tuned" in str(m))
    comparison = compare_runs(client, "digits", ["draft", tuned])
    draft, other = comparison.runs
    assert draft.training_seconds is None
    assert other.training_seconds > 0
    (difference,) = comparison.differences
    assert difference.is_same_split
    assert difference.shared == draft.examples == 27
    assert difference.wins - difference.losses == other.correct - draft.correct
    assert all(one.name.endswith(".png") for one in (*difference.won, *difference.lost))


def test_a_dropped_manifest_starts_the_same_pipeline_and_cancelled_it_stays_so(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    with stack.client() as client:
        pictures = client.read(digits(tmp_path, 30))
        client.create("dropped", list(pictures.classes))
        upload = client.upload("dropped", pictures)
        stack.session.client("s3").put_object(
            Bucket=data_bucket(stack),
            Key=f"users/me/dropped/inbox/{upload}/manifest.json",
            Body=json.dumps({"recipe": "accurate"}),
        )
        job = first_job(client, "dropped")
        wait_for_stage(client, "dropped", job, "train")
        assert client.cancel("dropped", job).state == "cancelled"
        time.sleep(8)
        assert client.job("dropped", job).state == "cancelled"
        # What was live stays so.
        assert client.details("dropped")["endpoint"]


def data_bucket(stack: Any) -> str:
    names = [b["Name"] for b in stack.session.client("s3").list_buckets()["Buckets"]]
    return next(name for name in names if "data" in name)


def first_job(client: Exemplar, project: str) -> str:
    for _ in range(100):
        if jobs := client.jobs(project):
            return str(jobs[0]["job_id"])
        time.sleep(0.1)
    raise AssertionError("no job was started")


def test_a_data_problem_ends_the_job_with_the_list_of_what_to_change(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    folder = digits(tmp_path, 12)
    for path in sorted((folder / "digit 4").glob("*.png"))[:6]:
        path.write_bytes(path.read_bytes()[:60])  # a PNG's header, and nothing after it
    with stack.client() as client:
        job = client.train(folder, "broken", recipe="fast").as_dict()
    assert job["state"] == "failed"
    assert job["failure"]["code"] == "data_problem"
    assert "digit 4" in str(job["failure"])
    assert job["failure"]["fix"]
    assert "Traceback" not in str(job)
    assert stack.state.project(Project("me", "broken")).endpoint == ""


def wait_for_stage(client: Exemplar, project: str, job_id: str, stage: str) -> None:
    for _ in range(600):
        job = client.job(project, job_id)
        if job.stage == stage or job.state in {"failed", "done"}:
            break
        time.sleep(0.2)
    assert job.stage == stage
