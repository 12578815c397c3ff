"""The project's examples as its page shows and edits them: the list of what is learnt from next.

The list is that of the upload `examples`. Where another upload is the newest, such as one of the
command line, a change begins with that one's list, and `examples` is the newest from then on.
Objects stay whatever is removed: they are named by their content, and data sets may hold them.
"""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.collection import Change, Contents, ForgetMissing
from contracts.errors import Conflict
from contracts.identity import Project
from contracts.keys import COLLECTION
from contracts.limits import Limits
from contracts.requests import AnnouncedFile
from lambdas import uploads
from lambdas.feedback import FeedbackLog
from lambdas.leases import EXAMPLES, exclusive
from lambdas.object_listing import stored_objects
from lambdas.state import ProjectRecord, State

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PART_FILES = 5_000
_WAIT_SECONDS = 15.0  # for another's change; the gateway gives up after 30
_ATTEMPTS = 5


@contextmanager
def unchanged(
    state: State, project: Project, wait_seconds: float = _WAIT_SECONDS
) -> Iterator[None]:
    """Let nobody change the examples meanwhile. Raises `Busy`."""
    with exclusive(state.table, project, uuid.uuid4().hex, wait_seconds, part=EXAMPLES):
        yield


@dataclass(frozen=True, slots=True)
class Collection:
    """Of one project."""

    s3: "S3Client"
    bucket: str
    state: State
    project: Project
    limits: Limits

    def contents(self, record: ProjectRecord) -> Contents:
        """What the newest upload holds, whoever made it."""
        files = []
        if record.last_upload:
            files = uploads.announced_files(
                self.s3, self.bucket, self.project, record.last_upload, self.limits
            )
        return _contents(record, files)

    def stored(self) -> set[str]:
        """The contents that have arrived, of the whole project."""
        return {sha256 for sha256, _ in stored_objects(self.s3, self.bucket, self.project)}

    def open(self) -> None:
        """Make the list that is edited the newest upload, so that more can be announced in it."""
        if self.state.project(self.project).last_upload == COLLECTION:
            return
        with unchanged(self.state, self.project):
            for _ in range(_ATTEMPTS):
                record = self.state.project(self.project)
                if record.last_upload == COLLECTION:
                    return
                files = self.contents(record).files
                self._write(files, self._parts())
                if self._replace(record, last_upload=COLLECTION):
                    return
        raise _other_upload()

    def change(self, change: Change | ForgetMissing) -> tuple[ProjectRecord, Contents]:
        """Apply a change; return what there is then.

        Whatever ends it half-way, the same call again finishes it: the new list is written before
        the old one goes, the project's classes follow, and at last the labels given as feedback.
        Files announced meanwhile stay. Raises `ExemplarError` where the change may not be.
        """
        with unchanged(self.state, self.project):
            for _ in range(_ATTEMPTS):
                record = self.state.project(self.project)
                parts = self._parts()
                is_own = record.last_upload == COLLECTION
                before = _contents(record, self._listed(parts)) if is_own else self.contents(record)
                known = self._known(change, before)
                after = known.apply(before, self.limits)
                changes: dict[str, Any] = {}
                if after.files != before.files:
                    self._write(after.files, parts)
                    changes["last_upload"] = COLLECTION
                if after.classes != before.classes:
                    changes["classes"] = after.classes
                if changes and not self._replace(record, **changes):
                    continue
                FeedbackLog(self.state, self.project).relabel(known.relabelling(after))
                return self.state.project(self.project), after
        raise _other_upload()

    def _known(self, change: Change | ForgetMissing, before: Contents) -> Change:
        if isinstance(change, ForgetMissing):
            return change.removal(before, self.stored())
        return change

    def _listed(self, parts: list[str]) -> list[AnnouncedFile]:
        return uploads.listed_files(self.s3, self.bucket, parts, self.limits)

    def _parts(self) -> list[str]:
        return uploads.parts(self.s3, self.bucket, self.project, COLLECTION)

    def _replace(self, record: ProjectRecord, **changes: Any) -> bool:
        """Change the project unless somebody has given it other classes or another upload."""
        seen = {"last_upload": record.last_upload, "classes": record.classes}
        return self.state.change_project(self.project, seen, **changes)

    def _write(self, files: list[AnnouncedFile], instead_of: list[str]) -> None:
        batches = [files[at : at + _PART_FILES] for at in range(0, len(files), _PART_FILES)]
        with ThreadPoolExecutor(8) as pool:
            written = set(pool.map(self._put, batches))
            list(pool.map(self._delete, sorted(set(instead_of) - written)))

    def _put(self, batch: list[AnnouncedFile]) -> str:
        return uploads.put_part(self.s3, self.bucket, self.project, COLLECTION, batch)

    def _delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)


def _contents(record: ProjectRecord, files: list[AnnouncedFile]) -> Contents:
    return Contents(record.kind, record.classes, files, record.has_open_classes)


def _other_upload() -> Conflict:
    return Conflict(
        "another upload or other classes came at the same moment", fix="look again, then try again"
    )
