"""Projects, jobs, keys and tokens in one DynamoDB table, addressed by key and never scanned.

| pk                 | sk                 | holds                          |
|--------------------|--------------------|--------------------------------|
| USER#{user}        | PROJECT#{name}     | the project                    |
| PROJECT#{slug}     | JOB#{job}          | a training job                 |
| PROJECT#{slug}     | VERSION#{model}    | a model version once promoted  |
| PROJECT#{slug}     | RELEASE#{time}     | a change of what is live       |
| USER#{user}        | SPENT#{month}#{run}| what one training run has cost |
| USER#{user}        | STARTING#{kind}    | runs that are being created    |
| USER#{user}        | RECEIPT#{receipt}  | a deletion, see `receipts`     |
| PACE               | {model}#{recipe}   | how long trainings have taken  |

Keys are in `lambdas/credentials.py`, users and tokens in `lambdas/accounts.py`, what users hold of
their quotas in `lambdas/ledger.py`.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from contracts.errors import BeingDeleted, Conflict, NotFound
from contracts.estimate import KEPT_OBSERVATIONS, Machine, Observation
from contracts.identity import Project
from contracts.manifest import Kind
from contracts.project_settings import DEFAULTS
from contracts.status import Job, JobState, Stage
from lambdas.accounts import Accounts
from lambdas.credentials import Credentials, digest
from lambdas.table import Guard, GuardFailed, Key, Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


# What a release record says has happened; withdrawn was another version, and this one stayed.
PROMOTED, ROLLED_BACK, WITHDRAWN = "promoted", "rolled back", "withdrawn"

MARK = "deletion"  # the field of a project's record that is there while it is being deleted
_LOST_SECONDS = 120.0  # after which a run is not being created any more


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """What is known of a project; `versions` and `report` are filled as jobs run."""

    project: Project
    kind: Kind
    classes: tuple[str, ...]
    has_open_classes: bool = False  # of text: whatever the labels name; `classes` are the last ones
    created_at: float = 0.0
    last_upload: str = ""
    last_job: str = ""
    dataset_version: str = ""
    model_version: str = ""  # live
    lambda_version: str = ""
    epoch: int = 0  # how often what is live has changed, so that old decisions are known as such
    endpoint: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)  # that its owner has changed
    last_request: dict[str, Any] = field(default_factory=dict)  # of the last training
    last_examples: str = ""  # digest of the list that it began with, where people edit that list
    deletion: str = ""  # id of the receipt, while it is being deleted

    def setting(self, name: str) -> Any:
        """The owner's choice, or the default."""
        return self.settings.get(name, DEFAULTS[name])

    def is_same_question(self, other: "ProjectRecord") -> bool:
        """Whether both were created with the same kind and classes."""
        if self.kind is not other.kind or self.has_open_classes != other.has_open_classes:
            return False
        return self.has_open_classes or self.classes == other.classes


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
    metrics: dict[str, Any] = field(default_factory=dict)  # what people are shown of it


@dataclass(frozen=True, slots=True)
class ReleaseRecord:
    """One change of what is live. All of them in order say what was live at any time."""

    model_version: str
    lambda_version: str
    at: float
    by: str
    reason: str
    event: str = PROMOTED
    promotion: str = ""  # that led to it, or that it put an end to
    epoch: int = 0
    answers: dict[str, Any] = field(default_factory=dict)  # per version, where they decided


class State(Credentials):
    """The table's access patterns. Raises `NotFound` and `Conflict`, never botocore's errors."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        super().__init__(Table(client, table))
        self.accounts = Accounts(self._table)

    @property
    def table(self) -> Table:
        """For access patterns that have a module of their own."""
        return self._table

    # Projects

    def create_project(self, record: ProjectRecord) -> tuple[ProjectRecord, bool]:
        """Store a new project; return the stored one and whether it is new.

        Raises `Conflict` when it exists with another kind or other classes.
        """
        record = replace(record, created_at=time.time())
        values = _values(record, skip={"project", MARK})
        if self._table.put_new(_project_key(record.project), values):
            return record, True
        stored = self.project(record.project)
        if not stored.is_same_question(record):
            raise Conflict(
                f"project {record.project.name!r} exists with classes {list(stored.classes)}",
                fix="choose another name, or change its classes with PATCH",
            )
        return stored, False

    def find_project(self, project: Project) -> ProjectRecord | None:
        """The project, even one that is being deleted, or None."""
        item = self._table.get(_project_key(project))
        return _project_record(project, item) if item else None

    def project(self, project: Project) -> ProjectRecord:
        """Raises `NotFound`, and `BeingDeleted` for one that is going."""
        record = self.find_project(project)
        if record is None:
            raise NotFound(
                f"there is no project {project.name!r}",
                fix="create it first, or look at the list of your projects",
            )
        if record.deletion:
            raise BeingDeleted(
                f"project {project.name!r} is being deleted",
                fix="wait until it is gone: `exemplar delete` again shows how far it is",
            )
        return record

    def projects(self, user: str) -> list[ProjectRecord]:
        """All projects of a user, by name; without those that are being deleted."""
        items = self._table.query(f"USER#{user}", "PROJECT#")
        return [
            _project_record(Project(user, item["sk"].removeprefix("PROJECT#")), item)
            for item in items
            if MARK not in item
        ]

    def update_project(self, project: Project, **changes: Any) -> None:
        """Set the given fields. Raises `NotFound` and `BeingDeleted`."""
        if not self._table.update(_project_key(project), changes, only_if={MARK: None}):
            self.project(project)

    def change_project(self, project: Project, only_if: Mapping[str, Any], **changes: Any) -> bool:
        """Set fields where others are as they were read; False, and nothing set, if they are not.

        Raises `NotFound` and `BeingDeleted`.
        """
        conditions = {**only_if, MARK: None}
        if self._table.update(_project_key(project), changes, only_if=conditions):
            return True
        self.project(project)
        return False

    def mark_deletion(self, project: Project, receipt: str) -> bool:
        """Close a project for every other call; False if there is none or it is marked already."""
        return self._table.update(_project_key(project), {MARK: receipt}, only_if={MARK: None})

    def remove_project(self, project: Project, receipt: str) -> bool:
        """Remove the record of a project that is being deleted under this receipt."""
        return self._table.delete_if(_project_key(project), MARK, receipt)

    def guard(self, project: Project) -> Guard:
        """That a project is there and is not being deleted."""
        return Guard(_project_key(project), MARK)

    def _put_of(
        self, project: Project, key: Key, values: dict[str, Any], *, is_new: bool = False
    ) -> bool:
        """Write what belongs to a project. Raises `NotFound` and `BeingDeleted`.

        Nothing that is still under way, such as a promotion, may bring back what has been deleted.
        """
        with self._while_there(project) as guard:
            return self._table.put_guarded(key, values, guard, is_new=is_new)

    def _assign(
        self, project: Project, changes: dict[str, Any], guard: Guard | None = None
    ) -> None:
        """What an endpoint's function reads. Raises `NotFound` and `BeingDeleted`."""
        with self._while_there(project) as there:
            super()._assign(project, changes, guard or there)

    @contextmanager
    def _while_there(self, project: Project) -> Iterator[Guard]:
        try:
            yield self.guard(project)
        except GuardFailed:
            self.project(project)
            raise Conflict(  # it has been made anew at this very moment
                f"project {project.name!r} was just created", fix="try again"
            ) from None

    # Jobs

    def create_job(self, job: Job) -> bool:
        """Store a job unless its id exists; return whether it is new.

        Raises `NotFound` and `BeingDeleted` where its project is not there for it.
        """
        now = time.time()
        job = replace(job, created_at=now, updated_at=now)
        values = _values(job, skip={"project"})
        return self._put_of(job.project, _job_key(job.project, job.job_id), values, is_new=True)

    def find_job(self, project: Project, job_id: str) -> Job | None:
        """The job, or None."""
        item = self._table.get(_job_key(project, job_id))
        return _job(project, item) if item else None

    def job(self, project: Project, job_id: str) -> Job:
        """Raises `NotFound`."""
        job = self.find_job(project, job_id)
        if job is None:
            raise NotFound(f"there is no job {job_id!r}", fix="look at the project's jobs")
        return job

    def jobs(self, project: Project, limit: int = 100) -> list[Job]:
        """Jobs of a project, newest first."""
        found = [
            _job(project, item) for item in self._table.query(f"PROJECT#{project.slug}", "JOB#")
        ]
        return sorted(found, key=lambda job: job.created_at, reverse=True)[:limit]

    def update_job(self, project: Project, job_id: str, **changes: Any) -> bool:
        """Set fields of a job that is not final; return False (and change nothing) if it is.

        So a process that is being cancelled cannot bring its job back to life. A name such as
        `metrics.epochs` sets one entry of a map, which two processes may do at once.
        """
        changes["updated_at"] = time.time()
        final = [state for state in JobState if state.is_final]
        return self._table.update(_job_key(project, job_id), changes, unless={"state": final})

    # Versions

    def put_version(self, project: Project, record: VersionRecord) -> None:
        """Record a promotion; repeating it changes nothing but the time."""
        self._put_of(project, _version_key(project, record.model_version), _values(record))

    def versions(self, project: Project) -> list[VersionRecord]:
        """Promoted versions, newest first."""
        items = self._table.query(f"PROJECT#{project.slug}", "VERSION#")
        found = [VersionRecord(**_only(item, VersionRecord)) for item in items]
        return sorted(found, key=lambda record: record.promoted_at, reverse=True)

    def put_release(self, project: Project, record: ReleaseRecord) -> None:
        """Remember that another version has become live."""
        self._put_of(project, _release_key(project, record.at), _values(record))

    def releases(self, project: Project) -> list[ReleaseRecord]:
        """Every change of what is live, newest first."""
        items = self._table.query(f"PROJECT#{project.slug}", "RELEASE#")
        return [ReleaseRecord(**_only(item, ReleaseRecord)) for item in reversed(items)]

    def change_live(
        self,
        project: Project,
        epoch: int,
        release: ReleaseRecord,
        version: VersionRecord | None = None,
        ends: Iterable[Key] = (),
        **changes: Any,
    ) -> bool:
        """Record what is live now: history, project and version at once, or nothing of it.

        `ends` are items that go with it. Returns False, and changes nothing, where what is live has
        changed since `epoch`. Raises `NotFound` and `BeingDeleted`.
        """
        newest = self._table.newest(f"PROJECT#{project.slug}", "RELEASE#", 1)
        # Clocks of two machines may differ: the history's order must not.
        at = max(release.at, newest[0]["at"] + 1e-3) if newest else release.at
        release = replace(release, at=at, epoch=epoch + 1)
        puts = {_release_key(project, at): _values(release)}
        if version:
            puts[_version_key(project, version.model_version)] = _values(version)
        live = {"model_version": release.model_version, "lambda_version": release.lambda_version}
        is_done = self._table.write_with(
            _project_key(project),
            live | changes | {"epoch": epoch + 1},
            {"epoch": epoch, MARK: None},
            puts,
            ends,
        )
        if not is_done:
            self.project(project)
        return is_done

    # Turns

    @contextmanager
    def starting(self, user: str, kind: str, run: str) -> Iterator[set[str]]:
        """Name a run while it is being created; yields the user's that were named before it.

        Of runs created at the same moment each sees those before it: nobody counts for two. One
        that could not be created stays named for a while, and keeps its place when tried again.
        """
        key, now = (f"USER#{user}", f"STARTING#{kind}"), time.time()
        mark = f"{now:.3f}#{run}"
        before = self._table.add_to_set(key, "runs", {mark})
        lost = {one for one in before if float(one.partition("#")[0]) < now - _LOST_SECONDS}
        own = {one for one in before - lost if one.partition("#")[2] == run}
        others = {one for one in before - lost - own if not own or one < min(own)}
        yield {one.partition("#")[2] for one in others}
        self._table.remove_from_set(key, "runs", {mark} | own | lost)

    # Time and money

    def put_spent(self, user: str, month: str, run: str, dollars: float) -> None:
        """Say what a training run has cost so far; `month` is such as 2026-11."""
        self._table.put((f"USER#{user}", f"SPENT#{month}#{run}"), {"dollars": dollars})

    def spent(self, user: str, month: str) -> dict[str, float]:
        """Dollars of each of a user's training runs of a month."""
        prefix = f"SPENT#{month}#"
        items = self._table.query(f"USER#{user}", prefix)
        return {item["sk"].removeprefix(prefix): float(item["dollars"]) for item in items}

    def forget_spent(self, user: str, month: str, run: str) -> None:
        """Take back what was set aside for a run that is not started."""
        self._table.delete((f"USER#{user}", f"SPENT#{month}#{run}"))

    def add_observation(self, model: str, recipe: str, seen: Observation) -> None:
        """Remember how long a training took. Of two at the same moment one may be forgotten."""
        latest = [*self.observations(model, recipe), seen][-KEPT_OBSERVATIONS:]
        self._table.put(_pace_key(model, recipe), {"seen": [asdict(one) for one in latest]})

    def observations(self, model: str, recipe: str) -> list[Observation]:
        """The latest trainings of this kind in the whole system, oldest first."""
        item = self._table.get(_pace_key(model, recipe)) or {"seen": []}
        return [Observation(**one | {"machine": Machine(**one["machine"])}) for one in item["seen"]]

    # Credentials

    def put_token(self, token: str, user: str, expires_at: float) -> None:
        """Let `token` act for `user`, who gets an account, until then (seconds of the epoch)."""
        self.accounts.add(user)
        self.accounts.issue(user, token, expires_at)

    def user_of_token(self, token: str) -> str | None:
        """The token's user, or None when it is unknown or expired."""
        return self.accounts.user_of_token(token)


def _project_key(project: Project) -> Key:
    return f"USER#{project.user}", f"PROJECT#{project.name}"


def _job_key(project: Project, job_id: str) -> Key:
    return f"PROJECT#{project.slug}", f"JOB#{job_id}"


def _pace_key(model: str, recipe: str) -> Key:
    is_preset = not recipe.startswith("{")
    return "PACE", f"{model}#{recipe if is_preset else digest(recipe)[:16]}"


def _version_key(project: Project, model_version: str) -> Key:
    return f"PROJECT#{project.slug}", f"VERSION#{model_version}"


def _release_key(project: Project, at: float) -> Key:
    return f"PROJECT#{project.slug}", f"RELEASE#{at:017.6f}"


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
