"""Events that no function URL makes but a direct call can: parts missing or of other types."""

import random
from typing import Any

from tests.hostile.requests import CONTENT_TYPES, Request

_ODD: tuple[Any, ...] = (
    None,
    0,
    1,
    True,
    "",
    "x",
    [],
    [1],
    {},
    {"a": 1},
    1.5,
    "\ud800",
    [[]],
)


def odd_events(count: int, key: str, seed: int = 0) -> list[Any]:
    """`count` events, the oddest first."""
    rng = random.Random(f"{seed}/event")
    found: list[Any] = list(_ODD)
    while len(found) < count:
        event = Request("event", body=b"x", content_type=rng.choice(CONTENT_TYPES)).event(key)
        for _ in range(rng.randint(1, 3)):
            _spoil(event, rng)
        found.append(
            event
            if rng.random() < 0.8
            else {k: v for k, v in event.items() if k != "requestContext"}
        )
    return found[:count]


def _spoil(event: dict[str, Any], rng: random.Random) -> None:
    part = rng.choice([*event, "image_base64", "text", "explain", "url"])
    inner = event.get(part)
    how = rng.choice(["gone", "other", "inside"])
    if how == "gone":
        event.pop(part, None)
    elif how == "inside" and isinstance(inner, dict) and inner:
        inner[rng.choice(sorted(inner))] = rng.choice(_ODD)
    else:
        event[part] = rng.choice(_ODD)
