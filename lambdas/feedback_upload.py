"""The upload of a training with feedback: the last one's list of files, with the right labels."""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from contracts.corrections import TABLE_TYPE, corrected_pictures, table_file, table_of
from contracts.keys import ProjectKeys, expiry_tag
from contracts.manifest import Kind
from contracts.requests import AnnouncedFile, batch_digest, encode_batch
from lambdas.feedback import Feedback, FeedbackLog
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

    def as_dict(self) -> dict[str, Any]:
        """For the API's answer."""
        return {"examples": self.examples, "new": self.new, "left_out": self.left_out}


def with_feedback(
    s3: "S3Client",
    bucket: str,
    record: ProjectRecord,
    feedback: FeedbackLog,
    upload: str,
    files: list[AnnouncedFile],
) -> FeedbackUpload:
    """Store and return the upload with all feedback in it.

    Its id is that of its content: the same upload with the same feedback gives the same job.
    """
    learnt, given = feedback.count().learnt, feedback.all()
    fitting = [one for one in given if record.has_open_classes or one.label in record.classes]
    if record.kind is Kind.TEXT:
        corrected = _with_table(s3, bucket, record, fitting, files)
    else:
        corrected = corrected_pictures(files, (one.correction for one in fitting))
    found = FeedbackUpload(
        upload=upload,
        files=corrected,
        examples=len(fitting),
        new=sum(one.number > learnt for one in fitting),
        left_out=len(given) - len(fitting),
        last=given[-1].number if given else 0,
    )
    return found if corrected == files else _stored(s3, bucket, record, found)


def _with_table(
    s3: "S3Client",
    bucket: str,
    record: ProjectRecord,
    given: list[Feedback],
    files: list[AnnouncedFile],
) -> list[AnnouncedFile]:
    """Rows of text come as tables, so feedback comes as one more."""
    if not given:
        return files
    table = table_of(one.correction for one in given)
    sha256 = hashlib.sha256(table).hexdigest()
    s3.put_object(
        Bucket=bucket,
        Key=ProjectKeys(record.project).object(sha256),
        Body=table,
        ContentType=TABLE_TYPE,
    )
    return [*files, table_file(sha256, len(table))]


def _stored(
    s3: "S3Client", bucket: str, record: ProjectRecord, found: FeedbackUpload
) -> FeedbackUpload:
    digest = batch_digest(found.files)
    key = ProjectKeys(record.project).inbox_part(digest[:32], digest)
    s3.put_object(
        Bucket=bucket,
        Key=key,
        Tagging=expiry_tag(key),
        Body=encode_batch(found.files),
        ContentType="application/json",
    )
    return replace(found, upload=digest[:32])
