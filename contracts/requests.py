"""Bodies the control API accepts, parsed and checked in one place."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from contracts.errors import DataProblem, InvalidRequest, LimitExceeded
from contracts.hub_names import hub_id, is_hub_model
from contracts.identity import Project, class_name, identifier, sha256_hex, shown_name
from contracts.limits import Limits
from contracts.manifest import Kind, Split
from contracts.tables import TABLE_TYPES, Hints

IMAGE_TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
)
SOURCE_MAX = 512
COLUMN_MAX = 128
RECIPE_VALUES_MAX = 40
RECIPE_NUMBER_MAX: Final = 1e12  # either way; a longer one would fill the job's record
TUNE_MAX: Final = 200
NOTE_MAX: Final = 500
AS_BEFORE: Final = "as_before"  # what the request leaves out is as in the last training
_REMEMBERED: Final = (
    *("upload", "model", "recipe", "seed", "budget_seconds", "min_per_class", "tune"),
)
_SIZE_MAX: Final = 2**40
_DETAILS: Final = 50
DEFAULT_MODELS: Final = {Kind.IMAGE: "mobilenet_v2", Kind.TEXT: "minilm_l6"}


QUESTION_WAYS: Final = ("image_base64", "text", "url")
_QUESTION_MORE: Final = ("explain", "class")
_QUESTION_FIX: Final = 'send {"image_base64": "..."} or {"text": "..."}'


def parse_question(body: Any) -> dict[str, Any]:
    """What a model is asked about; whether it takes it, the model itself says.

    Nothing else may go on to it, as it could be taken for a call over HTTP. Raises
    `InvalidRequest`.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("the body is no JSON object", fix=_QUESTION_FIX)
    found = dict(fields_of(body, required=(), optional=(*QUESTION_WAYS, *_QUESTION_MORE)))
    if found.keys().isdisjoint(QUESTION_WAYS):
        raise InvalidRequest("nothing is asked about", fix=_QUESTION_FIX)
    return found


def fields_of(body: Any, *, required: Iterable[str], optional: Iterable[str]) -> Mapping[str, Any]:
    """A body's fields. Raises `InvalidRequest` for one that is missing, and for one too many."""
    required, optional = tuple(required), tuple(optional)
    if not isinstance(body, dict):
        raise InvalidRequest("the body is no JSON object", fix=f"send {{{', '.join(required)}}}")
    missing = [name for name in required if name not in body]
    unknown = sorted(set(body) - set(required) - set(optional))
    if missing:
        raise InvalidRequest(f"{missing[0]!r} is missing", fix=f"give {', '.join(required)}")
    if unknown:
        allowed = ", ".join((*required, *optional))
        raise InvalidRequest(f"{str(unknown[0])[:80]!r} is unknown", fix=f"allowed are: {allowed}")
    return body


def _integer(value: Any, name: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(
            f"{name} is {str(value)[:80]!r}, it must be a whole number from {low} to {high}",
            fix=f"use a value such as {low}",
        )
    return value


def switch(value: Any, name: str) -> bool:
    """True or false. Raises `InvalidRequest`."""
    if not isinstance(value, bool):
        raise InvalidRequest(f"{name} is {str(value)[:40]!r}", fix="use true or false")
    return value


def _optional_id(data: Mapping[str, Any], name: str, what: str) -> str:
    """An id that may be left out or empty."""
    value = data.get(name, "")
    return identifier(value, what) if value != "" else ""


def parse_rollback(body: Any) -> str:
    """The body of `POST …/rollback`: `{model_version?}`; empty for the version before."""
    fields = fields_of(body, required=(), optional=("model_version",))
    return _optional_id(fields, "model_version", "model version")


def parse_approval(body: Any) -> tuple[bool, str]:
    """The body of `POST …/approval`: `{approve, note?}`."""
    fields = fields_of(body, required=("approve",), optional=("note",))
    approve, note = fields["approve"], fields.get("note", "")
    if not isinstance(approve, bool):
        raise InvalidRequest(
            f"approve is {str(approve)[:80]!r}, it must be true or false",
            fix='send {"approve": true}',
        )
    if not isinstance(note, str) or len(note) > NOTE_MAX:
        raise InvalidRequest(
            f"note must be text of at most {NOTE_MAX} characters", fix="shorten it"
        )
    return approve, note


@dataclass(frozen=True, slots=True)
class CreateProject:
    """`POST /v1/projects`."""

    name: str
    kind: Kind
    classes: tuple[str, ...]

    @classmethod
    def parse(cls, body: Any, limits: Limits) -> "CreateProject":
        """Raises `InvalidRequest` with the first broken rule."""
        data = fields_of(body, required=("name", "kind"), optional=("classes",))
        if data["kind"] not in list(Kind):
            raise InvalidRequest(
                f"kind {str(data['kind'])[:40]!r} is unknown", fix="use 'image' or 'text'"
            )
        kind = Kind(data["kind"])
        return cls(
            name=Project("user", data["name"]).name,
            kind=kind,
            classes=parse_classes(data.get("classes", []), limits, kind),
        )


def parse_classes(value: Any, limits: Limits, kind: Kind) -> tuple[str, ...]:
    """Return the class names in their stored form. Raises `InvalidRequest`.

    Classes of text may be left out: they are then those that the tables' labels name.
    """
    if not isinstance(value, list):
        raise InvalidRequest("classes is no list", fix="use a list such as ['cat', 'dog']")
    if kind is Kind.TEXT and not value:
        return ()
    if not limits.min_classes <= len(value) <= limits.max_classes:
        raise InvalidRequest(
            f"{len(value)} classes given, allowed are {limits.min_classes} to {limits.max_classes}",
            fix="name at least two classes, such as ['cat', 'dog']",
        )
    classes = tuple(class_name(item) for item in value)
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated:
        raise InvalidRequest(f"class {repeated[0]!r} is named twice", fix="name every class once")
    return classes


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """A file somebody is about to upload; `name` is shown to people and never used as a path.

    A picture belongs to a class; a table of text may, or names each row's class in a column.
    """

    class_name: str
    name: str
    size_bytes: int
    sha256: str
    content_type: str
    split: Split | None = None
    text_column: str = ""  # a header's name or a number from 1; empty: to be guessed
    label_column: str = ""
    is_feedback: bool = False  # given as the right label of an answer; its label outdoes others

    @property
    def kind(self) -> Kind:
        """What its examples are."""
        return Kind.TEXT if self.content_type in TABLE_TYPES else Kind.IMAGE

    @property
    def hints(self) -> Hints:
        """What is known of a table before it is read."""
        return Hints(self.content_type, bool(self.class_name), self.text_column, self.label_column)

    @classmethod
    def parse(cls, body: Any, limits: Limits) -> "AnnouncedFile":
        """Raises `InvalidRequest`, or `LimitExceeded` for a file that is too large."""
        data = fields_of(
            body,
            required=("name", "size_bytes", "sha256", "content_type"),
            optional=("class", "split", "text_column", "label_column", "feedback"),
        )
        name = data["name"]
        if not isinstance(name, str) or not 1 <= len(name) <= SOURCE_MAX:
            raise InvalidRequest(
                f"a file's name must have 1 to {SOURCE_MAX} characters", fix="shorten the name"
            )
        content_type = data["content_type"]
        is_table = content_type in TABLE_TYPES
        if not is_table and content_type not in IMAGE_TYPES:
            raise InvalidRequest(
                f"{name!r} is {str(content_type)[:60]!r}, which is no accepted picture or table",
                fix=f"use one of {', '.join((*IMAGE_TYPES, *TABLE_TYPES))}",
            )
        size = data["size_bytes"]
        largest = limits.max_table_bytes if is_table else limits.max_file_bytes
        if isinstance(size, int) and largest < size <= _SIZE_MAX:
            raise LimitExceeded(
                f"{name!r} has {size:,} bytes, the limit is {largest:,}",
                fix="divide it into several files"
                if is_table
                else "scale the picture down and try again",
            )
        if data.get("split") not in (None, "train", "test"):
            raise InvalidRequest(
                f"split {str(data['split'])[:40]!r} is unknown", fix="use 'train' or 'test'"
            )
        return cls(
            class_name=_class_of(data, is_table),
            name=shown_name(name),
            size_bytes=_integer(size, f"size_bytes of {name!r}", limits.min_file_bytes, _SIZE_MAX),
            sha256=sha256_hex(data["sha256"]),
            content_type=content_type,
            split=Split(data["split"]) if data.get("split") else None,
            text_column=_column(data.get("text_column", ""), "text_column"),
            label_column=_column(data.get("label_column", ""), "label_column"),
            is_feedback=switch(data.get("feedback", False), "feedback"),
        )

    def as_dict(self) -> dict[str, Any]:
        """The form that `parse` takes."""
        out: dict[str, Any] = {
            "class": self.class_name,
            "name": self.name,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "content_type": self.content_type,
        }
        for name in ("split", "text_column", "label_column"):
            if value := getattr(self, name):
                out[name] = str(value)
        if self.is_feedback:
            out["feedback"] = True
        return out


def _class_of(data: Mapping[str, Any], is_table: bool) -> str:
    if is_table and data.get("class", "") == "":
        return ""
    if "class" not in data:
        raise InvalidRequest("'class' is missing", fix="give the class of every picture")
    return class_name(data["class"])


def _column(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > COLUMN_MAX:
        raise InvalidRequest(
            f"{what} {str(value)[:60]!r} is no column's name",
            fix="give the name in the header, or the column's number as a text, such as '1'",
        )
    return value


def parse_files(value: Any, limits: Limits) -> tuple[AnnouncedFile, ...]:
    """Return a list of announced files. Raises `InvalidRequest` or `LimitExceeded`."""
    if not isinstance(value, list) or not value:
        raise InvalidRequest("files is no list with entries", fix="announce at least one file")
    return tuple(AnnouncedFile.parse(item, limits) for item in value)


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """`POST …/uploads`: one batch of an upload's files. Repeating a batch changes nothing."""

    upload: str
    files: tuple[AnnouncedFile, ...]

    @classmethod
    def parse(cls, body: Any, limits: Limits) -> "UploadRequest":
        """Raises `InvalidRequest` or `LimitExceeded`."""
        data = fields_of(body, required=("files",), optional=("upload",))
        files = parse_files(data["files"], limits)
        if len(files) > limits.max_files_per_request:
            raise LimitExceeded(
                f"{len(files):,} files in one call, the limit is {limits.max_files_per_request:,}",
                fix="announce them in several calls with the same 'upload' id",
            )
        upload = _optional_id(data, "upload", "upload")
        return cls(upload=upload or batch_digest(files)[:32], files=files)


def encode_batch(files: Iterable[AnnouncedFile]) -> bytes:
    """Canonical JSON of a batch of announced files."""
    entries = sorted(
        (file.as_dict() for file in files), key=lambda f: (f["sha256"], f["class"], f["name"])
    )
    return json.dumps({"files": entries}, sort_keys=True, separators=(",", ":")).encode()


def batch_digest(files: Iterable[AnnouncedFile]) -> str:
    """SHA-256 of a batch: the same files give the same upload id, so a rerun resumes."""
    return hashlib.sha256(encode_batch(files)).hexdigest()


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """`POST …/train`, or the content of a dropped `manifest.json`."""

    upload: str = ""  # empty: the newest one
    model: str = ""  # empty: the default of the project's kind
    recipe: str = "balanced"  # a preset's name, or a recipe's own values as JSON
    seed: int = 0
    budget_seconds: int = 3_600
    min_per_class: int = 0  # examples that a class needs; 0: what the limits say
    tune: int = 0  # variants of the recipe to try first, 0..TUNE_MAX
    again: bool = False  # train anew although the same job has already succeeded
    with_feedback: bool = True  # examples that were given the right label afterwards learn, too
    check_only: bool = False  # say whether it would start, and start nothing

    @classmethod
    def parse(cls, body: Any) -> Self:
        """Raises `InvalidRequest`."""
        data = fields_of(
            body,
            required=(),
            optional=(*_REMEMBERED, "again", "with_feedback", "check_only", AS_BEFORE),
        )
        default = cls()
        switch(data.get(AS_BEFORE, False), AS_BEFORE)
        return cls(
            upload=_optional_id(data, "upload", "upload"),
            model=_model(data["model"]) if data.get("model", "") != "" else "",
            recipe=_recipe(data.get("recipe", default.recipe)),
            seed=_integer(data.get("seed", 0), "seed", 0, 2**31 - 1),
            budget_seconds=_integer(
                data.get("budget_seconds", default.budget_seconds), "budget_seconds", 10, 7 * 86_400
            ),
            min_per_class=_integer(data.get("min_per_class", 0), "min_per_class", 0, 10_000),
            tune=_integer(data.get("tune", 0), "tune", 0, TUNE_MAX),
            again=switch(data.get("again", False), "again"),
            with_feedback=switch(data.get("with_feedback", True), "with_feedback"),
            check_only=switch(data.get("check_only", False), "check_only"),
        )

    def remembered(self) -> dict[str, Any]:
        """What a request "as before" takes over, in the form that `parse` takes."""
        values = {name: getattr(self, name) for name in _REMEMBERED}
        if self.recipe.startswith("{"):
            values["recipe"] = json.loads(self.recipe)
        return values

    def completed(self, kind: Kind, upload: str) -> Self:
        """Fill in what depends on the project: its newest upload and its kind's model.

        Raises `InvalidRequest` for the default model of another kind.
        """
        if any(self.model == name and of is not kind for of, name in DEFAULT_MODELS.items()):
            raise InvalidRequest(
                f"model {self.model!r} cannot learn from a project of kind {kind}",
                fix=f"use {DEFAULT_MODELS[kind]!r}, or leave the model out",
            )
        return replace(self, upload=self.upload or upload, model=self.model or DEFAULT_MODELS[kind])

    def job_id(self, project: Project, attempt: int) -> str:
        """The same request gives the same job, so repeating it attaches instead of doubling."""
        text = f"{project.slug}|{self.upload}|{self.model}|{self.recipe}|{self.seed}|{attempt}"
        if self.min_per_class:
            text += f"|{self.min_per_class}"
        if self.tune:
            text += f"|tune {self.tune}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _recipe(value: Any) -> str:
    """A preset's name as it is; values of one's own as canonical JSON, which training checks."""
    if not isinstance(value, dict):
        return _plain_name(value, "recipe")
    if not 1 <= len(value) <= RECIPE_VALUES_MAX:
        raise InvalidRequest(
            f"the recipe has {len(value)} values, allowed are 1 to {RECIPE_VALUES_MAX}",
            fix='give what differs from a preset, such as {"preset": "balanced", "epochs": 3}',
        )
    for name, item in value.items():
        _plain_name(name, "a recipe's value")
        if not _is_recipe_value(item):
            raise InvalidRequest(
                f"recipe value {name} is {str(item)[:40]!r}",
                fix="use a number up to 1e12, true or false",
            )
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _is_recipe_value(item: Any) -> bool:
    if isinstance(item, str):
        return len(item) <= 40
    return isinstance(item, int | float) and abs(item) <= RECIPE_NUMBER_MAX


def _model(value: Any) -> str:
    """A backbone's plain name, or `hf:owner/name`."""
    if isinstance(value, str) and is_hub_model(value):
        hub_id(value)
        return value
    return _plain_name(value, "model")


def _plain_name(value: Any, what: str) -> str:
    if (
        not isinstance(value, str)
        or not 1 <= len(value) <= 40
        or not value.replace("_", "").isalnum()
        or not value.isascii()
    ):
        raise InvalidRequest(
            f"{what} {str(value)[:60]!r} is no plain name", fix=f"leave {what} out for the default"
        )
    return value


def check_class_counts(
    files: Iterable[AnnouncedFile], classes: tuple[str, ...], limits: Limits
) -> None:
    """Raise `DataProblem` that lists what is missing before any machine is started.

    It counts pictures; how many rows a table has is known when it has been read.
    """
    files = list(files)
    details = class_shortages(files, classes, limits)
    known = set(classes)
    unknown = Counter(file.class_name for file in files if file.class_name not in known)
    details += [f"{n} files name the unknown class {name!r}" for name, n in unknown.items()]
    total = len({(file.sha256, file.class_name) for file in files if file.class_name in known})
    if total > limits.max_files:
        raise LimitExceeded(
            f"{total:,} files, the limit is {limits.max_files:,}", fix="train on fewer files"
        )
    if details:
        raise DataProblem(
            f"the data set is not ready: {details[0]}",
            fix="add what is missing and start the training again",
            details=details[:_DETAILS],
        )


def class_shortages(
    files: Iterable[AnnouncedFile], classes: tuple[str, ...], limits: Limits
) -> list[str]:
    """What each class lacks of the pictures that it needs, in words; of the first fifty."""
    distinct: dict[str, set[str]] = {name: set() for name in classes}
    for file in files:
        if file.class_name in distinct:
            distinct[file.class_name].add(file.sha256)
    return [
        f"class {name!r} needs {limits.min_per_class - len(found)} more "
        f"{'picture' if limits.min_per_class - len(found) == 1 else 'pictures'} "
        f"({len(found)} different ones given, {limits.min_per_class} needed)"
        for name, found in distinct.items()
        if len(found) < limits.min_per_class
    ][:_DETAILS]
