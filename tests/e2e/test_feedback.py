"""Answers are corrected, and the project trains on them by itself."""

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Manifest
from deployments.client import Exemplar

pytestmark = [pytest.mark.stack, pytest.mark.soak]


def test_enough_corrections_train_the_project_through_the_same_gate(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    folder, more = digits(tmp_path / "first", 12), digits(tmp_path / "more", 16)
    new = [path for path in sorted(more.glob("*/*.png")) if int(path.stem) >= 12]
    known = folder / "digit 4" / "0.png"
    known.write_bytes((more / "digit 1" / "15.png").read_bytes())  # a 1 among the fours
    new.remove(more / "digit 1" / "15.png")
    with stack.client() as client:
        first = client.train(folder, "taught", recipe="fast", budget_seconds=10)
        assert first.state == "done"
        client.change_settings("taught", retrain={"after_new_examples": len(new) + 1})
        asked = [client.give_feedback("taught", path, path.parent.name) for path in new]
        asked.append(client.give_feedback("taught", known, "digit 1"))
        assert [answer["training"] for answer in asked] == [False] * len(new) + [True]
        job = client.wait("taught", second_job(client, "taught", first.job_id))
        counts = client.feedback("taught")
    assert (counts["feedback"], counts["new"]) == (len(new) + 1, 0)
    assert job.state == "done"
    assert job.decision["checks"]
    assert job.decision["reason"]
    manifest = read_manifest(stack, Project("me", "taught"), job.dataset_version)
    labels = {e.sha256: manifest.classes[e.class_index] for e in manifest.examples if e.split}
    assert {digest(path): path.parent.name for path in new}.items() <= labels.items()
    assert labels[digest(known)] == "digit 1"
    assert {e.sha256 for e in manifest.examples if e.is_feedback} == {digest(p) for p in new}
    before = read_manifest(stack, Project("me", "taught"), first.dataset_version)
    held_out = {e.sha256 for e in before.examples if e.split == "test"}
    assert held_out <= {e.sha256 for e in manifest.examples if e.split == "test"}


def second_job(client: Exemplar, project: str, first: str) -> str:
    for _ in range(240):
        for job in client.jobs(project):
            if job["job_id"] != first:
                return str(job["job_id"])
        time.sleep(0.5)
    raise AssertionError("no training has started by itself")


def read_manifest(stack: Any, project: Project, version: str) -> Manifest:
    s3 = stack.session.client("s3")
    bucket = next(b["Name"] for b in s3.list_buckets()["Buckets"] if "data" in b["Name"])
    body = s3.get_object(Bucket=bucket, Key=ProjectKeys(project).manifest(version))["Body"]
    return Manifest.from_json(body.read())


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
