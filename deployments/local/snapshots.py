"""Saves the emulator's state while it runs: ministack alone saves on a clean stop only."""

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.local.blobs import BlobEncoder, Blobs
from deployments.local.function_urls import AsgiApp, Receive, Scope, Send

INTERVAL_SECONDS = 0.5
SETTLING_PASSES = 4  # what a request starts in the background is caught by the passes after it
MAX_BUSY_SHARE = 0.1  # a service whose state takes long to save is saved less often
_READING_VERBS = ("BatchGet", "Describe", "Filter", "Get", "List", "Query", "Scan", "Select")
_logger = logging.getLogger(__name__)

StateReader = Callable[[], Any]


@dataclass(slots=True)
class _Service:
    encoder: BlobEncoder
    digest: bytes = b""
    due_at: float = 0.0


class Snapshots:
    """Writes each service's state that changed, in a thread, soon after a mutating request.

    `sources` gives the services in use; `wrap` puts a state into its file's outer form. Files are
    replaced whole, so a kill leaves the old or the new state. They are not forced to disk: that
    matters when the machine fails, not when the process does.
    """

    def __init__(
        self,
        folder: Path,
        blobs: Blobs,
        sources: Callable[[], Mapping[str, StateReader]],
        wrap: Callable[[str, Any], Any],
        default: Callable[[Any], Any],
    ) -> None:
        self._folder = folder
        self._sources = sources
        self._wrap = wrap
        self._default = default
        self._blobs = blobs
        self._services: dict[str, _Service] = {}
        self._wake = threading.Event()
        self._is_stopping = threading.Event()
        self._writing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)

    def start(self) -> None:
        """Begin to save in the background, at first what was restored."""
        self._wake.set()
        self._thread.start()

    def stop(self) -> None:
        """Finish the pass that is running; the caller saves the final state with `write`."""
        self._is_stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def mark_changed(self) -> None:
        """Something may have changed; costs nothing."""
        self._wake.set()

    def write(self, service: str, state: Any) -> None:
        """Save one service's state unless the file already holds it."""
        path = self._folder / f"{service}.json"
        # ministack imports a service at its start if it has a file, and most are never used.
        if _is_empty(state) and not path.exists():
            return
        with self._writing:
            known = self._services.setdefault(
                service, _Service(BlobEncoder(self._blobs, self._default))
            )
            document = self._wrap(service, state)
            encoded = json.dumps(document, default=known.encoder.default).encode()
            known.encoder.forget_unused()
            digest = hashlib.sha256(encoded).digest()
            if digest == known.digest:
                return
            partial = path.with_suffix(".partial")
            partial.write_bytes(encoded)
            partial.replace(path)
            known.digest = digest

    def save_changed(self) -> bool:
        """Save every service that is due; returns whether any has to be tried again."""
        is_incomplete = False
        for name, read in self._sources().items():
            service = self._services.get(name)
            started = time.monotonic()
            if service and started < service.due_at:
                is_incomplete = True
                continue
            try:
                state = read()
                if state is None:  # a service that failed to load must not erase its file
                    continue
                self.write(name, state)
            except Exception as error:
                if "during iteration" in str(error):  # a dict changed while it was copied
                    is_incomplete = True
                    continue
                _logger.exception("the state of %s was not saved", name)
                continue
            ended = time.monotonic()
            if service := self._services.get(name):
                service.due_at = ended + (ended - started) / MAX_BUSY_SHARE
        return is_incomplete

    def _run(self) -> None:
        while not self._is_stopping.is_set():
            self._wake.wait()
            passes = SETTLING_PASSES
            while passes and not self._is_stopping.wait(INTERVAL_SECONDS):
                has_changed = self._wake.is_set()
                self._wake.clear()
                is_incomplete = self.save_changed()
                self._blobs.forget_restored()
                passes = SETTLING_PASSES if has_changed or is_incomplete else passes - 1


def _is_empty(state: Any) -> bool:
    """Whether a service holds nothing; its stores may be dicts by account, kept in `_data`."""
    return isinstance(state, dict) and not any(
        getattr(store, "_data", store) for store in state.values()
    )


def watching(app: AsgiApp, snapshots: Snapshots) -> AsgiApp:
    """Tell `snapshots` of every request that may change something, once it is answered."""

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        finally:
            if scope["type"] == "http" and may_change(scope):
                snapshots.mark_changed()

    return watched


def may_change(scope: Scope) -> bool:
    """Whether a request can change state: by its method, or its operation where AWS names one."""
    if scope["method"] in ("GET", "HEAD", "OPTIONS"):
        return False
    target = next((value for name, value in scope["headers"] if name == b"x-amz-target"), b"")
    operation = target.decode("latin-1").rpartition(".")[2]
    return not operation.startswith(_READING_VERBS)
