"""Who may ask: a project's keys, kept for a while so that most requests need no table."""

import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import Unauthorized, Unavailable

FRESH_SECONDS: Final = 60.0  # a removed key stops working within this time
RETRY_SECONDS: Final = 1.0  # wrong keys cannot make more reads than this
GRACE_SECONDS: Final = 600.0  # how long known keys outlive an outage of the table


@dataclass(frozen=True, slots=True)
class EndpointAccess:
    """What opens a project's endpoint, and how often."""

    hashes: frozenset[str] = frozenset()  # SHA-256 of its keys, in hex
    auth: str = "key"  # or "iam": AWS lets the caller through, and no key does
    requests_per_minute: int | None = None  # of one caller; None: the stack's

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "EndpointAccess":
        """From the table's item in DynamoDB's own form; one that is absent opens nothing."""
        rate = item.get("requests_per_minute", {}).get("N")
        return cls(
            hashes=frozenset(item.get("hashes", {}).get("SS", [])),
            auth=item.get("endpoint_auth", {}).get("S", "key"),
            requests_per_minute=int(rate or 0) or None,
        )


class KeyCheck:
    """Compares keys with the hashes that `read` returns."""

    def __init__(
        self,
        read: Callable[[], EndpointAccess],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`read` may raise anything when it cannot."""
        self._read, self._clock = read, clock
        self._access = EndpointAccess()
        self._read_at = self._tried_at = float("-inf")
        self._lock = threading.Lock()

    @property
    def requests_per_minute(self) -> int | None:
        """That the owner allows one caller, as far as it has been read."""
        return self._access.requests_per_minute

    def check(self, key: str, signer: str = "") -> str:
        """Return a name of the caller that tells no secret; `signer` is whom AWS let through.

        Raises `Unauthorized` for a key that is not of the project, or for any where callers sign,
        and `Unavailable` when the keys cannot be read and those at hand are too old.
        """
        if not (key or signer):
            raise Unauthorized("the request has no key", fix="add the header 'x-api-key: KEY'")
        caller = hashlib.sha256((signer or key).encode("utf-8", "replace")).hexdigest()
        with self._lock:
            if self._age() >= FRESH_SECONDS or not self._opens(caller, signer):
                self._refresh()  # a new key may have come since
            if self._age() > GRACE_SECONDS:
                raise Unavailable("keys cannot be checked at the moment", fix="try again soon")
            if not self._opens(caller, signer):
                raise _unsigned() if self._access.auth == "iam" else _unknown()
        return caller

    def _opens(self, digest: str, signer: str) -> bool:
        if self._access.auth == "iam":
            return bool(signer)
        found = [hmac.compare_digest(digest, known) for known in self._access.hashes]
        return any(found) and not signer  # looks at every hash, however early one fits

    def _age(self) -> float:
        return self._clock() - self._read_at

    def _refresh(self) -> None:
        now = self._clock()
        if now - self._tried_at < RETRY_SECONDS:
            return
        self._tried_at = now
        try:
            self._access = self._read()
        except Exception:  # noqa: BLE001 - whatever is wrong with the table, known keys still count
            return
        self._read_at = now


def _unknown() -> Unauthorized:
    return Unauthorized(
        "the key is unknown or no longer valid", fix="make a new key for this project"
    )


def _unsigned() -> Unauthorized:
    return Unauthorized(
        "this endpoint takes no key, but requests that are signed with AWS credentials",
        fix="sign them (SigV4, service 'lambda'), or ask the owner for endpoint_auth 'key'",
    )
