"""Several users with projects of the same name, at the same time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = [pytest.mark.stack, pytest.mark.soak]

USERS = {"ann": (0, 1), "bob": (2, 3), "cat": (4, 7)}


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
    for user, labels in USERS.items():
        assert results[user]["state"] == "done"
        check_endpoint(stack, user, folders[user], {f"digit {label}" for label in labels})


def check_endpoint(stack: Any, user: str, folder: Path, labels: set[str]) -> None:
    with stack.client(user) as client:
        for path in sorted(folder.glob("*/3.png")):
            answer = client.predict("shapes", path)
            assert set(answer["probabilities"]) == labels
        # Another's key does not open this endpoint.
        others = [other for other in USERS if other != user]
        with stack.client(others[0]) as other:
            key = other.rotate_key("shapes")
        answer = httpx.post(
            client.endpoint("shapes"), content=path.read_bytes(), headers={"x-api-key": key}
        )
        assert answer.status_code == 401
