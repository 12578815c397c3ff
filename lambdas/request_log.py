"""What was asked and answered, kept in S3 for a while where a project's owner has chosen so.

A function is frozen once it has answered, so a request is stored before: that takes the time of one
small S3 call, of those requests only. What S3 does not take at once is lost, and the answer is not.
"""

import base64
import json
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from contracts.keys import ProjectKeys
from contracts.picture_type import SNIFF_BYTES, picture_type
from serving.request import Question

FRESH_SECONDS: Final = 60.0  # so soon a changed share takes effect
PAUSE_SECONDS: Final = 60.0  # without a try after a failure


class RequestLog:
    """Keeps a share of the requests; whoever reads the share calls `learn`."""

    def __init__(
        self,
        keys: ProjectKeys,
        put: Callable[[str, bytes], None],
        read: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`put` stores an object, `read` leads to a `learn`; both may raise anything."""
        self._keys, self._put, self._read, self._clock = keys, put, read, clock
        self._share = 0.0
        self._learnt_at = self._asked_at = self._failed_at = float("-inf")

    def learn(self, share: float) -> None:
        """What the owner has chosen, 0..1."""
        self._share, self._learnt_at = share, self._clock()

    def keep(self, request_id: str, question: Question, answer: dict[str, Any]) -> bool:
        """Store a request if it is one of the share; return whether it is stored. Never raises."""
        if not self._is_chosen() or self._clock() - self._failed_at < PAUSE_SECONDS:
            return False
        try:
            self._put(*self._object(request_id, question, answer))
        except Exception:  # noqa: BLE001 - whatever S3 has, the answer goes out
            self._failed_at = self._clock()
            return False
        return True

    def _is_chosen(self) -> bool:
        """With the key of most requests the share is read, too; the others read it here."""
        if not self._is_fresh and self._clock() - self._asked_at >= FRESH_SECONDS:
            self._asked_at = self._clock()
            with suppress(Exception):
                self._read()
        return self._is_fresh and random.random() < self._share  # noqa: S311

    @property
    def _is_fresh(self) -> bool:
        """What was read long ago may have been taken back."""
        return self._clock() - self._learnt_at < FRESH_SECONDS

    def _object(
        self, request_id: str, question: Question, answer: dict[str, Any]
    ) -> tuple[str, bytes]:
        at = datetime.now(UTC)
        document = {
            "request_id": request_id,
            "at": at.timestamp(),
            "content_type": _content_type(question),
            "example": _example(question),
        } | {name: value for name, value in answer.items() if name != "explanation"}
        key = self._keys.request(at.date().isoformat(), request_id)
        # Half of a surrogate pair is stored as the model saw it; a failure would silence the log.
        return key, json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _example(question: Question) -> dict[str, Any]:
    """In the form in which the endpoint takes it as JSON."""
    if question.is_list:
        return {"text": list(question.examples)}
    (example,) = question.examples
    if isinstance(example, str):
        return {"text": example}
    return {"image_base64": base64.b64encode(example).decode()}


def _content_type(question: Question) -> str:
    """What the example is, however it was sent."""
    example = question.examples[0]
    if isinstance(example, str):
        return "text/plain"
    return picture_type(example[:SNIFF_BYTES]) or "application/octet-stream"
