"""From pictures on disk to a prepared manifest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from contracts.errors import DataProblem
from contracts.limits import Limits
from contracts.manifest import Example, Flag, Manifest, Split
from models.inspection import inspect_images
from models.preparation import MAX_DETAILS, Facts, capped, prepare
from tests.models.labelled_pictures import manifest, scene, stored

LIMITS = Limits()


class Upload:
    """Pictures written to a folder, and what an uploader says about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.examples: list[Example] = []
        self.facts: Facts = {}

    def add(
        self, image: Image.Image | bytes, label: int, requested: Split | None = None
    ) -> Example:
        path = self.folder / f"{label}-{len(self.examples):03d}.png"
        if isinstance(image, bytes):
            path.write_bytes(image)
        else:
            image.save(path, "PNG")
        self.examples.append(stored(path, label, requested))
        return self.examples[-1]

    def frozen(self, classes: Sequence[str] = ("cat", "dog")) -> Manifest:
        return manifest(self.examples, classes)

    def inspected(self) -> Facts:
        paths = [self.folder / example.source for example in self.examples]
        found = inspect_images(paths, LIMITS)
        return {e.sha256: fact for e, fact in zip(self.examples, found, strict=True)}

    def prepared(self, **options: set[str]) -> Manifest:
        return prepare(self.frozen(), self.inspected(), LIMITS, **options)


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    """Two classes of twelve different pictures."""
    made = Upload(tmp_path)
    for seed in range(24):
        made.add(scene(seed), seed % 2)
    return made


def test_a_sound_upload_is_split_measured_and_linked_to_its_parent(upload: Upload) -> None:
    prepared = upload.prepared()
    assert prepared.is_prepared
    assert prepared.parent == upload.frozen().version
    assert all(e.split and e.width == 96 and not e.flags for e in prepared.examples)
    assert prepared == upload.prepared()


def test_what_was_prepared_survives_storage(upload: Upload) -> None:
    prepared = upload.prepared()
    assert Manifest.from_json(prepared.to_json()) == prepared


def test_bad_pictures_are_set_aside_with_their_reason(upload: Upload) -> None:
    upload.add(b"<html>", 0)
    upload.add(scene(99, 4), 1)
    *_, page, tiny = upload.prepared().examples
    assert (page.is_set_aside, page.flags) == (True, (Flag.UNREADABLE,))
    assert "web page" in page.note
    assert tiny.flags == (Flag.TOO_SMALL,)


def test_one_of_several_copies_is_kept(upload: Upload) -> None:
    upload.add(scene(0), 0)
    prepared = upload.prepared()
    assert prepared.examples[0].split is not None
    assert prepared.examples[-1].flags == (Flag.DUPLICATE,)
    assert "0-000.png" in prepared.examples[-1].note


def test_a_picture_under_two_labels_is_not_used_at_all(upload: Upload) -> None:
    upload.add(scene(0), 1)
    prepared = upload.prepared()
    assert prepared.examples[0].flags == prepared.examples[-1].flags == (Flag.CONFLICT,)
    assert "'cat' and 'dog'" in prepared.examples[0].note


def test_near_duplicates_share_a_group_and_a_split(upload: Upload) -> None:
    upload.add(scene(0).resize((60, 60)), 0)
    first, *_, last = upload.prepared().examples
    assert first.group == last.group == min(first.sha256, last.sha256)
    assert first.split is last.split
    assert last.flags == (Flag.NEAR_DUPLICATE,)


def test_a_requested_test_copy_of_a_training_picture_is_set_aside(tmp_path: Path) -> None:
    made = Upload(tmp_path)
    for seed in range(30):
        made.add(scene(seed), seed % 2, Split.TEST if seed < 8 else Split.TRAIN)
    exact = made.add(scene(20), 0, Split.TEST)
    near = made.add(scene(21).resize((60, 60)), 1, Split.TEST)
    prepared = made.prepared()
    assert [e.flags for e in prepared.examples[-2:]] == [(Flag.LEAK,), (Flag.LEAK,)]
    assert {exact.sha256, near.sha256}.isdisjoint(e.sha256 for e in prepared.select(Split.TEST))


def test_earlier_test_pictures_stay_in_test(upload: Upload) -> None:
    kept = {e.sha256 for e in upload.prepared().select(Split.TEST)}
    for seed in range(100, 140):
        upload.add(scene(seed), seed % 2)
    assert kept <= {e.sha256 for e in upload.prepared(previous_test=kept).select(Split.TEST)}


def test_feedback_is_drawn_for_the_test_like_any_other_new_example(upload: Upload) -> None:
    """Else the gate would not see what the feedback is about, and ties keep the champion."""
    before = upload.prepared()
    for seed in range(100, 140):
        added = upload.add(scene(seed), seed % 2)
        upload.examples[-1] = replace(added, is_feedback=True)
    test = {e.sha256 for e in before.select(Split.TEST)}
    learnt = {e.sha256 for e in before.examples} - test
    after = upload.prepared(previous_test=test, previous_train=learnt)
    assert Manifest.from_json(after.to_json()) == after
    drawn = [e for e in after.select(Split.TEST) if e.sha256 not in test]
    assert len(drawn) == 10
    assert all(example.is_feedback for example in drawn)


def test_sizes_far_from_the_rest_are_flagged_and_used(upload: Upload) -> None:
    upload.add(scene(99, 600), 0)
    last = upload.prepared().examples[-1]
    assert last.flags == (Flag.OUTLIER_SIZE,)
    assert last.split is not None


def test_what_ingestion_found_is_kept(upload: Upload) -> None:
    wrong = Example("f" * 64, 0, "x.png", 5, flags=(Flag.WRONG_CONTENT,), note="upload it again")
    frozen = manifest([*upload.examples, wrong])
    assert prepare(frozen, upload.inspected(), LIMITS).examples[-1] == wrong


def test_every_shortage_is_listed(tmp_path: Path) -> None:
    made = Upload(tmp_path)
    for seed in range(8):
        made.add(scene(seed), 0)
    with pytest.raises(DataProblem) as caught:
        made.prepared()
    assert caught.value.details == [
        "class 'cat' needs 2 more pictures (10 needed, 8 usable)",
        "class 'dog' needs 10 more pictures (10 needed, 0 usable)",
    ]


def test_one_class_is_no_choice(upload: Upload) -> None:
    alone = [e for e in upload.examples if e.class_index == 0]
    with pytest.raises(DataProblem, match="1 classes, 2 to 1,000"):
        prepare(manifest(alone, ("cat",)), upload.inspected(), LIMITS)


def test_ten_copies_of_one_picture_are_not_ten_pictures(upload: Upload) -> None:
    for e in [e for e in upload.examples if e.class_index == 1]:
        upload.examples.remove(e)
    for quality in range(12):
        upload.add(scene(500).resize((80 + quality, 80)), 1)
    with pytest.raises(DataProblem, match="'dog' has 1 different picture, near copies"):
        upload.prepared()


def test_test_pictures_alone_cannot_be_learnt_from(tmp_path: Path) -> None:
    made = Upload(tmp_path)
    for seed in range(24):
        made.add(scene(seed), seed % 2, Split.TEST)
    with pytest.raises(DataProblem, match="'cat' has no train picture"):
        made.prepared()


def test_long_lists_are_cut() -> None:
    lines = capped([str(i) for i in range(1_234)])
    assert len(lines) == MAX_DETAILS + 1
    assert lines[-1] == "and 1,184 more"
