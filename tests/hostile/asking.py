"""Ask a real bundle's handler everything, in a bounded process; see `measured.in_process`."""

import json
from pathlib import Path
from typing import Any

from lambdas import predict
from tests.hostile.events import odd_events
from tests.hostile.measured import Measured, bounded, tell
from tests.hostile.requests import hostile_requests

_FORM = {"code", "message", "fix"}


def main() -> None:
    options = bounded()
    predict.BUNDLE = Path(options["bundle"])
    predict.log.disabled = True
    predict.handler({"requestContext": {"http": {"method": "GET"}}}, None)  # loads the bundle
    measured, key = Measured(), options["key"]
    for request in hostile_requests(options["requests"], options["seed"]):
        event = request.event(key)
        with measured.piece(request.kind, request.id) as outcome:
            _ask(event, outcome)
    for number, event in enumerate(odd_events(options["events"], key, options["seed"])):
        with measured.piece("event", f"event-{number}") as outcome:
            _ask(event, outcome)
    tell(measured.report())


def _ask(event: Any, outcome: list[str]) -> None:
    answer = json.loads(json.dumps(predict.handler(event, None), ensure_ascii=False).encode())
    is_over_http = isinstance(event, dict) and "requestContext" in event
    body = json.loads(answer["body"]) if is_over_http else answer
    error = body.get("error")
    status = answer["statusCode"] if is_over_http else _status_of(error)
    outcome.append(str(status))
    outcome.append(f"{status} {error['message'] if error else ''}")
    assert "request_id" in body, body
    if error is None:
        assert status == 200, body
        return
    assert 400 <= status < 500, body
    assert set(error) >= _FORM, body
    assert all(error[part] for part in _FORM), body


def _status_of(error: dict[str, str] | None) -> int:
    """A direct call's answer has no status, but its error's code has one."""
    if error is None:
        return 200
    codes = {"invalid_request": 400, "limit_exceeded": 413, "unreadable_example": 422}
    return codes.get(error["code"], 500)


if __name__ == "__main__":
    main()
