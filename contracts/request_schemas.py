"""The bodies of the control API as JSON Schemas; `contracts.requests` is what checks them.

A schema cannot say all of it: a class's kind, the order of an upload, what exists already.
"""

from collections.abc import Sequence
from typing import Final

from contracts import schema
from contracts.collection import LINKS_MAX, PLACES_MAX
from contracts.feedback import SHORT_MAX, WAYS
from contracts.hub_names import HUB_ID_MAX, PREFIX
from contracts.identity import (
    CLASS_NAME_MAX,
    IDENTIFIER_PATTERN,
    NAME_PATTERN,
    SHA256_PATTERN,
)
from contracts.keys import DAY_PATTERN
from contracts.limits import Limits
from contracts.manifest import Kind, Split
from contracts.project_settings import (
    ENDPOINT_AUTHS,
    NUMBERS,
    REQUESTS_PER_MINUTE_MAX,
    RETRAIN_DAYS_MAX,
    RETRAIN_EXAMPLES_MAX,
)
from contracts.requests import (
    AS_BEFORE,
    COLUMN_MAX,
    IMAGE_TYPES,
    NOTE_MAX,
    RECIPE_NUMBER_MAX,
    RECIPE_VALUES_MAX,
    SOURCE_MAX,
    TUNE_MAX,
    TrainRequest,
)
from contracts.schema import Schema
from contracts.tables import TABLE_TYPES

_PLAIN_NAME: Final = r"^[A-Za-z0-9_]*[A-Za-z0-9][A-Za-z0-9_]*$"


def name() -> Schema:
    """Of a project."""
    return schema.text(pattern=f"^{NAME_PATTERN}$", examples=["my-cat"])


def identifier(what: str) -> Schema:
    """An id that this system gave out, or that a client chose."""
    return schema.text(what, pattern=f"^{IDENTIFIER_PATTERN}$")


def sha256(what: str) -> Schema:
    """A content's or a data set's hash."""
    return schema.text(what, pattern=f"^{SHA256_PATTERN}$")


def class_name() -> Schema:
    """Of a class, as people write it."""
    return schema.text(
        "Free text of visible characters; kept trimmed and in NFC.",
        minLength=1,
        maxLength=CLASS_NAME_MAX,
    )


def classes(limits: Limits) -> Schema:
    """A project's."""
    return schema.listed(
        class_name(),
        f"At least {limits.min_classes}, each once; a project of text may leave them out.",
        maxItems=limits.max_classes,
    )


def create_project(limits: Limits) -> Schema:
    """`POST /v1/projects`."""
    body = schema.record(
        "CreateProject",
        {"name": name(), "kind": schema.one_of(Kind), "classes": classes(limits)},
        optional=["classes"],
    )
    return _closed(body, {"name": "my-cat", "kind": "image", "classes": ["cat", "dog"]})


def change_project(limits: Limits) -> Schema:
    """`PATCH /v1/projects/{name}`."""
    fields = {"classes": classes(limits)} | settings()
    body = schema.record("ChangeProject", fields, optional=fields)
    return _closed(body | {"minProperties": 1}, {"classes": ["cat", "dog", "bird"]})


def settings() -> dict[str, Schema]:
    """What a project's owner can set, by name."""
    rate = schema.whole(1, REQUESTS_PER_MINUTE_MAX, "That one key may make; null: the system's.")
    kept = {"type": ["boolean", "number"], "minimum": 0, "maximum": 1}
    kept["description"] = "Whether requests to the endpoint are kept for a while, or which share."
    numbers = {
        name: schema.number(minimum=low, maximum=high) for name, (low, high, _) in NUMBERS.items()
    }
    return numbers | {
        "approval": schema.truth("Whether a person confirms before a better model is released."),
        "retrain": _retraining(),
        "endpoint_auth": schema.one_of(ENDPOINT_AUTHS, "A key, or a signature by AWS credentials."),
        "fetch_urls": schema.truth("Whether the endpoint may be asked about a public address."),
        "requests_per_minute": schema.maybe(rate),
        "log_requests": kept,
    }


def _retraining() -> Schema:
    fields = {
        "after_new_examples": schema.whole(
            0, RETRAIN_EXAMPLES_MAX, "When so many were given as feedback; 0 is never."
        ),
        "on_drift": schema.truth("When what is asked about has changed."),
        "every_days": schema.whole(0, RETRAIN_DAYS_MAX, "After so many days; 0 is never."),
    }
    body = schema.record(
        "Retraining", fields, optional=fields, description="When it trains anew by itself."
    )
    return body | {"additionalProperties": False}


def announce_upload(limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/uploads`."""
    files = schema.listed(_file(limits), minItems=1, maxItems=limits.max_files_per_request)
    body = schema.record(
        "AnnounceUpload",
        {"files": files, "upload": _or_empty(identifier("The same in all calls of one upload."))},
        optional=["upload"],
    )
    return _closed(body, {"files": [_FILE]})


def train(_limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/train`."""
    default = TrainRequest()
    plain = schema.text(pattern=_PLAIN_NAME, maxLength=40)
    hub = schema.text(pattern=f"^{PREFIX}[^/]+/[^/]+$", maxLength=len(PREFIX) + HUB_ID_MAX)
    fields = {
        "upload": _or_empty(identifier("The newest one if left out.")),
        "model": {"anyOf": [plain, hub, schema.text(maxLength=0)]},
        "recipe": {"anyOf": [plain, _recipe_values()]},
        "seed": schema.whole(0, 2**31 - 1),
        "budget_seconds": schema.whole(10, 7 * 86_400, f"{default.budget_seconds} if left out."),
        "min_per_class": schema.whole(0, 10_000, "0: what the limits say."),
        "tune": schema.whole(0, TUNE_MAX, "Variants of the recipe to try first."),
        "again": schema.truth("Train anew although the same job has succeeded."),
        "with_feedback": schema.truth("Learn from feedback, too; so if left out."),
        "check_only": schema.truth("Say whether it would start; nothing is started."),
        AS_BEFORE: schema.truth("What is left out is as in the last training, the upload too."),
    }
    return _closed(schema.record("Train", fields, optional=fields), {"recipe": "fast"})


def give_feedback(limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/feedback`."""
    short = schema.text(maxLength=SHORT_MAX)
    fields = {
        "label": class_name() | {"description": "The right one."},
        "text": schema.text("The example of a project of text.", minLength=1),
        "image_base64": schema.text("The example of a project of pictures.", minLength=1),
        "sha256": sha256("Of a picture that is stored, or is sent where the answer says."),
        "request_id": identifier("Of a request to the endpoint that was kept."),
        "day": schema.text("Of the request (UTC).", pattern=f"^({DAY_PATTERN})?$"),
        "answered": schema.maybe(short | {"description": "The label that the model gave."}),
        "model_version": schema.maybe(_or_empty(identifier("That gave it."))),
        "size_bytes": schema.whole(0, limits.max_file_bytes, "Of a picture that is not stored."),
        "content_type": short | {"description": "Of a picture that is not stored."},
    }
    body = schema.record("GiveFeedback", fields, optional=set(fields) - {"label"})
    ways = [{"required": [way]} for way in WAYS]
    return _closed(body | {"oneOf": ways}, {"label": "cat", "request_id": "3f2a9c01"})


def change_examples(_limits: Limits) -> Schema:
    """`PATCH /v1/projects/{name}/examples`."""
    place = {"sha256": sha256("Of the content."), "class": _class_or_none()}
    moved = place | {"class": class_name(), "to": class_name()}
    renamed = {
        "class": class_name(),
        "to": class_name(),
        "merge": schema.truth("Whether `to` may be a class already; false if left out."),
    }
    fields = {
        "remove": _places(_closed_part(place)),
        "move": _places(_closed_part(moved)),
        "rename": _closed_part(renamed, ["merge"]) | {"description": "A class."},
        "drop_class": class_name() | {"description": "With its examples."},
        "add_class": class_name(),
        "forget_missing": {"const": True, "description": "What was announced and never sent."},
    }
    body = schema.record("ChangeExamples", fields, optional=fields)
    return _closed(body | {"minProperties": 1, "maxProperties": 1}, {"add_class": "bird"})


def link_examples(_limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/examples/links`."""
    contents = schema.listed(sha256("Of a content."), minItems=1, maxItems=LINKS_MAX)
    return _closed(schema.record("LinkExamples", {"sha256": contents}), {"sha256": ["ab" * 32]})


def _places(place: Schema) -> Schema:
    return schema.listed(place, minItems=1, maxItems=PLACES_MAX)


def _class_or_none() -> Schema:
    return class_name() | {"minLength": 0, "description": "Empty: a table that names its classes."}


def _closed_part(fields: dict[str, Schema], optional: Sequence[str] = ()) -> Schema:
    return schema.record("", fields, optional) | {"additionalProperties": False}


def answer_approval(_limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/jobs/{job_id}/approval`."""
    fields = {
        "approve": schema.truth("Whether the model shall be released."),
        "note": schema.text("Kept with the answer.", maxLength=NOTE_MAX),
    }
    return _closed(schema.record("AnswerApproval", fields, ["note"]), {"approve": True})


def roll_back(_limits: Limits) -> Schema:
    """`POST /v1/projects/{name}/rollback`."""
    version = _or_empty(identifier("The version before the live one if left out."))
    body = schema.record("RollBack", {"model_version": version}, optional=["model_version"])
    return _closed(body, {})


_FILE: Final = {
    "class": "cat",
    "name": "cat.jpg",
    "size_bytes": 12_345,
    "sha256": "ab" * 32,
    "content_type": "image/jpeg",
}


def _file(limits: Limits) -> Schema:
    largest = max(limits.max_file_bytes, limits.max_table_bytes)
    fields = {
        "name": schema.text("Shown to people, never a path.", minLength=1, maxLength=SOURCE_MAX),
        "size_bytes": schema.whole(limits.min_file_bytes, largest),
        "sha256": sha256("Of the content."),
        "content_type": schema.one_of((*IMAGE_TYPES, *TABLE_TYPES)),
        "class": class_name() | {"minLength": 0, "description": "Required of a picture."},
        "split": schema.maybe(schema.one_of((Split.TRAIN, Split.TEST))),
        "text_column": schema.text("A header's name, or a number from 1.", maxLength=COLUMN_MAX),
        "label_column": schema.text("A header's name, or a number from 1.", maxLength=COLUMN_MAX),
        "feedback": schema.truth("Chosen for what a model answered; its labels outdo others."),
    }
    optional = ("class", "split", "text_column", "label_column", "feedback")
    return _closed(schema.record("AnnouncedFile", fields, optional), _FILE)


def _recipe_values() -> Schema:
    number = schema.number(minimum=-RECIPE_NUMBER_MAX, maximum=RECIPE_NUMBER_MAX)
    value = {"anyOf": [number, schema.truth(), schema.text(maxLength=40)]}
    return schema.by_name(
        value,
        "Values of your own, such as {'preset': 'balanced', 'epochs': 3}.",
        propertyNames=schema.text(pattern=_PLAIN_NAME, maxLength=40),
        minProperties=1,
        maxProperties=RECIPE_VALUES_MAX,
    )


def _or_empty(wanted: Schema) -> Schema:
    """An id that may be left out, or be the empty string."""
    return wanted | {"pattern": f"^({IDENTIFIER_PATTERN})?$"}


def _closed(body: Schema, example: object) -> Schema:
    """A misspelt field is refused rather than ignored."""
    return body | {"additionalProperties": False, "examples": [example]}
