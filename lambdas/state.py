"""Projects, jobs, keys and tokens in one DynamoDB table, addressed by key and never scanned.

| pk                 | sk                 | holds                          |
|--------------------|--------------------|--------------------------------|
| USER#{user}        | PROJECT#{name}     | the project                    |
| PROJECT#{slug}     | JOB#{job}          | a training job                 |
| PROJECT#{slug}     | VERSION#{model}    | a model version once promoted  |
| PROJECT#{slug}     | KEYS               | hashes of the endpoint's keys  |
| TOKEN#{hash}       | TOKEN              | the user a token belongs to    |
"""

import hashlib
import time
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from contracts.errors import Conflict, NotFound
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.status import Job, JobState, Stage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_encode = TypeSerializer().serialize
_decode = TypeDeserializer().deserialize


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """What is known of a project; `versions` and `report` are filled as jobs run."""

    project: Project
    kind: Kind
    classes: tuple[str, ...]
    created_at: float = 0.0
    last_upload: str = ""
    last_job: str = ""
    dataset_version: str = ""
    model_version: str = ""  # live
    lambda_version: str = ""
    endpoint: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A promoted model version: who put it live, when and why."""

    model_version: str
    lambda_version: str
    dataset_version: str
    job_id: str
    promoted_at: float
    promoted_by: str
    reason: str
    accuracy: float


def digest(secret: str) -> str:
    """What is stored of a token or key."""
    return hashlib.sha256(secret.encode()).hexdigest()


class State:
    """The table's access patterns. Raises `NotFound` and `Conflict`, never botocore's errors."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    # Projects

    def create_project(self, record: ProjectRecord) -> tuple[ProjectRecord, bool]:
        """Store a new project; return the stored one and whether it is new.

        Raises `Conflict` when it exists with another kind or other classes.
        """
        record = replace(record, created_at=time.time())
        if self._put_new(_project_key(record.project), _values(record, skip={"project"})):
            return record, True
        stored = self.project(record.project)
        if (stored.kind, stored.classes) != (record.kind, record.classes):
            raise Conflict(
                f"project {record.project.name!r} exists with classes {list(stored.classes)}",
                fix="choose another name, or change its classes with PATCH",
            )
        return stored, False

    def project(self, project: Project) -> ProjectRecord:
        """Raises `NotFound`."""
        item = self._get(_project_key(project))
        if item is None:
            raise NotFound(
                f"there is no project {project.name!r}",
                fix="create it first, or look at the list of your projects",
            )
        return _project_record(project, item)

    def projects(self, user: str) -> list[ProjectRecord]:
        """All projects of a user, by name."""
        items = self._query(f"USER#{user}", "PROJECT#")
        return [
            _project_record(Project(user, item["sk"].removeprefix("PROJECT#")), item)
            for item in items
        ]

    def update_project(self, project: Project, **changes: Any) -> None:
        """Set the given fields of an existing project."""
        self._update(_project_key(project), changes, "attribute_exists(pk)")

    # Jobs

    def create_job(self, job: Job) -> bool:
        """Store a job unless its id exists; return whether it is new."""
        now = time.time()
        job = replace(job, created_at=now, updated_at=now)
        return self._put_new(_job_key(job.project, job.job_id), _values(job, skip={"project"}))

    def find_job(self, project: Project, job_id: str) -> Job | None:
        """The job, or None."""
        item = self._get(_job_key(project, job_id))
        return _job(project, item) if item else None

    def job(self, project: Project, job_id: str) -> Job:
        """Raises `NotFound`."""
        job = self.find_job(project, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}", fix="look at the project's jobs")
        return job

    def jobs(self, project: Project, limit: int = 100) -> list[Job]:
        """Jobs of a project, newest first."""
        found = [_job(project, item) for item in self._query(f"PROJECT#{project.slug}", "JOB#")]
        return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]

    def update_job(self, project: Project, job_id: str, **changes: Any) -> bool:
        """Set fields of a job that is not final; return False (and change nothing) if it is.

        So a process that is being cancelled cannot bring its job back to life. A name such as
        `metrics.epochs` sets one entry of a map, which two processes may do at once.
        """
        changes["updated_at"] = time.time()
        condition = "attribute_exists(pk) AND NOT (#state IN (:done, :failed, :cancelled))"
        final = {
            ":done": JobState.DONE,
            ":failed": JobState.FAILED,
            ":cancelled": JobState.CANCELLED,
        }
        return self._update(_job_key(project, job_id), changes, condition, final)

    # Versions

    def put_version(self, project: Project, record: VersionRecord) -> None:
        """Record a promotion; repeating it changes nothing but the time."""
        self._put(_version_key(project, record.model_version), _values(record))

    def versions(self, project: Project) -> list[VersionRecord]:
        """Promoted versions, newest first."""
        items = self._query(f"PROJECT#{project.slug}", "VERSION#")
        found = [VersionRecord(**_only(item, VersionRecord)) for item in items]
        return sorted(found, key=lambda record: record.promoted_at, reverse=True)

    # Credentials

    def put_key(self, project: Project, key: str) -> None:
        """Make `key` the only one that opens the project's endpoint."""
        self._put((f"PROJECT#{project.slug}", "KEYS"), {"hashes": {digest(key)}})

    def add_key(self, project: Project, key: str) -> None:
        """Let `key` open the endpoint beside the others."""
        self._change_keys(project, "ADD", key)

    def remove_key(self, project: Project, key: str) -> None:
        """Take back one key; removing an absent one changes nothing."""
        self._change_keys(project, "DELETE", key)

    def _change_keys(self, project: Project, action: str, key: str) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=_key_item((f"PROJECT#{project.slug}", "KEYS")),
            UpdateExpression=f"{action} hashes :hashes",
            ExpressionAttributeValues=_to_item({":hashes": {digest(key)}}),
        )

    def put_token(self, token: str, user: str, expires_at: float) -> None:
        """Let `token` act for `user` until `expires_at` (seconds since the epoch)."""
        self._put(
            (f"TOKEN#{digest(token)}", "TOKEN"), {"user": user, "expires_at": int(expires_at)}
        )

    def user_of_token(self, token: str) -> str | None:
        """The token's user, or None when it is unknown or expired."""
        item = self._get((f"TOKEN#{digest(token)}", "TOKEN"))
        if item is None or item["expires_at"] < time.time():
            return None
        return str(item["user"])

    # DynamoDB

    def _get(self, key: tuple[str, str]) -> dict[str, Any] | None:
        answer = self._client.get_item(
            TableName=self._table, Key=_key_item(key), ConsistentRead=True
        )
        return _from_item(answer["Item"]) if "Item" in answer else None

    def _put(self, key: tuple[str, str], values: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._table, Item=_key_item(key) | _to_item(values))

    def _put_new(self, key: tuple[str, str], values: dict[str, Any]) -> bool:
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_key_item(key) | _to_item(values),
                ConditionExpression="attribute_not_exists(pk)",
            )
        except ClientError as error:
            if _is_condition(error):
                return False
            raise
        return True

    def _query(self, pk: str, sk_prefix: str) -> list[dict[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_prefix}},
        )
        return [_from_item(item) for page in pages for item in page["Items"]]

    def _update(
        self,
        key: tuple[str, str],
        changes: dict[str, Any],
        condition: str,
        values: dict[str, Any] | None = None,
    ) -> bool:
        parts = {part for path in changes for part in path.split(".")}
        names = {f"#{part}": part for part in parts} | (
            {"#state": "state"} if "#state" in condition else {}
        )
        slots = {path: f":v{number}" for number, path in enumerate(changes)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_key_item(key),
                UpdateExpression="SET "
                + ", ".join(f"{_expression(path)} = {slot}" for path, slot in slots.items()),
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_to_item(
                    {slots[path]: value for path, value in changes.items()} | (values or {})
                ),
            )
        except ClientError as error:
            if _is_condition(error):
                return False
            raise
        return True


def _expression(path: str) -> str:
    return ".".join(f"#{part}" for part in path.split("."))


def _project_key(project: Project) -> tuple[str, str]:
    return f"USER#{project.user}", f"PROJECT#{project.name}"


def _job_key(project: Project, job_id: str) -> tuple[str, str]:
    return f"PROJECT#{project.slug}", f"JOB#{job_id}"


def _version_key(project: Project, model_version: str) -> tuple[str, str]:
    return f"PROJECT#{project.slug}", f"VERSION#{model_version}"


def _key_item(key: tuple[str, str]) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _is_condition(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _values(record: Any, skip: frozenset[str] | set[str] = frozenset()) -> dict[str, Any]:
    return {f.name: getattr(record, f.name) for f in fields(record) if f.name not in skip}


def _only(item: dict[str, Any], record: type[Any]) -> dict[str, Any]:
    return {f.name: item[f.name] for f in fields(record) if f.name in item}


def _project_record(project: Project, item: dict[str, Any]) -> ProjectRecord:
    values = _only(item, ProjectRecord)
    values |= {"kind": Kind(item["kind"]), "classes": tuple(item["classes"])}
    return ProjectRecord(project=project, **values)


def _job(project: Project, item: dict[str, Any]) -> Job:
    values = _only(item, Job)
    values |= {"state": JobState(item["state"]), "stage": Stage(item["stage"])}
    return Job(project=project, **values)


def _to_item(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _encode(_plain(value)) for name, value in values.items()}


def _from_item(item: dict[str, Any]) -> dict[str, Any]:
    return {name: _python(_decode(value)) for name, value in item.items()}


def _plain(value: Any) -> Any:
    """DynamoDB takes no float and no enum."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _python(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _python(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_python(item) for item in value]
    return value
