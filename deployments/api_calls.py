"""JSON calls to the control API: credentials, retries, and its errors as exceptions."""

import random
import time
from typing import Any

import httpx

from contracts.errors import ExemplarError, Unavailable
from deployments.connection import Connection, is_loopback

_ATTEMPTS = 4
_BUSY_ATTEMPTS = 6  # where the server itself says that it has too much to do
_FIRST_PAUSE_SECONDS = 0.3
_TIMEOUT_SECONDS = 35.0  # a gateway gives up after 30
_BUSY_STATUSES = frozenset({429, 503})
_RETRIED_STATUSES = frozenset({500, 502, 504}) | _BUSY_STATUSES


class ApiError(ExemplarError):
    """The API refused a call; `http_status` and `code` are its own words for why."""

    def __init__(
        self, message: str, *, status: int, code: str, fix: str = "", details: list[str] | None
    ) -> None:
        super().__init__(message, fix=fix, details=details)
        self.http_status = status
        self.code = code

    @property
    def is_from_application(self) -> bool:
        """False when a gateway or proxy answered in the application's place."""
        return self.code != "gateway"


class ApiCalls:
    """One connection to the API. Every call of this API may be repeated, so every one is."""

    def __init__(self, connection: Connection) -> None:
        self._url = connection.url
        self.is_loopback = is_loopback(connection.url)
        self._http = httpx.Client(
            base_url=connection.url,
            headers={"Authorization": f"Bearer {connection.token}"},
            timeout=_TIMEOUT_SECONDS,
            trust_env=not self.is_loopback,
        )

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Return the answer's JSON. Raises `ApiError`, or `Unavailable` when nobody answers."""
        for attempt in range(_BUSY_ATTEMPTS):
            is_last = attempt >= _ATTEMPTS - 1
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                if is_last:
                    raise self._unreachable(error) from error
            else:
                if answer.status_code in _BUSY_STATUSES:
                    is_last = attempt == _BUSY_ATTEMPTS - 1
                if is_last or answer.status_code not in _RETRIED_STATUSES:
                    return answer_json(answer)
            # Not at the same moment as everybody else.
            time.sleep(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, error: httpx.TransportError) -> Unavailable:
        reason = str(error) or type(error).__name__
        return Unavailable(
            f"{self._url} does not answer: {reason}",
            fix="look at `exemplar status`; `exemplar up` starts it on this machine",
        )


def answer_json(answer: httpx.Response) -> Any:
    """The answer's JSON when it is a success. Raises `ApiError`."""
    if not answer.is_success:
        raise _refusal(answer)
    try:
        return answer.json()
    except ValueError as error:
        raise ApiError(
            f"{answer.url} answered something that is no JSON",
            status=answer.status_code,
            code="gateway",
            fix="check EXEMPLAR_URL: it has to name the API",
            details=None,
        ) from error


def _refusal(answer: httpx.Response) -> ApiError:
    status = answer.status_code
    try:
        document = answer.json()
    except ValueError:
        document = None
    error = document.get("error") if isinstance(document, dict) else None
    if not isinstance(error, dict):
        return _gateway_refusal(status, document)
    details = error.get("details")
    return ApiError(
        str(error.get("message") or f"the server answered {status}"),
        status=status,
        code=str(error.get("code") or "error"),
        fix=str(error.get("fix") or ""),
        details=[str(line) for line in details] if isinstance(details, list) else None,
    )


def _gateway_refusal(status: int, document: Any) -> ApiError:
    """A gateway refuses bad tokens before our code runs, in its own form."""
    if status in {401, 403}:
        message, fix = "the token was not accepted", "set EXEMPLAR_TOKEN to a valid token"
    else:
        reason = document.get("message") if isinstance(document, dict) else None
        message = f"the server answered {status}: {reason or 'no reason given'}"
        fix = "try again in a minute" if status >= 500 else "check EXEMPLAR_URL"
    return ApiError(message, status=status, code="gateway", fix=fix, details=None)
