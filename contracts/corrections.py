"""What feedback makes of an upload: a list of files in which the right labels have won."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from contracts.requests import AnnouncedFile

TABLE_NAME: Final = "feedback.csv"
TABLE_TYPE: Final = "text/csv"


@dataclass(frozen=True, slots=True)
class Correction:
    """An example and the label that a person gave it."""

    sha256: str
    label: str
    size_bytes: int
    content_type: str = ""  # of a picture
    text: str = ""  # all of it, of a project of text


def corrected_pictures(
    files: Iterable[AnnouncedFile], corrections: Iterable[Correction]
) -> list[AnnouncedFile]:
    """The files with the corrections' labels, and after them the pictures that are new.

    A picture that was there keeps its name and its split, in whatever classes it lay.
    """
    right = {correction.sha256: correction for correction in corrections}
    known: dict[tuple[str, str, str], AnnouncedFile] = {}
    for file in files:
        if file.sha256 in right:
            file = replace(file, class_name=right[file.sha256].label)
        known[file.sha256, file.class_name, file.name] = file
    new = set(right) - {file.sha256 for file in known.values()}
    return [*known.values(), *(_new_picture(right[sha256]) for sha256 in sorted(new))]


def _new_picture(correction: Correction) -> AnnouncedFile:
    return AnnouncedFile(
        correction.label,
        f"feedback/{correction.sha256[:12]}",
        correction.size_bytes,
        correction.sha256,
        correction.content_type,
        is_feedback=True,
    )


def table_of(corrections: Iterable[Correction]) -> bytes:
    """Texts and labels as CSV; the same corrections give the same bytes."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["text", "label"])
    for correction in sorted(corrections, key=lambda one: one.sha256):
        writer.writerow([correction.text, correction.label])
    return out.getvalue().encode()


def table_file(sha256: str, size_bytes: int) -> AnnouncedFile:
    """The table of corrections as a file of an upload; its labels outdo those of other tables."""
    return AnnouncedFile(
        "", TABLE_NAME, size_bytes, sha256, TABLE_TYPE, None, "text", "label", is_feedback=True
    )
