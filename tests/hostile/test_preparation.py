"""Whatever is uploaded, the sound part stays and the rest is set aside with a reason."""

import pytest

from serving.picture_cost import MAX_OPENING_BYTES
from tests.hostile import pictures, tables
from tests.hostile.measured import in_process

MOST_MIB = MAX_OPENING_BYTES / 2**20 + 200


def test_hostile_files_of_every_kind_in_one_project() -> None:
    """As four threads do it: together they may not hold more than one alone."""
    counts = {"pictures": 2 * len(pictures.KINDS), "tables": len(tables.KINDS)}
    report = in_process("preparing", threads=4, seed=1, **counts)
    assert report.failures == []
    assert set(report.outcomes) <= {"kept", "data_problem", *report.by_kind["project"]}
    assert report.pieces == 1 + len(tables.KINDS)
    assert report.peak_mib < MOST_MIB, report.largest


@pytest.mark.soak
def test_a_thousand_hostile_files() -> None:
    counts = {"pictures": 10 * len(pictures.KINDS), "tables": 16 * len(tables.KINDS)}
    report = in_process("preparing", threads=1, seed=2, **counts)
    print(report.table())
    assert report.failures == []
    assert report.pieces >= 1_000
    assert report.peak_mib < MOST_MIB, report.largest
