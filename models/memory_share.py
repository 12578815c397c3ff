"""Memory that threads share: who needs much waits until others have given theirs back."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class MemoryShare:
    """At most `size_bytes` are held at once, but by one who alone needs more."""

    size_bytes: int
    _held: int = 0
    _freed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    @contextmanager
    def held(self, needed: int) -> Iterator[None]:
        """Wait for the memory and give it back."""
        with self._freed:
            self._freed.wait_for(lambda: not self._held or self._held + needed <= self.size_bytes)
            self._held += needed
        try:
            yield
        finally:
            with self._freed:
                self._held -= needed
                self._freed.notify_all()
