"""What a training is about: the request with its project, and the data that it learns from."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from contracts import keys
from contracts.errors import DataProblem
from contracts.estimate import Estimate, estimate, paced_recipe
from contracts.identity import Project
from contracts.keys import COLLECTION
from contracts.limits import Limits
from contracts.manifest import Kind
from contracts.requests import (
    AnnouncedFile,
    TrainRequest,
    batch_digest,
    check_class_counts,
    class_shortages,
)
from contracts.tables import SAMPLE_BYTES, Columns, encoding_of, guess_columns
from lambdas import environment, uploads
from lambdas.collection import unchanged
from lambdas.feedback import FeedbackLog
from lambdas.feedback_upload import FeedbackUpload, with_feedback
from lambdas.row_counts import Texts, check_row_counts, counts_of, texts_of
from lambdas.state import ProjectRecord

_ROW_BYTES = 100
_WAIT_SECONDS = 10.0  # for a change of the examples; the API waits for this function


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request with what it leaves out.

    The list of an upload does not change, but for the one that people edit: that one is read at
    once, together with the classes, and stands for itself under its digest.
    """

    record: ProjectRecord
    request: TrainRequest
    limits: Limits
    edited: list[AnnouncedFile] = field(default_factory=list)
    digest: str = ""

    @property
    def is_edited(self) -> bool:
        """Whether its list is the one that people edit."""
        return self.request.upload == COLLECTION

    @property
    def upload(self) -> str:
        """An id under which the list stays as it is."""
        return self.digest[:32] if self.is_edited else self.request.upload


def wanted(project: Project, request: TrainRequest, *, is_alone: bool) -> Wanted:
    """Read what is asked for; `is_alone` keeps others from changing it at that moment.

    Raises `DataProblem` where nothing has been uploaded, and `Busy`.
    """
    state = environment.state()
    limits = Limits.from_environment().with_minimum(request.min_per_class)
    record = state.project(project)
    request = request.completed(record.kind, record.last_upload)
    if not request.upload:
        raise _nothing_there("nothing has been uploaded yet", record, limits)
    if request.upload != COLLECTION:
        return Wanted(record, request, limits)
    with unchanged(state, project, _WAIT_SECONDS) if is_alone else nullcontext():
        record = state.project(project)
        files = uploads.announced_files(
            environment.s3(), environment.bucket(), project, COLLECTION, limits
        )
    return Wanted(record, request, limits, files, batch_digest(files))


def training_data(about: Wanted) -> FeedbackUpload:
    """What is trained on: the upload, with the labels that were given since.

    Raises `DataProblem` where its list is not there.
    """
    project, upload = about.record.project, about.request.upload
    files = about.edited
    if not about.is_edited:
        s3, bucket = environment.s3(), environment.bucket()
        files = uploads.announced_files(s3, bucket, project, upload, about.limits)
    if not files and about.is_edited:
        raise _nothing_there("there are no examples", about.record, about.limits)
    if not files:
        raise DataProblem(
            f"the list of upload {upload!r} is not there, or no longer",
            fix="upload the same files again; those that are stored are not sent twice",
        )
    if not about.request.with_feedback:
        return FeedbackUpload(about.upload, files)
    return with_feedback(
        about.record, FeedbackLog(environment.state(), project), about.upload, files
    )


@dataclass(frozen=True, slots=True)
class ReadTables:
    """How each table of text is read; of pictures there are none."""

    found: list[dict[str, Any]] = field(default_factory=list)  # for the API's answer
    texts: list[Texts] | None = None  # of all tables, where all are small


def read_tables(about: Wanted, data: FeedbackUpload) -> ReadTables:
    """Find the columns of each table. Raises `DataProblem` naming what cannot be read."""
    if about.record.kind is not Kind.TEXT:
        return ReadTables()
    tables = _read_beginnings(about.record.project, data)
    counted = [texts for _, texts in tables if texts is not None]
    found = [
        table | {"labels": None if texts is None else counts_of(texts)} for table, texts in tables
    ]
    return ReadTables(found, counted if len(counted) == len(tables) else None)


def check_counts(about: Wanted, data: FeedbackUpload, tables: ReadTables) -> None:
    """Raise `DataProblem` where a class has too few examples, as far as can be told here."""
    if about.record.kind is not Kind.TEXT:
        check_class_counts(data.files, about.record.classes, about.limits)
    elif tables.texts is not None:
        check_row_counts(tables.texts, about.limits)


def examples_of(files: list[AnnouncedFile]) -> int:
    """How many examples the files likely hold: a row of text has a hundred bytes or so."""
    return sum(1 + file.size_bytes // _ROW_BYTES if file.kind is Kind.TEXT else 1 for file in files)


def estimate_of(request: TrainRequest, files: list[AnnouncedFile]) -> Estimate:
    """A first guess; the pipeline makes a better one when it knows data and machine."""
    recipe = paced_recipe(request.recipe, request.tune)
    past = environment.state().observations(request.model, recipe)
    return estimate(examples_of(files), past, limit_seconds=request.budget_seconds)


def _nothing_there(said: str, record: ProjectRecord, limits: Limits) -> DataProblem:
    lacking = class_shortages((), record.classes, limits) if record.kind is Kind.IMAGE else []
    return DataProblem(said, fix="upload examples, then train", details=lacking)


def _read_beginnings(
    project: Project, data: FeedbackUpload
) -> list[tuple[dict[str, Any], Texts | None]]:
    def read(file: AnnouncedFile) -> tuple[dict[str, Any], Texts | None]:
        is_own = file.sha256 == data.table_sha256  # it may not be stored
        sample = data.table[:SAMPLE_BYTES] if is_own else _beginning(project, file)
        columns, texts = _columns(file, sample)
        found = {"name": file.name, "class": file.class_name or None, "columns": columns.as_dict()}
        return found, texts

    # Each beginning is forgotten by the thread that has read it: thousands would fill the memory.
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(read, data.files))


def _columns(file: AnnouncedFile, sample: bytes) -> tuple[Columns, Texts | None]:
    """And the texts, where the sample is the whole table."""
    is_whole = len(sample) == file.size_bytes
    try:
        encoding = encoding_of(sample, is_whole=is_whole)
        columns = guess_columns(sample, file.hints, encoding, is_whole=is_whole)
        return columns, _texts(file, sample, columns) if is_whole else None
    except DataProblem as error:
        raise DataProblem(f"{file.name!r}: {error.message}", fix=error.fix) from error


def _texts(file: AnnouncedFile, data: bytes, columns: Columns) -> Texts | None:
    try:
        return texts_of(file, data, columns)
    except UnicodeError:  # the pipeline says which row it is
        return None


def _beginning(project: Project, file: AnnouncedFile) -> bytes:
    key = keys.ProjectKeys(project).object(file.sha256)
    try:
        answer = environment.s3().get_object(
            Bucket=environment.bucket(), Key=key, Range=f"bytes=0-{SAMPLE_BYTES - 1}"
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in {403, 404}:
            raise
        raise DataProblem(
            f"{file.name!r} was announced but has not arrived",
            fix="run the upload again; only what is missing will be sent",
        ) from error
    return answer["Body"].read()
