"""Progress only moves forward, and every state says whether it is the last."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.identity import Project
from contracts.status import STAGE_START, Job, JobState, Stage, overall_progress


def test_every_stage_has_its_place_in_order() -> None:
    assert list(STAGE_START) == list(Stage)
    assert all(before < after for before, after in pairwise(STAGE_START.values()))


@given(st.sampled_from(Stage), st.floats(-1, 2), st.floats(-1, 2))
def test_progress_stays_inside_its_stage(stage: Stage, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= overall_progress(stage, low) <= overall_progress(stage, high) <= 1


@pytest.mark.parametrize(("before", "after"), list(pairwise(Stage)))
def test_a_finished_stage_is_where_the_next_begins(before: Stage, after: Stage) -> None:
    assert overall_progress(before, 1) == pytest.approx(overall_progress(after, 0))


def test_final_states() -> None:
    final = {state for state in JobState if state.is_final}
    assert final == {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


def test_a_job_is_answered_as_json_without_its_owner() -> None:
    answer = json.loads(json.dumps(Job(Project("ann", "pets"), "j1", "u1").as_dict()))
    assert answer["project"] == "pets"
    assert answer["state"] == "queued"
    assert "user" not in answer
