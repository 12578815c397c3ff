"""Releases that are killed at any step, while consumers ask: nobody notices, a rerun finishes."""

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tasks import clients, functions
from tests.emulator_process import until
from tests.release_process import Death, Processes, processes
from tests.release_stage import Callers, Scene, own_stage

KILLED = -signal.SIGKILL


@dataclass
class Theatre:
    """A project whose second model is live, and consumers who never stop asking."""

    scene: Scene
    processes: Processes
    callers: Callers


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    folder = tmp_path_factory.mktemp("stage")
    with own_stage(folder, EXEMPLAR_KEPT_VERSIONS="2") as variables:
        scene = Scene.made("killed")
        for _ in range(2):
            scene.promote(scene.model())
        with processes(variables) as forked, scene.callers().calling() as callers:
            yield Theatre(scene, forked, callers)


STEPS = {
    "zip is stored": Death("PutObject"),
    "configuration is set": Death("UpdateFunctionConfiguration"),
    "code is set": Death("UpdateFunctionCode"),
    "version is published": Death("PublishVersion"),
    "version was asked": Death("Invoke", 3),
    "release is announced": Death("UpdateAlias", is_before=True),
    "alias has moved": Death("UpdateAlias"),
    "endpoint was asked": Death("TransactWriteItems", is_before=True),
    "release is recorded": Death("TransactWriteItems"),
    "old version is deleted": Death("DeleteFunction"),
}
FROM_THEN_ON_THE_NEW_ONE = list(STEPS)[6:]


@pytest.mark.parametrize("step", STEPS)
def test_nobody_notices_and_a_rerun_finishes_when_it_is_killed_as_the(
    theatre: Theatre, step: str
) -> None:
    scene, callers = theatre.scene, theatre.callers
    before = scene.record().model_version
    if step == "configuration is set":
        unsettle(scene)
    after = scene.model()
    promotion = scene.promotion(after)
    asked = len(callers.answers)

    assert theatre.processes.run(promotion, STEPS[step]).status == KILLED
    serving = after if step in FROM_THEN_ON_THE_NEW_ONE else before
    assert answering(scene) == serving
    killed_at = len(callers.answers)
    until(lambda: len(callers.answers) >= killed_at + 5)
    assert callers.answers[-1] == (200, serving)
    assert theatre.processes.run(promotion).status == 0

    scene.assert_consistent(after)
    own = [r for r in clients.state().releases(scene.project) if r.model_version == after]
    assert len(own) == 1
    seen = callers.answers[asked:]
    answers = Counter(version for _, version in seen)
    print(f"\nkilled as the {step}: {dict(answers)}, {len(callers.failures)} failures", end=" ")
    assert callers.failures == []
    assert set(answers) <= {before, after}
    versions = [version for _, version in seen]
    assert versions == sorted(versions, key=[before, after].index)  # never back again


# One run may make a call less than the one that was measured: then there is nothing to die at.
MOST_UNREACHED = 2  # of all deaths


def unsettle(scene: Scene) -> None:
    """What is being prepared has another configuration, so that it has to be set."""
    name = scene.project.function_name()
    clients.functions().update_function_configuration(FunctionName=name, MemorySize=512)
    clients.functions().get_waiter("function_updated_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
    )


def answering(scene: Scene) -> str:
    """The model version behind the alias, as the function says."""
    found = clients.functions().get_function_configuration(
        FunctionName=scene.project.function_name(), Qualifier="live"
    )
    return functions.described(found)


@pytest.mark.soak
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_killed_at_every_call_that_changes_something(theatre: Theatre, is_first: bool) -> None:
    scene = Scene.made("every-first" if is_first else "every-second")
    models = 0 if is_first else 1
    calls = _released(theatre, scene, models)
    unreached = 0
    for number, operation in enumerate(calls):
        nth = calls[: number + 1].count(operation)
        for is_before in (True, False):
            one = Scene.made(f"{scene.project.name}-{number}-{int(is_before)}")
            for _ in range(models):
                one.promote(one.model())
            promotion = one.promotion(one.model())
            death = Death(operation, nth, is_before)
            status = theatre.processes.run(promotion, death).status
            assert status in {KILLED, 0}, death
            unreached += status == 0
            assert theatre.processes.run(promotion).status == 0, death
            one.assert_consistent(promotion.model_version)
    print(f"\nkilled before and after each of {len(calls)} calls: {calls}, {unreached} unreached")
    assert unreached <= MOST_UNREACHED


def _released(theatre: Theatre, scene: Scene, models: int) -> list[str]:
    """The calls of a release that nobody kills."""
    for _ in range(models):
        scene.promote(scene.model())
    done = theatre.processes.run(scene.promotion(scene.model()))
    assert done.status == 0
    return done.calls
