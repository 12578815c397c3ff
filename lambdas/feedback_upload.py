"""The upload of a training with feedback: the last one's list of files, with the right labels."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.corrections import TABLE_TYPE, corrected_pictures, table_file, table_of
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, batch_digest
from lambdas import uploads
from lambdas.feedback import FeedbackLog
from lambdas.state import ProjectRecord

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class FeedbackUpload:
    """What is trained on. Without feedback that says anything new it is the upload as it was."""

    upload: str
    files: list[AnnouncedFile]
    examples: int = 0  # with a label that feedback has given
    new: int = 0  # of them, since the last training
    left_out: int = 0  # of classes that the project no longer has
    last: int = 0  # the last label's number
    table: bytes = b""  # of text, the labelled rows

    @property
    def table_sha256(self) -> str:
        """Of the labelled rows, empty where there are none."""
        return hashlib.sha256(self.table).hexdigest() if self.table else ""

    def as_dict(self) -> dict[str, Any]:
        """For the API's answer."""
        return {"examples": self.examples, "new": self.new, "left_out": self.left_out}


def with_feedback(
    record: ProjectRecord, feedback: FeedbackLog, upload: str, files: list[AnnouncedFile]
) -> FeedbackUpload:
    """The upload with all feedback in it, which `keep` stores.

    Its id is that of its content: the same upload with the same feedback gives the same job.
    """
    learnt, given = feedback.count().learnt, feedback.all()
    fitting = [one for one in given if record.has_open_classes or one.label in record.classes]
    table = b""
    if record.kind is Kind.TEXT:
        # Rows of text come as tables, so feedback comes as one more.
        table = table_of(one.correction for one in fitting) if fitting else b""
        sha256 = hashlib.sha256(table).hexdigest()
        corrected = [*files, table_file(sha256, len(table))] if table else files
    else:
        corrected = corrected_pictures(files, (one.correction for one in fitting))
    return FeedbackUpload(
        upload=upload if corrected == files else content_id(corrected),
        files=corrected,
        examples=len(fitting),
        new=sum(one.number > learnt for one in fitting),
        left_out=len(given) - len(fitting),
        last=given[-1].number if given else 0,
        table=table,
    )


def content_id(files: list[AnnouncedFile]) -> str:
    """The id of an upload with a list of its own that does not change."""
    return batch_digest(files)[:32]


def keep(s3: "S3Client", bucket: str, project: Project, found: FeedbackUpload) -> None:
    """Store what is not stored yet of an upload that is named by its content."""
    if found.table:
        s3.put_object(
            Bucket=bucket,
            Key=ProjectKeys(project).object(found.table_sha256),
            Body=found.table,
            ContentType=TABLE_TYPE,
        )
    uploads.put_part(s3, bucket, project, found.upload, found.files)
