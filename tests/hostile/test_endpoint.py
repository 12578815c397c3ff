"""Whatever is asked of an endpoint gets an answer: never 5xx, never more memory than there is."""

from pathlib import Path
from typing import Any

import pytest

from contracts.identity import Project
from lambdas.state import State
from models.bundle_writer import write_bundle
from serving.picture_cost import MAX_OPENING_BYTES
from tests.hostile.measured import Report, in_process
from tests.lambdas.test_predict_text import write_text_bundle
from tests.serving.conftest import colour_card, colour_graph

PROJECT, KEY = Project("ada", "hostile"), "xk_hostile"
# What a picture may take to open, with the request that brought it in several forms.
MOST_MIB = MAX_OPENING_BYTES / 2**20 + 100
BUNDLES = {
    "image": lambda folder: write_bundle(folder, colour_card(), colour_graph()),
    "text": write_text_bundle,
}


def asked(
    kind: str, folder: Path, emulator: Any, table: str, monkeypatch: Any, **counts: int
) -> Report:
    BUNDLES[kind](folder)
    State(emulator.client("dynamodb"), table).add_key(PROJECT, KEY)
    monkeypatch.setenv("EXEMPLAR_USER", PROJECT.user)
    monkeypatch.setenv("EXEMPLAR_PROJECT", PROJECT.name)
    return in_process("asking", bundle=str(folder), key=KEY, **counts)


@pytest.mark.parametrize("kind", BUNDLES)
def test_hundreds_of_hostile_requests(
    kind: str, tmp_path: Path, emulator: Any, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"requests": 180, "events": 60, "seed": 1}
    report = asked(kind, tmp_path, emulator, state_table, monkeypatch, **counts)
    assert report.failures == []
    assert report.pieces == 240
    assert {"200", "400", "401", "413"} <= set(report.outcomes)
    assert report.peak_mib < MOST_MIB, report.largest


@pytest.mark.soak
@pytest.mark.parametrize("kind", BUNDLES)
def test_a_thousand_hostile_requests(
    kind: str, tmp_path: Path, emulator: Any, state_table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {"requests": 1_000, "events": 300, "seed": 2}
    report = asked(kind, tmp_path, emulator, state_table, monkeypatch, **counts)
    print(report.table())
    assert report.failures == []
    assert report.peak_mib < MOST_MIB, report.largest
