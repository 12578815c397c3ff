"""The line that an endpoint logs of each request, and Lambda's own on each call, read again.

Neither holds what was asked, who asked, or a key.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

# As Lambda's Python runtime writes a record, in one log event.
_RECORD: Final = re.compile(r"\[INFO\]\t\S+\t(\S+)\t(\{.*\})\s*")
_REPORT: Final = re.compile(
    r"REPORT RequestId: (\S+)\t.*Billed Duration: (\d+) ms\tMemory Size: (\d+) MB(.*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One request; `labels` and `confidences` have an entry for every example answered."""

    request_id: str
    status: int
    ms: float  # in the function
    model_version: str = ""
    labels: tuple[str | None, ...] = ()  # None is none of the classes
    confidences: tuple[float, ...] = ()  # probability of the likeliest class, 0..1
    is_explained: bool = False
    is_cold: bool = False  # the first of its container
    is_trial: bool = False  # a release trying what it has made
    is_forwarded: bool = False  # answered by a function with a container image

    @classmethod
    def of(
        cls, request_id: str, status: int, seconds: float, body: Mapping[str, Any], **flags: bool
    ) -> Self:
        """Of an answer's document, whether it holds one answer, several or an error."""
        answers = body.get("predictions") or ([body] if "probabilities" in body else [])
        return cls(
            request_id,
            status,
            round(seconds * 1_000, 1),
            str(body.get("model_version", "")),
            tuple(answer["label"] for answer in answers),
            tuple(round(max(answer["probabilities"].values()), 4) for answer in answers),
            is_explained="explanation" in body,
            **flags,
        )

    @property
    def is_health_check(self) -> bool:
        """Whether it asked for nothing but an answer."""
        return self.status == 200 and not self.labels

    def to_json(self) -> str:
        """What is logged; flags that do not hold are left out."""
        line: dict[str, Any] = {"request_id": self.request_id, "status": self.status, "ms": self.ms}
        line |= {"model_version": self.model_version, "examples": len(self.labels)}
        if len(self.labels) == 1:
            line |= {"label": self.labels[0], "confidence": self.confidences[0]}
        elif self.labels:
            line |= {"labels": self.labels, "confidences": self.confidences}
        flags = {name: getattr(self, f"is_{name}") for name in _FLAGS}
        return json.dumps(line | {name: True for name in flags if flags[name]}, ensure_ascii=False)

    @classmethod
    def from_log(cls, message: str) -> Self | None:
        """The line that a log event holds; None for an event of another kind.

        The runtime puts the request's id before each record: a line that names another id is
        something that was logged of a request, and not this line.
        """
        record = _RECORD.fullmatch(message)
        if record is None:
            return None
        try:
            line = cls._from_document(json.loads(record[2]))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            return None
        return line if line.request_id == record[1] and line._is_sound else None

    @classmethod
    def _from_document(cls, line: dict[str, Any]) -> Self:
        labels, confidences = line.get("labels", []), line.get("confidences", [])
        if line["examples"] == 1:
            labels, confidences = [line["label"]], [line["confidence"]]
        return cls(
            line["request_id"],
            int(line["status"]),
            float(line["ms"]),
            str(line["model_version"]),
            tuple(labels),
            tuple(float(confidence) for confidence in confidences),
            **{f"is_{name}": line.get(name) is True for name in _FLAGS},
        )

    @property
    def _is_sound(self) -> bool:
        return (
            len(self.labels) == len(self.confidences)
            and all(label is None or isinstance(label, str) for label in self.labels)
            and all(0 <= confidence <= 1 for confidence in self.confidences)
            and 0 <= self.ms < math.inf
        )


_FLAGS: Final = ("explained", "cold", "trial", "forwarded")


@dataclass(frozen=True, slots=True)
class CallReport:
    """What Lambda says of one call: what is billed, and whether the function came to its end."""

    request_id: str
    billed_ms: int
    memory_mib: int
    has_failed: bool  # it ran out of time or memory, or its process ended

    @classmethod
    def from_log(cls, message: str) -> Self | None:
        """The report that a log event holds; None for an event of another kind."""
        report = _REPORT.fullmatch(message)
        if report is None:
            return None
        return cls(report[1], int(report[2]), int(report[3]), "\tStatus: " in report[4])
