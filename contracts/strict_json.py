"""JSON from strangers, read so that nobody after us can see other values in it, and JSON for them.

Python's reader takes what the standard forbids or leaves open: NaN, a name given twice, half of a
character. Each of these is refused here rather than where it would break: in a report, in another
reader, in the answer that quotes it.
"""

import json
import math
from typing import Any, Final

from contracts.errors import InvalidRequest

DEPTH_MAX: Final = 20
_FIX: Final = "send a JSON object"


def parsed(text: str | bytes, fix: str = _FIX, *, takes_half_characters: bool = False) -> Any:
    """The value of a JSON text. Raises `InvalidRequest`."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:  # of which broken UTF-8 and a number of 5,000 digits are kinds
        raise InvalidRequest(f"the body is no JSON: {error}", fix=fix) from error
    except RecursionError:
        raise _too_deep(fix) from None
    _check(value, fix, takes_half_characters)
    return value


def written(value: Any) -> str:
    """Readable JSON, which can be sent as UTF-8 whatever texts are quoted in it."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which JSON can only escape
        return json.dumps(value)
    return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{twice[:80]!r} is given twice")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _check(value: Any, fix: str, takes_half_characters: bool) -> None:
    """Without recursion, which is what a deep value is made to exhaust."""
    waiting = [(value, 1)]
    while waiting:
        part, depth = waiting.pop()
        if depth > DEPTH_MAX:
            raise _too_deep(fix)
        if isinstance(part, dict):
            waiting += [(name, depth) for name in part]
            waiting += [(item, depth + 1) for item in part.values()]
        elif isinstance(part, list):
            waiting += [(item, depth + 1) for item in part]
        elif isinstance(part, float) and not math.isfinite(part):
            raise InvalidRequest("a number in the JSON is too large", fix="use a smaller one")
        elif isinstance(part, str) and not (takes_half_characters or part.isascii()):
            _check_text(part)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"a text in the JSON holds half a character (U+{ord(text[error.start]):04X})",
            fix="send the text as UTF-8, or both halves of the surrogate pair",
        ) from error


def _too_deep(fix: str) -> InvalidRequest:
    return InvalidRequest(f"the JSON is nested more than {DEPTH_MAX} levels deep", fix=fix)
