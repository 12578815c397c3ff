"""Sending a folder's pictures straight to storage: in batches, in parallel, resumable."""

import hashlib
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from contracts.errors import DataProblem, Unavailable
from contracts.requests import batch_digest
from deployments.api_calls import ApiCalls
from deployments.folder import LocalFile

_BATCH_FILES = 500
_CONNECTIONS = 16
_STALLED_ROUNDS = 4
_FIRST_PAUSE_SECONDS = 0.25
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far reading or sending is; files already stored count as sent and as `files_kept`."""

    phase: Literal["read", "send"]
    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int = 0  # unknown while reading
    files_kept: int = 0


OnProgress = Callable[[TransferProgress], None]


@dataclass(frozen=True, slots=True)
class _Post:
    """Permission to store one content under one key."""

    file: LocalFile
    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Failure:
    file: LocalFile
    reason: str


def upload_id(files: Sequence[LocalFile]) -> str:
    """The same labelled files give the same id, so repeating an upload resumes it."""
    return batch_digest(file.announced() for file in files)[:32]


class Transfer:
    """One upload. A failed or expired post is asked for anew, and only what is missing is sent."""

    def __init__(
        self, api: ApiCalls, project: str, files: Sequence[LocalFile], on_progress: OnProgress
    ) -> None:
        self._api = api
        self._project = project
        self._on_progress = on_progress
        self.upload = upload_id(files)
        # Sorted by hash, a batch covers a short range of keys, which storage can list cheaply.
        ordered = sorted(files, key=lambda file: (file.sha256, file.class_name, file.name))
        self._batches = [
            ordered[start : start + _BATCH_FILES] for start in range(0, len(ordered), _BATCH_FILES)
        ]
        self._sizes = {file.sha256: file.size_bytes for file in files}
        self._bytes_total = sum(self._sizes.values())
        self._stored: set[str] = set()
        self._bytes_stored = 0
        self._files_kept = 0

    def run(self) -> None:
        """Send what is missing. Raises `Unavailable` when storage keeps refusing."""
        with _http_client(self._api) as http, _pool(_CONNECTIONS) as senders:
            for batch, posts in self._announced_ahead():
                self._keep(batch, posts)
                self._send(batch, posts, http, senders)

    def _announced_ahead(self) -> Iterator[tuple[list[LocalFile], list[_Post]]]:
        """Ask for the next batch's posts while this one's are sent."""
        with _pool(1) as announcer:
            waiting: Future[list[_Post]] = announcer.submit(self._announce, self._batches[0])
            for number, batch in enumerate(self._batches):
                posts = waiting.result()
                if number + 1 < len(self._batches):
                    waiting = announcer.submit(self._announce, self._batches[number + 1])
                yield batch, posts

    def _announce(self, batch: Sequence[LocalFile]) -> list[_Post]:
        answer: dict[str, Any] = self._api.call(
            "POST",
            f"/v1/projects/{self._project}/uploads",
            {"upload": self.upload, "files": [file.announced().as_dict() for file in batch]},
        )
        files = {file.sha256: file for file in batch}
        return [
            _Post(files[post["sha256"]], post["url"], post["fields"]) for post in answer["posts"]
        ]

    def _keep(self, batch: Sequence[LocalFile], posts: Sequence[_Post]) -> None:
        """Count what storage has already."""
        missing = {post.file.sha256 for post in posts}
        kept = {file.sha256 for file in batch} - missing - self._stored
        self._files_kept += len(kept)
        for sha256 in kept:
            self._count(sha256)
        self._report()

    def _send(
        self,
        batch: Sequence[LocalFile],
        posts: list[_Post],
        http: httpx.Client,
        senders: ThreadPoolExecutor,
    ) -> None:
        stalled = 0
        while failures := self._send_once(posts, http, senders):
            stalled = stalled + 1 if len(failures) == len(posts) else 0
            if stalled == _STALLED_ROUNDS:
                raise _incomplete(failures)
            time.sleep(_FIRST_PAUSE_SECONDS * 2**stalled)
            posts = self._announce(batch)

    def _send_once(
        self, posts: Sequence[_Post], http: httpx.Client, senders: ThreadPoolExecutor
    ) -> list[_Failure]:
        missing = [post for post in posts if post.file.sha256 not in self._stored]
        waiting = {senders.submit(_post, http, post): post for post in missing}
        failures = []
        for sent in as_completed(waiting):
            if reason := sent.result():
                failures.append(_Failure(waiting[sent].file, reason))
            else:
                self._count(waiting[sent].file.sha256)
                self._report()
        return failures

    def _count(self, sha256: str) -> None:
        self._stored.add(sha256)
        self._bytes_stored += self._sizes[sha256]

    def _report(self) -> None:
        self._on_progress(
            TransferProgress(
                phase="send",
                files_done=len(self._stored),
                files_total=len(self._sizes),
                bytes_done=self._bytes_stored,
                bytes_total=self._bytes_total,
                files_kept=self._files_kept,
            )
        )


def _post(http: httpx.Client, post: _Post) -> str:
    """Send one file; return why it failed, or nothing. Raises `DataProblem` if it has changed."""
    boundary = secrets.token_hex(16)
    body = _form(boundary, post.fields, post.file.content_type, _unchanged_bytes(post.file))
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    try:
        answer = http.post(post.url, content=body, headers=headers)
    except httpx.TransportError as error:
        return str(error) or type(error).__name__
    return "" if answer.is_success else f"storage answered {answer.status_code}"


def _form(boundary: str, fields: dict[str, str], content_type: str, data: bytes) -> bytes:
    """The whole form in one piece: httpx would send its forty pieces one by one, at twice the cost.

    `file` comes last, because storage ignores every field behind it.
    """
    begin = f"--{boundary}\r\nContent-Disposition: form-data; name="
    texts = "".join(f'{begin}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    head = f'{texts}{begin}"file"; filename="file"\r\nContent-Type: {content_type}\r\n\r\n'
    return b"".join([head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])


def _unchanged_bytes(file: LocalFile) -> bytes:
    try:
        body = file.path.read_bytes()
    except OSError as error:
        raise DataProblem(
            f"{file.name!r} can no longer be read: {error.strerror}", fix="run the upload again"
        ) from error
    if hashlib.sha256(body).hexdigest() != file.sha256:
        raise DataProblem(f"{file.name!r} changed while uploading", fix="run the upload again")
    return body


def _incomplete(failures: Sequence[_Failure]) -> Unavailable:
    return Unavailable(
        f"{len(failures):,} files could not be stored: {failures[0].reason}",
        fix="run the same command again; what is stored already is not sent twice",
        details=[f"{failure.file.name}: {failure.reason}" for failure in failures[:20]],
    )


def _http_client(api: ApiCalls) -> httpx.Client:
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    return httpx.Client(limits=limits, timeout=_TIMEOUT_SECONDS, trust_env=not api.is_loopback)


@contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops what has not begun when something fails or the user interrupts."""
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
