"""Who may ask: a project's keys, kept for a while so that most requests need no table."""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from typing import Final

from contracts.errors import Unauthorized, Unavailable

FRESH_SECONDS: Final = 60.0  # a removed key stops working within this time
RETRY_SECONDS: Final = 1.0  # wrong keys cannot make more reads than this
GRACE_SECONDS: Final = 600.0  # how long known keys outlive an outage of the table


class KeyCheck:
    """Compares keys with the hashes that `read` returns."""

    def __init__(
        self,
        read: Callable[[], frozenset[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` gives the SHA-256 hashes in hex and may raise anything when it cannot."""
        self._read, self._clock = read, clock
        self._hashes: frozenset[str] = frozenset()
        self._read_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def check(self, key: str) -> None:
        """Raise `Unauthorized` for a key that is not of the project.

        Raises `Unavailable` when the keys cannot be read and those at hand are too old.
        """
        if not key:
            raise Unauthorized("the request has no key", fix="add the header 'x-api-key: KEY'")
        digest = hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
        with self._lock:
            if self._clock() - self._read_at >= FRESH_SECONDS or not self._holds(digest):
                self._refresh()  # a new key may have come since
            if self._clock() - self._read_at > GRACE_SECONDS:
                raise Unavailable("keys cannot be checked at the moment", fix="try again soon")
            if not self._holds(digest):
                raise Unauthorized(
                    "the key is unknown or no longer valid", fix="make a new key for this project"
                )

    def _holds(self, digest: str) -> bool:
        found = [hmac.compare_digest(digest, known) for known in self._hashes]
        return any(found)  # looks at every hash, however early one fits

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._tried_at < RETRY_SECONDS:
            return
        self._tried_at = now
        try:
            self._hashes = self._read()
        except Exception:  # noqa: BLE001 - whatever is wrong with the table, known keys still count
            return
        self._read_at = now
