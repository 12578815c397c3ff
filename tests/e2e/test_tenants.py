"""Ten users with projects of the same name, at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.soak]

NAMES = ("ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ivy", "joe")
# Every pair of digits is another, so a mixed-up endpoint names a class that is not its own.
USERS = {name: (digit, (digit + 1) % 10) for digit, name in enumerate(NAMES)}


def test_same_named_projects_trained_at_once_do_not_mix(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    folders = {user: digits(tmp_path / user, 15, labels) for user, labels in USERS.items()}

    def train(user: str) -> dict[str, Any]:
        with stack.client(user) as client:
            return dict(client.train(folders[user], "shapes", recipe="fast").as_dict())

    with ThreadPoolExecutor(len(USERS)) as pool:
        results = dict(zip(USERS, pool.map(train, USERS), strict=True))
    assert len({result["endpoint"] for result in results.values()}) == len(USERS)
    right = 0
    for user, labels in USERS.items():
        assert results[user]["state"] == "done"
        right += check_endpoint(stack, user, folders[user], {f"digit {d}" for d in labels})
    assert right >= 0.9 * 2 * len(USERS)


def check_endpoint(stack: Any, user: str, folder: Path, labels: set[str]) -> int:
    """Its classes and its key are its own; return how many of two answers are right."""
    right = 0
    with stack.client(user) as client:
        for path in sorted(folder.glob("*/3.png")):
            answer = client.predict("shapes", path)
            assert set(answer["probabilities"]) == labels
            right += answer["label"] == path.parent.name
        neighbour = next(other for other in USERS if other != user)
        with stack.client(neighbour) as other:
            key = other.saved_key("shapes")
        answer = httpx.post(
            client.endpoint("shapes"), content=path.read_bytes(), headers={"x-api-key": key}
        )
        assert answer.status_code == 401
    return right
