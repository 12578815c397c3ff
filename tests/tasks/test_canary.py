"""New versions that get a share of the calls first, and what ends that."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from contracts.status import JobState
from lambdas import rollouts
from lambdas.rollback import end_release_of, roll_back
from models.champion import Decision
from tasks import clients, promotion
from tasks.progress import JobCancelled
from tasks.promotion import place
from tests.emulator_process import until
from tests.release_process import Death, Processes, processes
from tests.release_stage import GREEN, RED, Callers, Scene, own_stage, promote


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with own_stage(tmp_path_factory.mktemp("stage")) as found:
        yield found


@pytest.fixture(scope="module")
def scene(variables: dict[str, str]) -> Scene:
    """One project for all: each test starts with a version live and ends with one."""
    made = Scene.made("canary")
    for _ in range(2):
        made.promote(made.model())
    return made


@pytest.fixture(scope="module")
def forked(variables: dict[str, str]) -> Iterator[Processes]:
    with processes(variables) as found:
        yield found


@contextmanager
def promoting(scene: Scene, model_version: str) -> Iterator["Future[Decision]"]:
    """A promotion that runs beside the test."""
    attempt = scene.promotion(model_version)
    with disable_run_logger(), ThreadPoolExecutor(1) as pool:
        yield pool.submit(promote, attempt)


def has_share(scene: Scene) -> bool:
    return "RoutingConfig" in scene.alias()


def newest(scene: Scene) -> Any:
    return clients.state().releases(scene.project)[0]


def report(what: str, callers: Callers) -> None:
    print(
        f"\n{what}: answers {dict(callers.by_version)}, failures {len(callers.failures)}", end=" "
    )


def test_a_version_that_fails_more_loses_its_share(scene: Scene) -> None:
    scene.settings(canary_share=0.3, canary_seconds=60)
    before, bad = scene.record().model_version, scene.model(fails_on_red=True)
    started = time.monotonic()
    with scene.callers(RED, GREEN).calling() as callers:
        decision = scene.promote(bad)
        until(lambda: callers.answers[-30:] and {v for _, v in callers.answers[-30:]} == {before})
    report(f"failing canary, ended after {time.monotonic() - started:.1f} s", callers)
    assert not decision.promote
    assert "more answers failed" in decision.reason
    scene.assert_consistent(before)
    found = newest(scene)
    assert (found.event, found.by) == ("withdrawn", "canary")
    assert found.answers[before]["failed"] == 0
    assert 2 <= found.answers[bad]["failed"] <= len(callers.failures)
    assert decision.evidence["canary"]["answers"] == found.answers
    assert not scene.promote(bad).promote  # the same promotion, tried again


def test_a_version_that_is_slower_loses_its_share(scene: Scene) -> None:
    scene.settings(canary_share=0.3, canary_seconds=60)
    before, slow = scene.record().model_version, scene.model(is_slow=True)
    with scene.callers(threads=3).calling() as callers:
        decision = scene.promote(slow)
    report("slow canary", callers)
    assert "answers took longer" in decision.reason
    assert callers.failures == []
    scene.assert_consistent(before)


def test_a_good_version_gets_a_share_then_all_and_is_watched(scene: Scene) -> None:
    scene.settings(canary_share=0.3, canary_seconds=2, watch_seconds=0.5)
    before, good = scene.record().model_version, scene.model()
    with scene.callers().calling() as callers:
        decision = scene.promote(good)
    report("good canary", callers)
    assert decision.promote
    assert [check.name for check in decision.checks[-2:]] == ["first calls", "watched"]
    assert callers.failures == []
    scene.assert_consistent(good)
    counted = newest(scene).answers
    total = counted[good]["answers"] + counted[before]["answers"]
    assert total > 20
    assert 0.05 < counted[good]["answers"] / total < 0.6
    assert decision.evidence["watch"]["answers"][good]["answers"] > 5
    assert decision.evidence["watch"]["answers"][good]["p95_ms"] < 50


def test_a_version_that_fails_with_every_call_is_rolled_back(scene: Scene) -> None:
    """Quiet before the release, so that a canary had nothing to see."""
    scene.settings(watch_seconds=60)
    before, bad = scene.record().model_version, scene.model(fails_on_red=True)
    with scene.callers(RED, GREEN).calling() as callers:
        decision = scene.promote(bad)
    report("rolled back by the watch", callers)
    assert not decision.promote
    assert decision.reason.startswith("rolled back: watched: more answers failed")
    scene.assert_consistent(before)
    found = newest(scene)
    assert (found.event, found.by) == ("rolled back", "watch")
    assert found.answers[bad]["failed"] >= 2
    assert not scene.promote(bad).promote


def test_a_rollback_ends_a_canary_at_once_and_for_good(scene: Scene) -> None:
    scene.settings(canary_share=0.5, canary_seconds=60)
    before, after = scene.record().model_version, scene.model()
    with scene.callers().calling() as callers:
        with promoting(scene, after) as running:
            until(lambda: callers.by_version[after] > 3)
            started = time.monotonic()
            assert roll_back(place(), scene.project).model_version == before
            seconds = time.monotonic() - started
            scene.assert_consistent(before)
            ended_at = len(callers.answers)
            decision = running.result()
        until(lambda: len(callers.answers) > ended_at + 20)
    report(f"canary ended by a rollback within {seconds:.2f} s", callers)
    assert {version for _, version in callers.answers[ended_at + 2 :]} == {before}
    assert callers.failures == []
    assert not decision.promote
    assert "ended: by a rollback" in decision.reason
    assert newest(scene).event == "withdrawn"
    assert not scene.promote(after).promote


def test_a_killed_canary_goes_on_where_it_was(scene: Scene, forked: Processes) -> None:
    scene.settings(canary_share=0.5, canary_seconds=2)
    after = scene.model()
    attempt = scene.promotion(after)
    with scene.callers().calling() as callers:
        assert forked.run(attempt, Death("FilterLogEvents", 3)).status < 0
        assert has_share(scene)
        found = rollouts.Rollouts(clients.state().table).find(scene.project)
        assert found is not None
        assert forked.run(attempt).status == 0
    assert time.time() - found.started_at < 15
    report("killed canary, resumed", callers)
    assert callers.failures == []
    scene.assert_consistent(after)


def test_a_dead_canary_is_put_back_by_the_next_promotion(
    scene: Scene, forked: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.settings(canary_share=0.5, canary_seconds=60)
    dead, after = scene.model(), scene.model()
    assert forked.run(scene.promotion(dead), Death("FilterLogEvents", 2)).status < 0
    assert has_share(scene)
    scene.settings()
    monkeypatch.setattr(rollouts, "STALE_SECONDS", 0.5)
    monkeypatch.setattr(promotion, "_POLL_SECONDS", 0.1)
    assert scene.promote(after).promote
    scene.assert_consistent(after)
    assert dead not in {
        release.model_version for release in clients.state().releases(scene.project)
    }


def test_a_job_that_is_cancelled_takes_its_canary_back(scene: Scene) -> None:
    scene.settings(canary_share=0.5, canary_seconds=60)
    before, after = scene.record().model_version, scene.model()
    job = scene.promotion(after).job
    with promoting(scene, after) as running:
        until(lambda: has_share(scene))
        clients.state().update_job(scene.project, job, state=JobState.CANCELLED)
        end_release_of(place(), scene.project, job)
        scene.assert_consistent(before)
        with suppress(JobCancelled):
            assert not running.result().promote
    scene.assert_consistent(before)


@pytest.mark.soak
def test_models_that_run_in_onnx_runtime_are_watched_alike(tmp_path: Path) -> None:
    """What fails and what is slow is the graph itself, and the lines are the serving code's own."""
    with own_stage(tmp_path, is_light=False):
        real = Scene.made("real")
        before = real.model()
        assert real.promote(before).promote
        real.settings(canary_share=0.3, canary_seconds=60)
        for flaw, reason in (
            ("fails_on_red", "more answers failed"),
            ("is_slow", "answers took longer"),
        ):
            with real.callers(RED, GREEN, threads=2).calling() as callers:
                decision = real.promote(real.model(**{flaw: True}))
            report(f"{flaw}: {decision.reason}", callers)
            assert reason in decision.reason
            real.assert_consistent(before)
        real.settings(canary_share=0.3, canary_seconds=8, watch_seconds=8)
        good = real.model()
        with real.callers(RED, GREEN, threads=2).calling() as callers:
            decision = real.promote(good)
        report(f"good: {decision.evidence}", callers)
        assert decision.promote
        assert callers.failures == []
        real.assert_consistent(good)
