"""Why an example cannot be used, and what examples are called."""

from dataclasses import dataclass
from typing import Final

from contracts.manifest import Flag, Kind

NOUNS: Final = {Kind.IMAGE: "picture", Kind.TEXT: "row"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with an example, and what its owner can do."""

    flag: Flag
    note: str
