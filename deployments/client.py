"""Exemplar from Python: labelled pictures in, an endpoint out."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote

import httpx

from contracts.errors import Conflict, NotFound, Unauthorized, Unavailable
from contracts.manifest import Kind
from deployments.api_calls import ApiCalls, ApiError, answer_json
from deployments.connection import KeyRing, find_connection, is_loopback, state_home
from deployments.folder import LabelledFolder, read_folder
from deployments.job_logs import LogLine, job_logs
from deployments.picture_type import SNIFF_BYTES, picture_type
from deployments.remote_job import RemoteJob, TrainResult
from deployments.transfer import OnProgress, Transfer, TransferProgress

_PREDICT_TIMEOUT_SECONDS = 60.0
_RESTART_SECONDS = 180.0  # how long `wait` bears an API that does not answer


class TrainOptions(TypedDict, total=False):
    """Optional fields of a train request; what is left out gets the server's default."""

    model: str
    recipe: str
    seed: int
    budget_seconds: int
    again: bool


def _ignore(_: Any) -> None:
    pass


class Exemplar:
    """A client of one Exemplar; every method may be repeated after a failure.

    `url` and `token` default to `EXEMPLAR_URL` and `EXEMPLAR_TOKEN`, then to the local stack's.
    Methods raise `contracts.errors.ExemplarError`; what the API refuses is an `ApiError`.
    """

    def __init__(self, url: str | None = None, token: str | None = None) -> None:
        self._connection = find_connection(url, token)
        self._api = ApiCalls(self._connection)
        self._keys = KeyRing(state_home())
        self._endpoints: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sockets."""
        self._api.close()

    def projects(self) -> list[dict[str, Any]]:
        """Summaries of your projects, by name."""
        found: list[dict[str, Any]] = self._api.call("GET", "/v1/projects")["projects"]
        return found

    def details(self, project: str) -> dict[str, Any]:
        """Classes, counts, data problems, jobs, versions, metrics and the endpoint."""
        found: dict[str, Any] = self._api.call("GET", _path(project))
        return found

    def create(self, project: str, classes: list[str] | tuple[str, ...]) -> dict[str, Any]:
        """Create a project, or give an existing one these classes; a new key is kept here.

        An existing order of the same classes stays as it is.
        """
        body = {"name": project, "kind": Kind.IMAGE.value, "classes": list(classes)}
        try:
            answer: dict[str, Any] = self._api.call("POST", "/v1/projects", body)
        except ApiError as error:
            if error.code != Conflict.code:
                raise
            return self._change_classes(project, list(classes), error)
        if key := answer.get("key"):
            self._keys.save(self._connection.account, project, key)
        return answer

    @staticmethod
    def read(folder: Path | str, on_progress: OnProgress = _ignore) -> LabelledFolder:
        """Find and hash a folder's pictures; `upload`, `submit` and `train` take the result."""
        return read_folder(
            folder,
            lambda done, total, size: on_progress(TransferProgress("read", done, total, size)),
        )

    def upload(
        self,
        project: str,
        folder: LabelledFolder | Path | str,
        on_progress: OnProgress = _ignore,
    ) -> str:
        """Send the pictures that are not stored yet; return the upload's id."""
        if not isinstance(folder, LabelledFolder):
            folder = self.read(folder, on_progress)
        transfer = Transfer(self._api, quote(project, safe=""), folder.files, on_progress)
        transfer.run()
        return transfer.upload

    def start(self, project: str, upload: str = "", **options: Unpack[TrainOptions]) -> RemoteJob:
        """Start a training, or attach to the one that is running or done for the same request."""
        body = dict(options) | ({"upload": upload} if upload else {})
        return RemoteJob.from_answer(self._api.call("POST", _path(project, "train"), body)["job"])

    def submit(
        self,
        folder: LabelledFolder | Path | str,
        project: str,
        on_progress: OnProgress = _ignore,
        **options: Unpack[TrainOptions],
    ) -> RemoteJob:
        """Read, create, upload and start: everything before the waiting."""
        if not isinstance(folder, LabelledFolder):
            folder = self.read(folder, on_progress)
        self.create(project, folder.classes)
        return self.start(project, self.upload(project, folder, on_progress), **options)

    def job(self, project: str, job_id: str) -> RemoteJob:
        """A job as it stands."""
        return RemoteJob.from_answer(self._api.call("GET", _path(project, "jobs", job_id)))

    def jobs(self, project: str) -> list[dict[str, Any]]:
        """Summaries of a project's jobs, newest first."""
        found: list[dict[str, Any]] = self._api.call("GET", _path(project, "jobs"))["jobs"]
        return found

    def wait(
        self,
        project: str,
        job_id: str,
        on_update: Callable[[RemoteJob], None] = _ignore,
        poll_seconds: float = 0.5,
    ) -> RemoteJob:
        """Return the job when it is final; `on_update` hears of every change.

        Once the job has been seen, an API that restarts is borne for three minutes.
        """
        seen: RemoteJob | None = None
        answered_at = time.monotonic()
        while seen is None or not seen.state.is_final:
            try:
                job = self.job(project, job_id)
            except (ApiError, Unavailable) as error:
                is_too_long = time.monotonic() - answered_at > _RESTART_SECONDS
                if seen is None or is_too_long or not _may_pass(error):
                    raise
            else:
                answered_at = time.monotonic()
                if job != seen:
                    on_update(job)
                seen = job
                if job.state.is_final:
                    break
            time.sleep(poll_seconds)
        return seen

    def train(
        self,
        folder: LabelledFolder | Path | str,
        project: str,
        on_progress: OnProgress = _ignore,
        on_update: Callable[[RemoteJob], None] = _ignore,
        **options: Unpack[TrainOptions],
    ) -> TrainResult:
        """Folder to endpoint in one call; look at the result's `state` and `failure`."""
        job = self.submit(folder, project, on_progress, **options)
        return TrainResult.of(self.wait(project, job.job_id, on_update))

    def cancel(self, project: str, job_id: str) -> RemoteJob:
        """Stop a job; what was live stays live. A finished job raises `ApiError` (conflict)."""
        return RemoteJob.from_answer(self._api.call("DELETE", _path(project, "jobs", job_id)))

    def logs(self, project: str, job_id: str) -> list[LogLine]:
        """A job's log lines; needs the local stack, or `PREFECT_API_URL`."""
        return job_logs(self._connection.prefect_api, self.job(project, job_id))

    def rotate_key(self, project: str) -> str:
        """A new endpoint key, kept here; the old one stops working within a minute."""
        key = str(self._api.call("POST", _path(project, "key"))["key"])
        self._keys.save(self._connection.account, project, key)
        return key

    def saved_key(self, project: str) -> str:
        """The endpoint key kept on this machine. Raises `Unauthorized` when there is none."""
        key = self._keys.find(self._connection.account, project)
        if key is None:
            raise Unauthorized(
                f"the key of project {project!r} is not kept on this machine",
                fix=f"make a new one (the old one stops working): exemplar key {project} --rotate",
            )
        return key

    def endpoint(self, project: str) -> str:
        """The URL that answers for a project, asked for once. Raises `NotFound` before training."""
        if project not in self._endpoints:
            endpoint = self.details(project)["endpoint"]
            if not endpoint:
                raise NotFound(
                    f"project {project!r} has no endpoint yet",
                    fix=f"train it first: exemplar train FOLDER --project {project}",
                )
            self._endpoints[project] = endpoint
        return self._endpoints[project]

    def predict(
        self, project: str, image: Path | str | bytes, key: str | None = None
    ) -> dict[str, Any]:
        """Ask the project's endpoint for one picture's label."""
        body = image if isinstance(image, bytes) else _read_image(Path(image))
        endpoint, key = self.endpoint(project), key or self.saved_key(project)
        content_type = picture_type(body[:SNIFF_BYTES]) or "application/octet-stream"
        try:
            answer = httpx.post(
                endpoint,
                content=body,
                headers={"x-api-key": key, "Content-Type": content_type},
                timeout=_PREDICT_TIMEOUT_SECONDS,
                trust_env=not is_loopback(endpoint),
            )
        except httpx.TransportError as error:
            raise Unavailable(
                f"{endpoint} does not answer: {error}", fix="look at `exemplar status`"
            ) from error
        found: dict[str, Any] = answer_json(answer)
        return found

    def _change_classes(
        self, project: str, classes: list[str], conflict: ApiError
    ) -> dict[str, Any]:
        stored = self.details(project)
        if stored["kind"] != Kind.IMAGE:
            raise conflict
        if set(stored["classes"]) == set(classes):
            return stored
        changed: dict[str, Any] = self._api.call("PATCH", _path(project), {"classes": classes})
        return changed


def _path(project: str, *rest: str) -> str:
    return "/".join(["/v1/projects", *(quote(part, safe="") for part in (project, *rest))])


def _may_pass(error: ApiError | Unavailable) -> bool:
    """A stack that is coming up answers with its gateway's errors for a while."""
    return error.http_status >= 500 or (
        isinstance(error, ApiError) and not error.is_from_application
    )


def _read_image(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            f"{str(path)!r} cannot be read: {error.strerror}", fix="name an existing picture"
        ) from error
