"""An earlier version answers again, on functions of the emulator whose answers are asked for."""

import io
import json
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from contracts.errors import BeingDeleted
from contracts.identity import Project
from contracts.manifest import Kind
from lambdas import environment, live_alias, rollback
from lambdas.leases import exclusive
from lambdas.live_alias import LIVE
from lambdas.rollouts import Rollout, Rollouts, Step
from lambdas.state import ProjectRecord, ReleaseRecord, VersionRecord

Call = Callable[..., tuple[int, Any]]
ROLE = "arn:aws:iam::000000000000:role/inference"


def package(model_version: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        answer = (
            f"def handler(event, context):\n    return {{'model_version': {model_version!r}}}\n"
        )
        archive.writestr("code.py", answer)
    return buffer.getvalue()


def promote(project: Project, *names: str) -> list[str]:
    """Functions and records as promotions leave them; return the functions' versions."""
    client, state = environment.functions(), environment.state()
    function, numbers = project.function_name(), []
    state.create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    for at, name in enumerate(names, 1_000):
        code = package(name)
        if numbers:
            client.update_function_code(FunctionName=function, ZipFile=code)
        else:
            client.create_function(
                FunctionName=function,
                Runtime="python3.12",
                Role=ROLE,
                Handler="code.handler",
                Code={"ZipFile": code},
            )
        client.get_waiter("function_updated_v2").wait(
            FunctionName=function, WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
        )
        number = client.publish_version(FunctionName=function)["Version"]
        numbers.append(number)
        record = VersionRecord(name, number, "d" * 64, "j1", at, "ann", "better", 0.9, {"n": at})
        state.put_version(project, record)
        state.put_release(project, ReleaseRecord(name, number, at, "ann", "better"))
    client.create_alias(FunctionName=function, Name=LIVE, FunctionVersion=numbers[-1])
    state.update_project(project, model_version=names[-1], lambda_version=numbers[-1])
    return numbers


def begin_release(project: Project, *numbers: str) -> None:
    """A canary of the newest version, while the one before is live."""
    live, new = numbers
    live_alias.point(environment.functions(), project.function_name(), live, {new: 0.1})
    now = time.time()
    rollout = Rollout("job-9:tuned-9", "tuned-9", new, Step.CANARY, now, now)
    Rollouts(environment.state().table).put(project, rollout)


def weights(project: Project) -> Any:
    name = project.function_name()
    alias = environment.functions().get_alias(FunctionName=name, Name=LIVE)
    return alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


def answering(project: Project) -> str:
    found = environment.functions().invoke(FunctionName=project.function_name(), Qualifier=LIVE)
    return str(json.load(found["Payload"])["model_version"])


def test_the_version_before_answers_again_and_the_history_says_so(call: Call) -> None:
    project = Project("ann", "back")
    promote(project, "draft-1", "tuned-2", "tuned-3")
    assert answering(project) == "tuned-3"
    status, live = call("POST", "/v1/projects/back/rollback")
    assert (status, live["model_version"]) == (200, "tuned-2")
    assert answering(project) == "tuned-2"
    _, details = call("GET", "/v1/projects/back")
    assert details["model_version"] == "tuned-2"
    assert details["metrics"] == {"n": 1_001}
    assert [release["model_version"] for release in details["releases"]] == [
        *("tuned-2", "tuned-3", "tuned-2", "draft-1")
    ]
    assert details["releases"][0]["reason"] == "rolled back from tuned-3"
    assert details["releases"][0]["by"] == "ann"


def test_a_named_version_and_forward_again_and_repeating_it_changes_nothing(call: Call) -> None:
    project = Project("ann", "named")
    promote(project, "draft-1", "tuned-2", "tuned-3")
    for to in ("draft-1", "draft-1", "tuned-3"):
        status, live = call("POST", "/v1/projects/named/rollback", {"model_version": to})
        assert (status, live["model_version"], answering(project)) == (200, to, to)
    assert len(environment.state().releases(project)) == 5


def test_what_an_interrupted_rollback_has_begun_is_finished_by_the_next(call: Call) -> None:
    """The alias has moved, and the record still names the other version."""
    project = Project("ann", "killed")
    first, _ = promote(project, "draft-1", "tuned-2")
    environment.functions().update_alias(
        FunctionName=project.function_name(), Name=LIVE, FunctionVersion=first
    )
    assert call("POST", "/v1/projects/killed/rollback")[1]["model_version"] == "draft-1"
    assert environment.state().project(project).model_version == "draft-1"


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"model_version": "tuned-9"}, 404, "never been promoted"),
        ({"model_version": "../x"}, 400, "may hold only"),
        ({"model_version": 7}, 400, "may hold only"),
        ({"to": "draft-1"}, 400, "unknown"),
        (None, 404, "nothing was promoted before"),
    ],
)
def test_what_cannot_be_gone_back_to_leaves_everything(
    body: Any, status: int, reason: str, call: Call
) -> None:
    project = Project("ann", f"only-{abs(hash((str(body), status))) % 10**6}")
    promote(project, "draft-1")
    found, answer = call("POST", f"/v1/projects/{project.name}/rollback", body)
    assert found == status
    assert reason in answer["error"]["message"]
    assert answer["error"]["fix"]
    assert answering(project) == "draft-1"


def test_a_version_whose_function_is_gone_is_a_conflict(call: Call) -> None:
    project = Project("ann", "pruned")
    first, _ = promote(project, "draft-1", "tuned-2")
    environment.functions().delete_function(FunctionName=project.function_name(), Qualifier=first)
    status, answer = call("POST", "/v1/projects/pruned/rollback")
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert answering(project) == "tuned-2"
    assert environment.state().project(project).model_version == "tuned-2"


def test_before_any_training_there_is_nothing_to_go_back_to(call: Call) -> None:
    project = Project("ann", "fresh")
    environment.state().create_project(ProjectRecord(project, Kind.IMAGE, ("cat", "dog")))
    assert call("POST", "/v1/projects/fresh/rollback")[0] == 404


def test_another_users_project_of_that_name_is_not_touched(call: Call) -> None:
    mine, other = Project("ann", "same"), Project("bob", "same")
    promote(mine, "draft-1", "tuned-2")
    promote(other, "draft-5", "tuned-6")
    assert call("POST", "/v1/projects/same/rollback", user="bob")[0] == 200
    assert (answering(mine), answering(other)) == ("tuned-2", "draft-5")
    assert call("POST", "/v1/projects/same/rollback", user="eve")[0] == 404


def test_while_another_change_is_being_made_it_is_busy(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project("ann", "taken")
    promote(project, "draft-1", "tuned-2")
    monkeypatch.setattr(rollback, "WAIT_SECONDS", 0.5)
    with exclusive(environment.state().table, project, "a-release"):
        status, answer = call("POST", "/v1/projects/taken/rollback")
    assert (status, answer["error"]["code"]) == (409, "busy")
    assert answering(project) == "tuned-2"
    assert call("POST", "/v1/projects/taken/rollback")[1]["model_version"] == "draft-1"


def test_it_waits_for_a_release_that_lets_go_soon(call: Call) -> None:
    project, table = Project("ann", "soon"), environment.state().table
    promote(project, "draft-1", "tuned-2")
    now = time.time()
    table.take_lease(("PROJECT#ann_soon", "LEASE"), "a-release-that-was-killed", now, now + 1)
    assert call("POST", "/v1/projects/soon/rollback")[1]["model_version"] == "draft-1"


@pytest.mark.parametrize(("to", "live"), [("", "tuned-2"), ("draft-1", "draft-1")])
def test_a_release_under_way_is_ended(call: Call, to: str, live: str) -> None:
    """Without a version to go to, the live one has all calls again: that was what was meant."""
    project = Project("ann", f"canary-{live}")
    _, second, third = promote(project, "draft-1", "tuned-2", "tuned-3")
    environment.state().update_project(project, model_version="tuned-2", lambda_version=second)
    begin_release(project, second, third)
    body = {"model_version": to} if to else None
    status, found = call("POST", f"/v1/projects/{project.name}/rollback", body)
    assert (status, found["model_version"], answering(project)) == (200, live, live)
    assert weights(project) == {}
    assert Rollouts(environment.state().table).find(project) is None
    newest = environment.state().releases(project)[0]
    assert (newest.model_version, newest.promotion) == (live, "job-9:tuned-9")
    assert newest.event == ("rolled back" if to else "withdrawn")
    assert environment.state().project(project).epoch == newest.epoch == 1


def test_a_cancelled_job_takes_back_what_it_has_begun_and_nobody_elses(call: Call) -> None:
    project = Project("ann", "cancelled")
    first, second = promote(project, "draft-1", "tuned-2")
    environment.state().update_project(project, model_version="draft-1", lambda_version=first)
    begin_release(project, first, second)
    rollback.end_release_of(environment.place(), project, "job-8")
    assert weights(project) == {second: 0.1}
    rollback.end_release_of(environment.place(), project, "job-9")
    assert weights(project) == {}
    assert environment.state().releases(project)[0].reason.endswith("its job was cancelled")


def test_clocks_that_differ_do_not_disorder_the_history(call: Call) -> None:
    """The release before was recorded by a machine whose clock is an hour ahead."""
    project, state = Project("ann", "clocks"), environment.state()
    _, second = promote(project, "draft-1", "tuned-2")
    state.put_release(
        project, ReleaseRecord("tuned-2", second, time.time() + 3_600, "ann", "better")
    )
    call("POST", "/v1/projects/clocks/rollback")
    assert state.releases(project)[0].model_version == "draft-1"


def test_of_two_changes_since_the_same_moment_one_is_made_and_the_other_not_at_all() -> None:
    project, state = Project("ann", "both"), environment.state()
    promote(project, "draft-1", "tuned-2")
    records = [ReleaseRecord(f"m-{n}", str(n), time.time(), "ann", "better") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda record: state.change_live(project, 0, record), records))
    assert made.count(True) == 1
    live = records[made.index(True)].model_version
    assert state.project(project).model_version == live
    assert [r.model_version for r in state.releases(project)[:2]] == [live, "tuned-2"]


def test_nothing_becomes_live_of_a_project_that_is_being_deleted(call: Call) -> None:
    project, state = Project("ann", "going"), environment.state()
    promote(project, "draft-1", "tuned-2")
    state.mark_deletion(project, "receipt-1")
    with pytest.raises(BeingDeleted):
        state.change_live(project, 0, ReleaseRecord("m-3", "3", time.time(), "ann", "better"))
    assert call("POST", "/v1/projects/going/rollback")[1]["error"]["code"] == "being_deleted"
    assert answering(project) == "tuned-2"
