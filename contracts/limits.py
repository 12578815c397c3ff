"""What may be uploaded, and how it is split. Settings with defaults, shown by the API."""

import os
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from contracts.errors import InvalidRequest
from contracts.manifest import Kind

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Data rules for pictures and for tables of text. Sizes are per file unless named otherwise."""

    min_classes: int = 2
    fewest_per_class: int = 6  # that a request may ask for instead of the minimum below
    max_classes: int = 1_000
    min_per_class: int = 10
    max_files: int = 200_000
    max_files_per_request: int = 1_000
    min_file_bytes: int = 1
    max_file_bytes: int = 20 * MIB
    max_project_bytes: int = 50 * 1024 * MIB
    min_side_px: int = 8
    max_pixels: int = 89_000_000  # more are taken for a decompression bomb, by Pillow too
    max_aspect: float = 20.0  # longer side over shorter side
    min_rows_per_class: int = 100  # of text
    max_rows: int = 1_000_000
    max_table_bytes: int = 200 * MIB
    max_text_characters: int = 100_000  # of one row; an endpoint takes longer ones

    @classmethod
    def from_environment(cls) -> "Limits":
        """Defaults, overridden by `EXEMPLAR_LIMIT_<NAME>` variables.

        Raises `InvalidRequest` for a value that is no positive number.
        """
        changed: dict[str, Any] = {}
        for field in fields(cls):
            raw = os.environ.get(f"EXEMPLAR_LIMIT_{field.name.upper()}")
            if raw is None:
                continue
            try:
                value = float(raw) if field.name == "max_aspect" else int(raw)
            except ValueError:
                value = 0
            if not value > 0:
                raise InvalidRequest(
                    f"EXEMPLAR_LIMIT_{field.name.upper()} is {raw!r}, it must be a positive number",
                    fix=f"use a value such as {field.default}",
                )
            changed[field.name] = value
        return cls(**changed)

    def with_minimum(self, per_class: int) -> "Limits":
        """Limits with another minimum of examples per class; 0 changes nothing.

        Raises `InvalidRequest` for fewer than may be asked for.
        """
        if not per_class:
            return self
        if per_class < self.fewest_per_class:
            raise InvalidRequest(
                f"min_per_class is {per_class}, at least {self.fewest_per_class} are needed to "
                "train and to test",
                fix=f"use {self.fewest_per_class} or more",
            )
        return replace(self, min_per_class=per_class, min_rows_per_class=per_class)

    def min_examples(self, kind: Kind) -> int:
        """How many usable examples a class needs."""
        return self.min_rows_per_class if kind is Kind.TEXT else self.min_per_class

    def as_dict(self) -> dict[str, Any]:
        """For the API's answers."""
        return asdict(self)


def held_out_share(per_class: int, kind: Kind = Kind.IMAGE) -> float:
    """Share of a class that is held out, for pictures 0.20 at 10 and linearly up to 0.30 at 100."""
    if kind is Kind.TEXT:
        return 0.30
    return 0.20 + 0.10 * min(max(per_class - 10, 0), 90) / 90


VALIDATION_SHARE = 0.15  # of what is not test, for early stopping and model choice
