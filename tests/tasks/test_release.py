"""Who is released when several things happen at once, and what keeps a version from it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from contracts.errors import Unavailable
from contracts.keys import ProjectKeys
from lambdas import rollback
from lambdas.leases import Busy, exclusive
from models.champion import decide
from tasks import clients, decisions, smoke, storage
from tasks.progress import Progress
from tasks.promotion import find_champion, place
from tasks.release import release, resume
from tasks.scoring import score
from tests.emulator_process import until
from tests.release_stage import GREEN, RED, Scene, encoded, own_stage, promote


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with own_stage(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture(scope="module")
def scene(stage: dict[str, str]) -> Scene:
    """One project for all: each test starts with a version live and ends with one."""
    made = Scene.made("release")
    for _ in range(2):
        made.promote(made.model())
    return made


def newest(scene: Scene) -> Any:
    return clients.state().releases(scene.project)[0]


def test_a_decision_that_is_older_than_a_rollback_is_made_again(scene: Scene) -> None:
    model_version = scene.model()
    attempt = scene.promotion(model_version)
    progress = Progress(scene.project, attempt.job)
    candidate = score.fn(scene.project, model_version, scene.dataset_version)
    with disable_run_logger():
        champion = find_champion.fn(scene.project, candidate, progress)
        decision = decide(candidate, champion.evaluation)
        back = rollback.roll_back(place(), scene.project)
        assert release.fn(scene.project, candidate, champion, decision, progress) is None
        scene.assert_consistent(back.model_version)
        again = find_champion.fn(scene.project, candidate, progress, champion)
        assert again.evaluation is not None
        assert again.evaluation.model_version == back.model_version
        assert (again.epoch, again.looks) == (champion.epoch + 1, 2)
    assert scene.promote(model_version).promote
    scene.assert_consistent(model_version)


def test_what_serves_cannot_change_for_ever(scene: Scene) -> None:
    model_version = scene.model()
    candidate = score.fn(scene.project, model_version, scene.dataset_version)
    progress = Progress(scene.project, scene.promotion(model_version).job)
    with disable_run_logger():
        champion = find_champion.fn(scene.project, candidate, progress)
        for _ in range(4):
            champion = find_champion.fn(scene.project, candidate, progress, champion)
        with pytest.raises(Busy, match="changed 5 times"):
            find_champion.fn(scene.project, candidate, progress, champion)


def test_a_release_that_was_rolled_back_is_not_made_again_by_its_own_rerun(scene: Scene) -> None:
    before, after = scene.record().model_version, scene.model()
    assert scene.promote(after).promote
    with scene.callers().calling() as callers:
        until(lambda: callers.by_version[after] > 5)
        assert rollback.roll_back(place(), scene.project).model_version == before
        until(lambda: callers.by_version[before] > 5)
    print(f"\nrollback: answers {dict(callers.by_version)}, failures {len(callers.failures)}")
    assert callers.failures == []
    decision = scene.promote(after)
    assert not decision.promote
    assert decision.reason == f"rolled back from {after}"
    scene.assert_consistent(before)
    assert scene.promote(after, job="another-job").promote  # which somebody has started since
    scene.assert_consistent(after)


def test_a_rerun_after_the_release_says_what_was_decided_then(scene: Scene) -> None:
    after = scene.model()
    decision = scene.promote(after)
    assert scene.promote(after) == decision
    key = ProjectKeys(scene.project).decision(after, scene.dataset_version)
    document = json.loads(storage.get(key))
    assert document["decision"]["wins"] == decision.wins == 12
    assert document["challenger"]["correct"] - document["champion"]["correct"] == 12
    assert document["promotion"] == newest(scene).promotion
    candidate = score.fn(scene.project, after, scene.dataset_version)
    assert decisions.stored(scene.project, candidate) == decision


def test_two_promotions_at_once_take_turns_and_the_better_one_stays(scene: Scene) -> None:
    good, better = scene.model(), scene.model()
    attempts = [scene.promotion(better), scene.promotion(good)]
    with (
        disable_run_logger(),
        scene.callers().calling() as callers,
        ThreadPoolExecutor(2) as pool,
    ):
        first, second = pool.map(promote, attempts)
    assert first.promote
    print(f"\ntwo at once: answers {dict(callers.by_version)}; the worse: {second.reason}")
    assert callers.failures == []
    scene.assert_consistent(better)


def test_a_promotion_waits_its_turn_longer_than_a_rollback_does(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback, "WAIT_SECONDS", 0.3)
    before = scene.record().model_version
    with exclusive(clients.state().table, scene.project, "somebody"):
        with pytest.raises(Busy, match="being changed"):
            rollback.roll_back(place(), scene.project)
        with disable_run_logger(), ThreadPoolExecutor(1) as pool:
            promotion = pool.submit(promote, scene.promotion(scene.model()))
            with pytest.raises(TimeoutError):
                promotion.result(1.0)
            scene.assert_consistent(before)
            clients.state().table.end_lease((f"PROJECT#{scene.project.slug}", "LEASE"), "somebody")
            assert promotion.result().promote


def test_an_endpoint_that_does_not_answer_keeps_the_old_version(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, releases = scene.record().model_version, clients.state().releases(scene.project)

    def silent(*_: Any) -> None:
        assert scene.alias()["FunctionVersion"] != scene.record().lambda_version
        raise Unavailable("the endpoint does not answer")

    monkeypatch.setattr(smoke, "ask_endpoint", silent)
    with pytest.raises(Unavailable):
        scene.promote(scene.model())
    scene.assert_consistent(before)
    assert clients.state().releases(scene.project) == releases


def test_stored_requests_are_asked_again_before_anybody_else_asks(scene: Scene) -> None:
    before = scene.record().model_version
    store(scene, "2026-11-26", "r1", GREEN, "green")
    store(scene, "2026-11-27", "r2", GREEN, "blue")
    store(scene, "2026-11-27", "r3", GREEN, None)
    storage.put(ProjectKeys(scene.project).request("2026-11-27", "broken"), b"no JSON")
    decision = scene.promote(scene.model())
    assert decision.promote
    found = decision.evidence["shadow"]
    assert (found["asked"], found["changed"], found["failed"]) == (3, 2, 0)
    assert {"change": "none of the classes → green", "count": 1} in found["changes"]

    before = scene.record().model_version
    store(scene, "2026-11-27", "r4", RED, "red")
    refused = scene.promote(scene.model(fails_on_red=True))
    assert not refused.promote
    assert "4 stored requests" in refused.reason
    assert "1 failed" in refused.reason
    scene.assert_consistent(before)

    scene.settings(shadow_requests=1)  # the newest is all that is asked
    limited = scene.promote(scene.model())
    assert limited.evidence["shadow"]["asked"] == 1
    scene.settings(shadow_requests=0)
    assert "shadow" not in scene.promote(scene.model()).evidence


def store(scene: Scene, day: str, request_id: str, picture: bytes, label: str | None) -> None:
    document = {
        "request_id": request_id,
        "at": 0.0,
        "content_type": "image/png",
        "example": {"image_base64": encoded(picture)},
        "label": label,
        "model_version": "model-0",
        "probabilities": {},
    }
    storage.put_json(ProjectKeys(scene.project).request(day, request_id), document)


def test_nothing_is_resumed_that_was_not_begun(scene: Scene) -> None:
    model_version = scene.model()
    candidate = score.fn(scene.project, model_version, scene.dataset_version)
    progress = Progress(scene.project, scene.promotion(model_version).job)
    assert resume.fn(scene.project, candidate, progress) is None
