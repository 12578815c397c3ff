import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.errors import NotFound, Unauthorized, Unavailable
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState, Stage
from deployments import client as client_module
from deployments.api_calls import ApiError
from deployments.client import Exemplar
from deployments.remote_job import RemoteJob
from lambdas.state import ProjectRecord
from tests.deployments.api_server import RUN_ID, TOKEN, USER, ApiServer
from tests.deployments.command_line import Run
from tests.deployments.pictures import write_classes, write_picture

CLASSES = ["cat", "dog"]


def put_job(server: ApiServer, project: str, **values: Any) -> Job:
    job = Job(Project(USER, project), "job-1", "upload-1", **values)
    server.state.create_project(ProjectRecord(job.project, Kind.IMAGE, ("cat", "dog")))
    server.state.create_job(job)
    return job


def test_create_keeps_the_key_and_repeats_harmlessly(client: Exemplar, project: str) -> None:
    assert client.create(project, CLASSES)["classes"] == CLASSES
    key = client.saved_key(project)
    assert "key" not in client.create(project, CLASSES)
    assert client.saved_key(project) == key
    assert project in {found["project"] for found in client.projects()}


def test_create_changes_the_classes_but_not_their_order(client: Exemplar, project: str) -> None:
    client.create(project, ["dog", "cat"])
    assert client.create(project, CLASSES)["classes"] == ["dog", "cat"]
    assert client.create(project, [*CLASSES, "bird"])["classes"] == [*CLASSES, "bird"]
    assert client.details(project)["classes"] == [*CLASSES, "bird"]


def test_the_apis_refusal_arrives_with_code_and_fix(client: Exemplar) -> None:
    with pytest.raises(ApiError, match="may hold only a-z") as caught:
        client.create("My Cat", CLASSES)
    assert (caught.value.code, caught.value.http_status) == ("invalid_name", 400)
    assert caught.value.fix
    with pytest.raises(ApiError, match="no project") as caught:
        client.details("none-such")
    assert caught.value.http_status == 404
    with pytest.raises(ApiError):
        client.details("../../v1/limits?")


def test_a_wrong_token_is_told_apart(server: ApiServer) -> None:
    with Exemplar(server.url, "wrong") as stranger, pytest.raises(ApiError) as caught:
        stranger.projects()
    assert caught.value.message == "the token was not accepted"


def test_passing_failures_are_retried_and_lasting_ones_told(
    server: ApiServer, client: Exemplar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.api_calls._FIRST_PAUSE_SECONDS", 0.01)
    server.refuse_next[:] = [503, 502]
    client.projects()
    server.refuse_next[:] = [503] * 5  # it is worth waiting for one that is only busy
    client.projects()
    for lasting in ([502] * 4, [503] * 6):
        server.refuse_next[:] = lasting
        with pytest.raises(ApiError, match="Service Unavailable"):
            client.projects()
    with Exemplar("http://127.0.0.1:9", TOKEN) as nowhere, pytest.raises(Unavailable) as caught:
        nowhere.projects()
    assert "exemplar up" in caught.value.fix


def test_submit_starts_the_job_and_repeating_attaches(
    client: Exemplar, project: str, tmp_path: Path
) -> None:
    folder = write_classes(tmp_path / "data", 10)
    job = client.submit(folder, project, seed=3)
    assert (job.state, job.flow_run_id) == (JobState.QUEUED, RUN_ID)
    assert client.submit(folder, project, seed=3).job_id == job.job_id
    assert client.submit(folder, project, seed=4).job_id != job.job_id
    assert client.jobs(project)[0]["state"] == "queued"


def test_too_few_pictures_are_listed_before_anything_starts(
    client: Exemplar, project: str, tmp_path: Path
) -> None:
    with pytest.raises(ApiError, match="needs 6 more pictures") as caught:
        client.submit(write_classes(tmp_path / "data", 4), project)
    assert caught.value.http_status == 422
    assert len(caught.value.details) == 2


def test_examples_are_seen_changed_and_checked_before_a_training(
    client: Exemplar, project: str, tmp_path: Path
) -> None:
    folder = client.read(write_classes(tmp_path / "data", 10))
    client.create(project, folder.classes)
    upload = client.upload(project, folder)
    assert client.can_train(project)["can_train"] is True
    found = client.examples(project, class_name="cat", offset=4, missing=True)
    assert (found["upload"], found["total"], found["missing_total"]) == (upload, 20, 0)
    assert [file["name"] for file in found["files"]] == [f"cat/{n}.png" for n in range(4, 10)]
    assert client.read_link(found["files"][0]["url"])[:4] == b"\x89PNG"
    one = {name: found["files"][0][name] for name in ("sha256", "class")}
    changed = client.change_examples(project, remove=[one])
    assert (changed["upload"], changed["classes"][0]["examples"]) == ("examples", 9)
    check = client.can_train(project)
    assert (check["can_train"], check["examples"]) == (False, 19)
    assert "class 'cat' needs 1 more picture" in check["problem"]["details"][0]
    assert client.can_train(project, min_per_class=9)["can_train"] is True
    assert client.can_train(project, upload)["can_train"] is True
    job = client.start(project, min_per_class=9)
    assert client.can_train(project, min_per_class=9)["running"] == job.job_id
    with pytest.raises(ApiError, match="2 changes") as caught:
        client.change_examples(project, add_class="bird", drop_class="cat")
    assert caught.value.http_status == 400


def test_wait_hears_of_every_change(client: Exemplar, server: ApiServer, project: str) -> None:
    job = put_job(server, project)
    changes: list[dict[str, Any]] = [
        {"state": JobState.RUNNING, "stage": Stage.DRAFT, "progress": 0.2},
        {"endpoint": "http://127.0.0.1/x", "message": "a draft answers"},
        {"state": JobState.DONE, "stage": Stage.DONE, "progress": 1.0},
    ]
    seen: list[RemoteJob] = []

    def on_update(now: RemoteJob) -> None:
        seen.append(now)
        if changes:
            server.state.update_job(job.project, job.job_id, **changes.pop(0))

    final = client.wait(project, job.job_id, on_update, poll_seconds=0.01)
    assert [now.stage for now in seen] == ["queued", "draft", "draft", "done"]
    assert final.state is JobState.DONE
    assert final.endpoint == "http://127.0.0.1/x"


def test_wait_bears_a_restart_of_the_stack(
    client: Exemplar, server: ApiServer, project: str
) -> None:
    job = put_job(server, project)
    restart: list[threading.Timer] = []

    def come_back() -> None:
        server.refuse_next[:] = [403, 404, 503]  # what a gateway says before all is deployed
        server.start()

    def on_update(now: RemoteJob) -> None:
        if not restart:
            server.stop()
            server.state.update_job(job.project, job.job_id, state=JobState.DONE)
            restart.append(threading.Timer(3.0, come_back))  # longer than one call's retries
            restart[0].start()

    final = client.wait(project, job.job_id, on_update, poll_seconds=0.01)
    restart[0].join()
    assert final.state is JobState.DONE


def test_wait_gives_up_on_what_cannot_pass(
    client: Exemplar, server: ApiServer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create(project, CLASSES)
    with pytest.raises(ApiError, match="no job"):
        client.wait(project, "none")
    put_job(server, project)
    monkeypatch.setattr(client_module, "_RESTART_SECONDS", 0.0)
    with pytest.raises(ApiError, match="404"):
        client.wait(project, "job-1", lambda _: server.refuse_next.append(404), 0.01)


def test_cancel_is_final(client: Exemplar, server: ApiServer, project: str) -> None:
    put_job(server, project)
    assert client.cancel(project, "job-1").state is JobState.CANCELLED
    assert client.cancel(project, "job-1").state is JobState.CANCELLED


def test_a_finished_job_cannot_be_cancelled(
    client: Exemplar, server: ApiServer, project: str
) -> None:
    put_job(server, project, state=JobState.DONE)
    with pytest.raises(ApiError, match="already done") as caught:
        client.cancel(project, "job-1")
    assert caught.value.code == "conflict"


def test_predict_needs_an_endpoint_and_a_key(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path
) -> None:
    picture = write_picture(tmp_path / "a.png", seed=1)
    client.create(project, CLASSES)
    with pytest.raises(NotFound, match="no endpoint yet"):
        client.predict(project, picture)
    server.serve_endpoint(project)
    answer = client.predict(project, picture)
    assert answer["label"] == "cat"
    assert answer["got"] == [picture.stat().st_size, "image/png"]
    assert client.predict(project, picture.read_bytes())["label"] == "cat"
    with pytest.raises(ApiError, match="unknown key"):
        client.predict(project, picture, key="xk_wrong")
    with pytest.raises(NotFound, match="cannot be read"):
        client.predict(project, tmp_path / "none.png")


def test_a_key_lost_here_is_made_anew_only_when_asked(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path
) -> None:
    client.create(project, CLASSES)
    server.serve_endpoint(project)
    old = client.saved_key(project)
    (tmp_path / "home" / "keys.json").unlink()
    with pytest.raises(Unauthorized) as caught:
        client.predict(project, b"\xff\xd8\xff")
    assert f"exemplar key {project} --rotate" in caught.value.fix
    new = client.rotate_key(project)
    assert new != old
    assert client.predict(project, b"\xff\xd8\xff")["label"] == "cat"


def test_an_endpoint_without_keys_is_asked_with_a_signature(
    client: Exemplar, server: ApiServer, project: str, tmp_path: Path, run: Run
) -> None:
    client.create(project, CLASSES)
    server.serve_endpoint(project)
    picture = write_picture(tmp_path / "a.png", 0)
    assert client.predict(project, picture)["label"] == "cat"
    client.change_settings(project, endpoint_auth="iam")
    (tmp_path / "home" / "keys.json").unlink()  # none is needed
    assert client.predict(project, picture) == {"label": "signed", "key": None}
    asked = run("predict", project, picture, "--json")
    assert asked.document["predictions"][0]["label"] == "signed"
    client.change_settings(project, endpoint_auth="key")
    with pytest.raises(Unauthorized, match="not kept on this machine"):
        client.predict(project, picture)


def test_logs_say_what_they_need(
    server: ApiServer, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_job(server, project)
    monkeypatch.delenv("PREFECT_API_URL")
    with Exemplar(server.url, TOKEN) as far, pytest.raises(NotFound) as caught:
        far.logs(project, "job-1")
    assert "PREFECT_API_URL" in caught.value.fix


def test_an_unknown_answer_is_no_traceback(server: ApiServer) -> None:
    answer = httpx.Response(200, text="<html>", request=httpx.Request("GET", server.url))
    with pytest.raises(ApiError, match="no JSON"):
        client_module.answer_json(answer)


def test_job_fields_of_a_newer_server_are_ignored() -> None:
    job = Job(Project(USER, "cats"), "job-1", "u")
    answer = replace(job, stage=Stage.TRAIN).as_dict() | {"novelty": 1, "stage": "distil"}
    assert RemoteJob.from_answer(answer).stage == "distil"
