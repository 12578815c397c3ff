"""What feedback makes of an upload's list of files."""

from contracts.corrections import Correction, corrected_pictures, table_file, table_of
from contracts.limits import Limits
from contracts.manifest import Kind, Split
from contracts.requests import AnnouncedFile

A, B, C = "a" * 64, "b" * 64, "c" * 64


def picture(sha256: str, label: str, name: str, split: Split | None = None) -> AnnouncedFile:
    return AnnouncedFile(label, name, 10, sha256, "image/png", split)


def right(sha256: str, label: str) -> Correction:
    return Correction(sha256, label, 10, "image/png")


def test_a_picture_that_was_there_changes_its_class_and_nothing_else() -> None:
    files = [picture(A, "cat", "1.png", Split.TEST), picture(B, "cat", "2.png")]
    found = corrected_pictures(files, [right(A, "dog")])
    assert found == [picture(A, "dog", "1.png", Split.TEST), picture(B, "cat", "2.png")]


def test_a_picture_under_two_labels_gets_the_right_one() -> None:
    files = [picture(A, "cat", "x.png"), picture(A, "dog", "x.png"), picture(A, "dog", "y.png")]
    found = corrected_pictures(files, [right(A, "dog")])
    assert found == [picture(A, "dog", "x.png"), picture(A, "dog", "y.png")]


def test_new_pictures_say_that_they_are_feedback_and_come_in_one_order() -> None:
    files = [picture(B, "cat", "2.png")]
    found = corrected_pictures(files, [right(C, "cat"), right(A, "dog")])
    assert found == corrected_pictures(files, [right(A, "dog"), right(C, "cat")])
    assert [(file.sha256, file.is_feedback) for file in found] == [
        (B, False),
        (A, True),
        (C, True),
    ]
    assert [AnnouncedFile.parse(file.as_dict(), Limits()) for file in found] == found


def test_feedback_that_confirms_changes_nothing() -> None:
    files = [picture(A, "cat", "1.png")]
    assert corrected_pictures(files, [right(A, "cat")]) == files


def test_the_table_of_texts_is_the_same_in_any_order() -> None:
    texts = [
        Correction(A, "ham", 2, text='he said "no"\nand, left'),
        Correction(B, "x", 1, text="b"),
    ]
    table = table_of(texts)
    assert table == table_of(reversed(texts))
    file = table_file(A, len(table))
    assert AnnouncedFile.parse(file.as_dict(), Limits()) == file
    assert (file.kind, file.is_feedback) == (Kind.TEXT, True)
