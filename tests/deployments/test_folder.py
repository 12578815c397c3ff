import hashlib
import os
from pathlib import Path

import pytest

from contracts.errors import DataProblem, InvalidName, NotFound
from contracts.limits import Limits
from contracts.manifest import Split
from contracts.requests import SOURCE_MAX, AnnouncedFile
from deployments.folder import LabelledFolder, read_folder
from tests.deployments.pictures import write_classes, write_picture


def reasons(folder: LabelledFolder) -> dict[str, str]:
    return {skipped.name: skipped.reason for skipped in folder.skipped}


def test_a_folder_per_class_is_read_and_hashed(tmp_path: Path) -> None:
    found = read_folder(write_classes(tmp_path, 3))
    assert found.classes == ("cat", "dog")
    assert [file.name for file in found.files] == [
        f"{name}/{index}.png" for name in ("cat", "dog") for index in range(3)
    ]
    for file in found.files:
        body = file.path.read_bytes()
        assert (file.size_bytes, file.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        assert (file.content_type, file.split) == ("image/png", None)
        parsed = AnnouncedFile.parse(file.announced().as_dict(), Limits())
        assert parsed == file.announced()


def test_train_and_test_folders_become_splits_and_validation_joins_training(
    tmp_path: Path,
) -> None:
    for number, split in enumerate(("train", "test", "valid")):
        for name in ("cat", "dog"):
            write_picture(tmp_path / split / name / f"{number}.png", seed=number)
    (tmp_path / "docs").mkdir()
    found = read_folder(tmp_path)
    assert found.classes == ("cat", "dog")
    assert {(file.name.split("/")[0], file.split) for file in found.files} == {
        ("train", Split.TRAIN),
        ("test", Split.TEST),
        ("valid", Split.TRAIN),
    }
    assert "beside the train" in reasons(found)["docs"]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    found = read_folder(write_classes(tmp_path, 1, ("bus", "train")))
    assert found.classes == ("bus", "train")


@pytest.mark.parametrize(
    ("extension", "content_type"),
    [
        ("jpg", "image/jpeg"),
        ("png", "image/png"),
        ("gif", "image/gif"),
        ("webp", "image/webp"),
        ("bmp", "image/bmp"),
        ("tiff", "image/tiff"),
    ],
)
def test_the_first_bytes_tell_the_type_not_the_extension(
    tmp_path: Path, extension: str, content_type: str
) -> None:
    write_classes(tmp_path, 1)
    picture = write_picture(tmp_path / "cat" / f"real.{extension}", seed=7)
    picture.rename(tmp_path / "cat" / "lies.txt")
    found = {file.name: file.content_type for file in read_folder(tmp_path).files}
    assert found["cat/lies.txt"] == content_type


def test_what_is_no_picture_is_skipped_with_its_reason(tmp_path: Path) -> None:
    root = write_classes(tmp_path / "data", 1)
    outside = write_picture(tmp_path / "outside.png", seed=9)
    (root / "readme.md").write_text("about")
    (root / ".git").mkdir()
    cat = root / "cat"
    (cat / "labels.csv").write_text("a,b")
    (cat / "BMW.txt").write_text("BM begins this text, which is no bitmap at all")
    (cat / ".DS_Store").write_bytes(b"\0")
    (cat / "Thumbs.db").write_bytes(b"\0")
    (cat / "empty.jpg").touch()
    (cat / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + b"\0" * 20)
    (cat / "secret.png").symlink_to(outside)
    (cat / "loop").symlink_to(root)
    (cat / "inner.png").symlink_to(root / "dog" / "0.png")
    os.mkfifo(cat / "pipe.png")
    found = read_folder(root)
    assert [file.name for file in found.files] == ["cat/0.png", "cat/inner.png", "dog/0.png"]
    told = reasons(found)
    assert "outside the class folders" in told["readme.md"]
    assert "hidden" in told[".git"]
    assert "hidden" in told["cat/.DS_Store"]
    assert "hidden" in told["cat/Thumbs.db"]
    assert "no picture" in told["cat/labels.csv"]
    assert "no picture" in told["cat/BMW.txt"]
    assert "empty" in told["cat/empty.jpg"]
    assert "HEIC" in told["cat/phone.heic"]
    assert "leaves the folder" in told["cat/secret.png"]
    assert "link to a folder" in told["cat/loop"]
    assert "no regular file" in told["cat/pipe.png"]


def test_pictures_in_nested_folders_belong_to_the_class_above(tmp_path: Path) -> None:
    write_classes(tmp_path, 1)
    write_picture(tmp_path / "cat" / "2024" / "may" / "a.png", seed=5)
    found = {file.name: file.class_name for file in read_folder(tmp_path).files}
    assert found["cat/2024/may/a.png"] == "cat"


def test_hostile_names_stay_data(tmp_path: Path) -> None:
    write_classes(tmp_path, 1, ("cat", "Ĳsbär 🐻", "[red]x"))
    undecodable = os.fsdecode(b"cat/\xff\xfe.png")
    write_picture(tmp_path / "cat" / "odd.png", seed=4).rename(tmp_path / undecodable)
    deep = tmp_path / "cat" / ("d" * 200) / ("e" * 200) / ("f" * 200)
    write_picture(deep / "a.png", seed=6)
    found = read_folder(tmp_path)
    assert found.classes == ("[red]x", "cat", "Ĳsbär 🐻")
    for file in found.files:
        assert file.name.encode()
        assert len(file.name) <= SOURCE_MAX


@pytest.mark.parametrize(
    ("classes", "fragment"), [((), "no class folders"), (("cat",), "only the class 'cat'")]
)
def test_fewer_than_two_classes_are_refused_with_a_fix(
    tmp_path: Path, classes: tuple[str, ...], fragment: str
) -> None:
    with pytest.raises(DataProblem, match=fragment) as caught:
        read_folder(write_classes(tmp_path, 1, classes))
    assert caught.value.fix


def test_every_empty_class_is_listed(tmp_path: Path) -> None:
    write_classes(tmp_path, 1)
    (tmp_path / "bird").mkdir()
    (tmp_path / "ant").mkdir()
    with pytest.raises(DataProblem, match="'ant' holds no pictures") as caught:
        read_folder(tmp_path)
    assert len(caught.value.details) == 2


def test_a_missing_folder_and_a_bad_class_name_are_explained(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        read_folder(tmp_path / "none")
    write_classes(tmp_path, 1, ("cat", "evil\u202eeman"))
    with pytest.raises(InvalidName, match=r"U\+202E") as caught:
        read_folder(tmp_path)
    assert "rename the folder" in caught.value.fix


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int, int]] = []
    found = read_folder(write_classes(tmp_path, 4), lambda *now: seen.append(now))
    assert [done for done, _, _ in seen] == list(range(1, 9))
    assert seen[-1] == (8, 8, sum(file.size_bytes for file in found.files))
