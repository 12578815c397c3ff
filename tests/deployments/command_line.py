"""What a command returned and printed."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON object it must be."""
        return json.loads(self.out)


Run = Callable[..., Outcome]
