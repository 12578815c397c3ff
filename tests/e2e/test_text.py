"""From a table of texts and labels to an endpoint that answers, as people use it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile
from deployments.api_calls import ApiError
from deployments.client import Exemplar
from deployments.local_evaluation import evaluate_bundle
from models.sentence_encoders import SENTENCE_ENCODERS
from tests.texts import labelled_texts, write_table

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def trained(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project trained once for all tests of this module."""
    table = write_table(tmp_path_factory.mktemp("table") / "rows.csv", 110)
    with stack.client() as client:
        yield client, client.train(table, "topics", recipe="fast")


def test_the_job_ends_with_a_decision_and_an_endpoint(trained: Any) -> None:
    _, result = trained
    document = result.as_dict()
    assert document["state"] == "done"
    assert document["kind"] == "text"
    assert document["accuracy"] >= 0.95
    assert "out of 99" in document["sentence"]
    assert document["baseline"] >= 0.9
    assert document["draft_seconds"] > 0
    assert "train" in document["stage_seconds"]
    assert document["decision"]["reason"]


def test_the_endpoint_answers_rightly_with_its_version(trained: Any) -> None:
    client, _ = trained
    rows = labelled_texts(10, seed=5)
    answer = client.predict("topics", [text for text, _ in rows])
    right = [
        one["label"] == label for one, (_, label) in zip(answer["predictions"], rows, strict=True)
    ]
    assert sum(right) >= 28
    assert answer["model_version"] == client.details("topics")["model_version"]
    assert answer["request_id"]


@pytest.mark.parametrize(
    "text",
    [
        "😀" * 300,
        "مرحبا بالعالم",
        "שלום עולם",
        "日本語の文章",
        "a\u202eb",
        "rain " * 20_000,
        "x" * 100_000,
    ],
)
def test_whatever_people_write_gets_an_answer(trained: Any, text: str) -> None:
    client, _ = trained
    answer = client.predict("topics", text)
    assert answer["label"] in {"food", "sport", "weather", None}  # None: like nothing learnt
    assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)


def test_the_endpoint_says_why(trained: Any) -> None:
    client, _ = trained
    text, label = labelled_texts(1, seed=5)[0]
    why = client.predict("topics", text, explain=True)["explanation"]
    assert why["class"] == label
    assert {text[word["start"] : word["end"]] for word in why["words"]} >= set(
        re.findall(r"\w+", text)
    )


def test_what_is_about_none_of_the_topics_has_no_label(trained: Any) -> None:
    client, _ = trained
    if SENTENCE_ENCODERS["minilm_l6"].packaged() is None:
        pytest.skip("word counts do not know what is unlike everything they have seen")
    strange = [
        "The interest rate of a mortgage",
        "def main(): return 0",
        "日本語の文章です",
        "qwxz zzz",
    ]
    answers = client.predict("topics", strange)["predictions"]
    assert [one["label"] for one in answers].count(None) >= 3


def test_plain_text_is_taken_and_pictures_are_not(trained: Any) -> None:
    client, result = trained
    headers = {"x-api-key": client.saved_key("topics"), "content-type": "text/plain"}
    text, label = labelled_texts(1, seed=5)[0]
    answer = httpx.post(result.endpoint, content=text, headers=headers)
    assert answer.json()["label"] == label
    headers["content-type"] = "image/png"
    refused = httpx.post(result.endpoint, content=b"\x89PNG", headers=headers)
    assert refused.status_code == 415
    assert refused.json()["error"]["fix"]


def test_details_show_classes_and_what_was_set_aside(trained: Any, tmp_path: Path) -> None:
    client, _ = trained
    details = client.details("topics")
    assert details["kind"] == "text"
    assert details["classes"] == ["food", "sport", "weather"]
    assert details["report"]["usable"] == 330


def test_the_bundle_answers_on_this_machine_as_the_endpoint_does(
    trained: Any, tmp_path: Path
) -> None:
    client, _ = trained
    table = write_table(tmp_path / "unseen.csv", 10, seed=5)
    bundle = client.download_bundle("topics", tmp_path / "bundle.zip")
    found = evaluate_bundle(bundle, table)
    rows = labelled_texts(10, seed=5)
    served = client.predict("topics", [text for text, _ in rows])["predictions"]
    likeliest = [max(one["probabilities"], key=one["probabilities"].get) for one in served]
    assert found.correct == sum(a == b for a, (_, b) in zip(likeliest, rows, strict=True))


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("too-few", "text,label\n" + "some words,a\nother words,b\n" * 3, "more rows"),
        ("one-class", "text,label\n" + "".join(f"row {n},a\n" for n in range(120)), "there is 'a'"),
        (
            "ids",
            "text,label,id\n" + "".join(f"row {n},x,id {n}\n" for n in range(1_200)),
            "1200 classes need more rows",
        ),
    ],
    ids=["too-few", "one-class", "ids"],
)
def test_bad_tables_are_refused_with_a_reason_before_anything_starts(
    stack: Any, tmp_path: Path, name: str, rows: str, said: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(rows)
    column = "id" if name == "ids" else ""
    with stack.client() as client:
        with pytest.raises(ApiError) as refusal:
            client.train(client.read(path, label_column=column), name)
        assert client.jobs(name) == []
    assert said in str([refusal.value, refusal.value.details])
    assert refusal.value.fix


def test_a_table_in_the_inbox_starts_the_chain(stack: Any) -> None:
    """Without the API: the table put into storage, then a manifest that names it."""
    lines = [f"text {n},{label}" for label in ("=1+1", "b") for n in range(6)]
    data = "\n".join(["text,label", *lines, ""]).encode()
    digest = hashlib.sha256(data).hexdigest()
    project = Project("me", "dropped-table")
    with stack.client() as client:
        client.create("dropped-table", kind=Kind.TEXT)
        s3 = stack.session.client("s3")
        keys, bucket = ProjectKeys(project), _bucket(stack)
        s3.put_object(Bucket=bucket, Key=keys.object(digest), Body=data)
        file = AnnouncedFile("", "rows.csv", len(data), digest, "text/csv")
        manifest = {"files": [file.as_dict()], "min_per_class": 6}
        s3.put_object(
            Bucket=bucket, Key=keys.inbox_manifest("u1"), Body=json.dumps(manifest).encode()
        )
        job = _first_job(client, "dropped-table")
        ended = client.wait("dropped-table", job)
    assert ended.state == "failed"  # no spreadsheet's formula is a label, which is told
    assert "formula" in json.dumps(ended.failure)


def _bucket(stack: Any) -> str:
    buckets = stack.session.client("s3").list_buckets()["Buckets"]
    return str(next(b["Name"] for b in buckets if "data" in b["Name"]))


def _first_job(client: Exemplar, project: str) -> str:
    import time

    deadline = time.monotonic() + 30
    while not (jobs := client.jobs(project)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return str(jobs[0]["job_id"])
