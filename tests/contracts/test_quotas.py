import pytest

from contracts.errors import InvalidRequest
from contracts.quotas import Quotas, parse_quotas


def test_quotas_come_from_variables_and_from_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_QUOTA_PROJECTS", "7")
    monkeypatch.setenv("EXEMPLAR_QUOTA_JOBS", "")  # a parameter that was left empty
    quotas = Quotas.from_environment()
    assert (quotas.projects, quotas.jobs) == (7, Quotas().jobs)
    changed = quotas.with_changes(parse_quotas({"stored_gib": 2, "jobs": 0, "projects": None}))
    assert (changed.projects, changed.stored_bytes, changed.jobs) == (7, 2**31, 0)


@pytest.mark.parametrize("raw", ["-1", "many", "1.5", "9" * 12, "²"])
def test_a_quota_is_a_whole_number(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXEMPLAR_QUOTA_JOBS", raw)
    with pytest.raises(InvalidRequest, match="EXEMPLAR_QUOTA_JOBS is"):
        Quotas.from_environment()
    with pytest.raises(InvalidRequest, match="jobs is"):
        parse_quotas({"jobs": raw})
