"""Exemplar from Python: labelled pictures or texts in, an endpoint out."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack
from urllib.parse import quote, urlencode

import httpx

from contracts.errors import Conflict, InvalidRequest, NotFound, Unauthorized, Unavailable
from contracts.manifest import Kind
from contracts.picture_type import SNIFF_BYTES, picture_type
from deployments.api_calls import ApiCalls, ApiError, answer_json
from deployments.awaited_deletion import wait_until_gone
from deployments.connection import KeyRing, find_connection, is_loopback, state_home
from deployments.feedback_calls import give, read_picture
from deployments.folder import LabelledFolder, read_folder
from deployments.job_logs import LogLine, job_logs
from deployments.own_credentials import signed_here
from deployments.remote_job import RemoteJob, TrainResult
from deployments.text_files import holds_text, read_text_files
from deployments.transfer import OnProgress, Transfer, TransferProgress

_PREDICT_TIMEOUT_SECONDS = 60.0
_DOWNLOAD_TIMEOUT_SECONDS = 60.0  # without a byte
_RESTART_SECONDS = 180.0  # how long `wait` bears an API that does not answer


class TrainOptions(TypedDict, total=False):
    """Optional fields of a train request; what is left out gets the server's default."""

    model: str
    recipe: str | dict[str, Any]
    seed: int
    budget_seconds: int
    min_per_class: int
    tune: int
    again: bool
    with_feedback: bool
    as_before: bool  # what is left out is as in the last training, the upload, too


@dataclass(frozen=True, slots=True)
class _Served:
    endpoint: str
    kind: Kind
    is_signed: bool  # opened by a signature instead of a key


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
        self._served: dict[str, _Served] = {}
        self._kinds: dict[str, Kind] = {}

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

    def create(
        self, project: str, classes: list[str] | tuple[str, ...] = (), kind: Kind = Kind.IMAGE
    ) -> dict[str, Any]:
        """Create a project, or give an existing one these classes; a new key is kept here.

        An existing order of the same classes stays as it is. Text may come without classes: they
        are then those that the tables name.
        """
        body = {"name": project, "kind": kind.value, "classes": list(classes)}
        try:
            answer: dict[str, Any] = self._api.call("POST", "/v1/projects", body)
        except ApiError as error:
            if error.code != Conflict.code:
                raise
            return self._change_classes(project, list(classes), kind, error)
        if key := answer.get("key"):
            self._keys.save(self._connection.account, project, key)
        return answer

    @staticmethod
    def read(
        folder: Path | str,
        on_progress: OnProgress = _ignore,
        text_column: str = "",
        label_column: str = "",
    ) -> LabelledFolder:
        """Find and hash a folder's pictures, or tables of text.

        `upload`, `submit` and `train` take the result. A table's columns are found by their names
        and contents, or given.
        """

        def report(done: int, total: int, size: int) -> None:
            on_progress(TransferProgress("read", done, total, size))

        if holds_text(Path(folder).expanduser()):
            return read_text_files(folder, report, text_column, label_column)
        return read_folder(folder, report)

    def upload(
        self,
        project: str,
        folder: LabelledFolder | Path | str,
        on_progress: OnProgress = _ignore,
    ) -> str:
        """Send the files that are not stored yet; return the upload's id."""
        if not isinstance(folder, LabelledFolder):
            folder = self.read(folder, on_progress)
        transfer = Transfer(self._api, quote(project, safe=""), folder.files, on_progress)
        transfer.run()
        return transfer.upload

    def start(self, project: str, upload: str = "", **options: Unpack[TrainOptions]) -> RemoteJob:
        """Start a training, or attach to the one that is running or done for the same request."""
        body = dict(options) | ({"upload": upload} if upload else {})
        answer = self._api.call("POST", _path(project, "train"), body)
        return RemoteJob.from_answer(answer["job"] | {"feedback": answer.get("feedback", {})})

    def can_train(
        self, project: str, upload: str = "", **options: Unpack[TrainOptions]
    ) -> dict[str, Any]:
        """Whether `start` would start, without starting: `can_train`, and the `problem` if not."""
        body = dict(options) | ({"upload": upload} if upload else {}) | {"check_only": True}
        answer: dict[str, Any] = self._api.call("POST", _path(project, "train"), body)
        return answer

    def examples(
        self, project: str, class_name: str = "", offset: int = 0, missing: bool = False
    ) -> dict[str, Any]:
        """What the next training learns from: counts by class and a page of `files` with links.

        `next` is the `offset` of the next page. With `missing` also what was announced and never
        sent.
        """
        wanted = {"class": class_name, "offset": offset, "missing": "true" if missing else ""}
        asked = urlencode({name: value for name, value in wanted.items() if value})
        path = _path(project, "examples") + (f"?{asked}" if asked else "")
        found: dict[str, Any] = self._api.call("GET", path)
        return found

    def change_examples(self, project: str, **change: Any) -> dict[str, Any]:
        """Change what the next training learns from, such as `rename={"class": "a", "to": "b"}`.

        One of `remove`, `move`, `rename`, `drop_class`, `add_class` and `forget_missing`; returns
        the counts by class.
        """
        changed: dict[str, Any] = self._api.call("PATCH", _path(project, "examples"), change)
        return changed

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
        self.create(project, folder.classes, folder.kind)
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

    def answer_approval(self, project: str, job_id: str, approve: bool, note: str = "") -> None:
        """Say whether a model that waits for approval shall be released."""
        body = {"approve": approve, "note": note}
        self._api.call("POST", _path(project, "jobs", job_id, "approval"), body)

    def change_settings(self, project: str, **settings: Any) -> dict[str, Any]:
        """Set what the owner of a project can set; see `contracts.project_settings`."""
        self._served.pop(project, None)  # what opens the endpoint may be among them
        changed: dict[str, Any] = self._api.call("PATCH", _path(project), settings)
        return changed

    def give_feedback(
        self,
        project: str,
        example: Path | str | bytes | None,
        label: str,
        request_id: str = "",
        answered: str = "",
    ) -> dict[str, Any]:
        """Give an example its right label for the next training; repeating it is harmless.

        The example is what `predict` takes, or None where `request_id` names a kept request.
        """
        path, told = _path(project, "feedback"), {"label": label}
        told |= {"answered": answered} if answered else {}
        if example is None:
            answer: dict[str, Any] = self._api.call("POST", path, told | {"request_id": request_id})
            return answer
        if project not in self._kinds:
            self._kinds[project] = Kind(self.details(project)["kind"])
        return give(self._api, path, self._kinds[project], example, told)

    def feedback(self, project: str, before: int = 0) -> dict[str, Any]:
        """How many labels were given and the newest; `next` is `before` of those in front."""
        page = f"?before={before}" if before else ""
        found: dict[str, Any] = self._api.call("GET", _path(project, "feedback") + page)
        return found

    def take_back_feedback(self, project: str, sha256: str) -> dict[str, Any]:
        """Forget an example's label; models that have learnt from it stay."""
        found: dict[str, Any] = self._api.call("DELETE", _path(project, "feedback", sha256))
        return found

    def delete(
        self,
        project: str,
        on_update: Callable[[dict[str, Any]], None] = _ignore,
        poll_seconds: float = 1.0,
    ) -> dict[str, Any]:
        """Delete a project with everything that belongs to it; return the receipt when it is gone.

        The endpoint closes at once. Interrupted, the deletion goes on by itself, and calling this
        again waits for it. The key kept here is dropped. Raises `DeletionStuck`.
        """
        receipt = wait_until_gone(self._api, _path(project), on_update, poll_seconds)
        self._keys.forget(self._connection.account, project)
        self._served.pop(project, None)
        return receipt

    def receipts(self) -> list[dict[str, Any]]:
        """Your deletions, under way and done, newest first."""
        found: list[dict[str, Any]] = self._api.call("GET", "/v1/receipts")["receipts"]
        return found

    def rollback(self, project: str, to: str = "") -> dict[str, Any]:
        """Let an earlier version answer again, by default the one before; return what is live.

        Raises `ApiError` when there is none or its function is no longer kept.
        """
        body = {"model_version": to} if to else {}
        answer: dict[str, Any] = self._api.call("POST", _path(project, "rollback"), body)
        return answer

    def usage(self, project: str, days: int = 30) -> dict[str, Any]:
        """Requests, errors, latency and cost of the last days, and whether it drifts."""
        found: dict[str, Any] = self._api.call("GET", f"{_path(project, 'usage')}?days={days}")
        return found

    def releases(self, project: str) -> list[dict[str, Any]]:
        """Every change of what is live, newest first; see `deployments.history.periods`."""
        answer = self._api.call("GET", _path(project, "releases"))
        found: list[dict[str, Any]] = answer["releases"]
        return found

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
        return self._service(project).endpoint

    def kind(self, project: str) -> Kind:
        """What the project's endpoint takes. Raises `NotFound` before training."""
        return self._service(project).kind

    def opening(self, project: str) -> str:
        """The key kept on this machine, empty where the endpoint asks for signatures instead."""
        return "" if self._service(project).is_signed else self.saved_key(project)

    def _service(self, project: str) -> "_Served":
        if project not in self._served:
            found = self.details(project)
            if not found["endpoint"]:
                raise NotFound(
                    f"project {project!r} has no endpoint yet",
                    fix=f"train it first: exemplar train FOLDER --project {project}",
                )
            is_signed = found.get("settings", {}).get("endpoint_auth") == "iam"
            self._served[project] = _Served(found["endpoint"], Kind(found["kind"]), is_signed)
        return self._served[project]

    def predict(
        self,
        project: str,
        example: Path | str | bytes | list[str],
        key: str | None = None,
        *,
        explain: bool = False,
        class_name: str = "",
    ) -> dict[str, Any]:
        """Ask the project's endpoint for one example's label.

        A project of pictures takes a file or its bytes; one of text takes the text itself, or a
        list of texts, whose answers are then in `predictions`. With `explain` the answer says what
        speaks for its class, or for `class_name`, in `explanation`: of one example at a time.
        """
        served, key = self._service(project), key or self.opening(project)
        if served.kind is Kind.TEXT:
            body = json.dumps({"text": example if isinstance(example, list) else str(example)})
            content, content_type = body.encode(), "application/json"
        elif isinstance(example, list):
            raise InvalidRequest("a list is taken by projects of text", fix="ask for one picture")
        else:
            content = example if isinstance(example, bytes) else read_picture(Path(example))
            content_type = picture_type(content[:SNIFF_BYTES]) or "application/octet-stream"
        asked = {"explain": "true", "class": class_name} if explain else {}
        url = served.endpoint + (f"?{urlencode(asked, quote_via=quote)}" if asked else "")
        headers = {"Content-Type": content_type} | ({"x-api-key": key} if key else {})
        if served.is_signed:
            headers = signed_here(url, content, headers)
        try:
            answer = httpx.post(
                url,
                content=content,
                headers=headers,
                timeout=_PREDICT_TIMEOUT_SECONDS,
                trust_env=not is_loopback(served.endpoint),
            )
        except httpx.TransportError as error:
            raise Unavailable(
                f"{served.endpoint} does not answer: {error}", fix="look at `exemplar status`"
            ) from error
        found: dict[str, Any] = answer_json(answer)
        if explain and "explanation" not in found.get("predictions", [found])[0]:
            raise Unavailable(
                f"the endpoint of {project!r} was made before answers were explained",
                fix="train the project again",
            )
        return found

    def download_reports(self, project: str, folder: Path) -> list[Path]:
        """Write the pages on the data set and on the live model; return their paths.

        Raises `NotFound` before a data set has been prepared.
        """
        answer = self._api.call("GET", _path(project, "report"))
        links = {"data": answer["url"]}
        if answer.get("model"):
            links["model"] = answer["model"]["url"]
        folder.mkdir(parents=True, exist_ok=True)
        return [
            self._download(link, folder / f"{project}-{name}.html") for name, link in links.items()
        ]

    def models(self, project: str) -> list[dict[str, Any]]:
        """Model versions, promoted or not, newest first, and what each was scored on."""
        found: list[dict[str, Any]] = self._api.call("GET", _path(project, "models"))["models"]
        return found

    def model(self, project: str, version: str) -> dict[str, Any]:
        """One model version with links to what is stored of it; see `read_link`."""
        found: dict[str, Any] = self._api.call("GET", _path(project, "models", version))
        return found

    @staticmethod
    def read_link(link: str) -> bytes:
        """What a link of the API leads to. Raises `Unavailable`."""
        try:
            answer = httpx.get(
                link, timeout=_DOWNLOAD_TIMEOUT_SECONDS, trust_env=not is_loopback(link)
            )
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"the file was not sent: {error}", fix="try again") from error
        return answer.content

    def download_bundle(self, project: str, target: Path) -> Path:
        """Write the live model's bundle to `target`, a zip. Raises `NotFound` before training."""
        return self._download(self._api.call("GET", _path(project, "bundle"))["url"], target)

    @staticmethod
    def _download(link: str, target: Path) -> Path:
        try:
            with (
                httpx.stream(
                    "GET", link, timeout=_DOWNLOAD_TIMEOUT_SECONDS, trust_env=not is_loopback(link)
                ) as answer,
                target.open("wb") as file,
            ):
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    file.write(chunk)
        except httpx.HTTPError as error:
            raise Unavailable(f"{target.name} was not sent: {error}", fix="try again") from error
        return target

    def _change_classes(
        self, project: str, classes: list[str], kind: Kind, conflict: ApiError
    ) -> dict[str, Any]:
        stored = self.details(project)
        if stored["kind"] != kind:
            raise conflict
        if classes and set(stored["classes"]) == set(classes):
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
