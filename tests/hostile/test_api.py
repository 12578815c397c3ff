"""The control API bears whatever is sent to it."""

import io
import json
from collections import Counter
from functools import cache
from typing import Any
from unittest.mock import patch

import pytest

from lambdas import environment, ingest
from tests.hostile.api_calls import hostile_calls, text

OWNER = {name: getattr(environment, name) for name in ("s3", "state")}


class InProcess:
    """The function that starts trainings, which no test of the API deploys, as the owner."""

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 - AWS's
        with patch.multiple(environment, **OWNER):
            answer = ingest.handler(json.loads(Payload), None)
        return {"Payload": io.BytesIO(json.dumps(answer).encode())}


class WithIngest:
    """What calls on jobs share, with that function in its place."""

    functions = staticmethod(cache(InProcess))

    def __getattr__(self, name: str) -> Any:
        return getattr(environment, name)


@pytest.mark.parametrize("count", [300, pytest.param(3_000, marks=pytest.mark.soak)])
def test_no_call_fails_unexpectedly(count: int, call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdas.routes.jobs.environment", WithIngest())
    project = f"hostile-api-{count}"
    body = {"name": project, "kind": "image", "classes": ["cat", "dog"]}
    assert call("POST", "/v1/projects", body)[0] == 201
    seen = Counter[int]()
    for one in hostile_calls(project, count, seed=count):
        status, answer = call(one.method, one.path, text(one.body) or "{}")
        seen[status] += 1
        if status >= 400:
            error = answer["error"]
            assert status < 500 or error["code"] == "unavailable", (one, error)  # no Prefect here
            assert error["message"], (one, error)
            assert error["fix"], (one, error)
    assert {200, 400, 404, 422} <= set(seen), seen
    print(sorted(seen.items()))
