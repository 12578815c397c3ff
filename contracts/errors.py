"""Every failure a person may see: a code for programs, a message and a fix for people."""

from typing import Any, Final

_FIX: Final = " Fix: "


def with_fix(message: str, fix: str) -> str:
    """Both in one text, where another system keeps only one, such as a flow run's state."""
    return f"{message}.{_FIX}{fix}"


def split_fix(text: str) -> tuple[str, str]:
    """Undo `with_fix`; the fix is empty in a text of another origin."""
    message, mark, fix = text.rpartition(_FIX)
    return (message.removesuffix("."), fix) if mark else (text, "")


def quoted(value: object, longest: int = 80) -> str:
    """What was received, for a message: an answer must not grow with what a caller sends."""
    return repr(str(value)[:longest])


class ExemplarError(Exception):
    """Base of all expected failures. `http_status` is what the API answers with."""

    code = "error"
    http_status = 500

    def __init__(self, message: str, *, fix: str = "", details: list[str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.details = details or []

    def as_dict(self) -> dict[str, Any]:
        """Return the API's error form, `{"error": {"code", "message", "fix"[, "details"]}}`."""
        error: dict[str, Any] = {"code": self.code, "message": self.message, "fix": self.fix}
        if self.details:
            error["details"] = self.details
        return {"error": error}


class InvalidRequest(ExemplarError):
    """The request's form or one of its values breaks a rule."""

    code = "invalid_request"
    http_status = 400


class InvalidName(InvalidRequest):
    """A project, class or file name that may not be used."""

    code = "invalid_name"


class Unauthorized(ExemplarError):
    """No credential, or one that is unknown or expired."""

    code = "unauthorized"
    http_status = 401


class NotFound(ExemplarError):
    """The thing does not exist for this caller."""

    code = "not_found"
    http_status = 404


class Conflict(ExemplarError):
    """The request contradicts what is stored."""

    code = "conflict"
    http_status = 409


class BeingDeleted(Conflict):
    """The project is going and takes no calls any more."""

    code = "being_deleted"


class LimitExceeded(ExemplarError):
    """More or larger than the limits allow."""

    code = "limit_exceeded"
    http_status = 413


class QuotaExceeded(ExemplarError):
    """More than this user may have at once or do in a day; waiting alone may not help."""

    code = "quota_exceeded"
    http_status = 403


class UnsupportedType(ExemplarError):
    """A body of a content type that this endpoint does not read."""

    code = "unsupported_type"
    http_status = 415


class RateLimited(ExemplarError):
    """Too many requests in too short a time; `retry_after_seconds` says when the next may come."""

    code = "rate_limited"
    http_status = 429

    def __init__(self, message: str, *, fix: str = "", retry_after_seconds: int) -> None:
        super().__init__(message, fix=fix)
        self.retry_after_seconds = retry_after_seconds

    def as_dict(self) -> dict[str, Any]:
        """With the seconds, for the caller's program."""
        form = super().as_dict()
        form["error"]["retry_after_seconds"] = self.retry_after_seconds
        return form


class DataProblem(ExemplarError):
    """The data set cannot be trained on; `details` lists what to change."""

    code = "data_problem"
    http_status = 422


class UnreadableExample(DataProblem):
    """One example cannot be decoded or breaks a data rule."""

    code = "unreadable_example"


class BundleInvalid(ExemplarError):
    """A bundle is incomplete, altered, or of an unknown schema version."""

    code = "bundle_invalid"


class Unavailable(ExemplarError):
    """A part of the system does not answer; the same call may succeed later."""

    code = "unavailable"
    http_status = 503


class BadAnswer(ExemplarError):
    """A part of the system answered what is no answer."""

    code = "bad_answer"
    http_status = 502


def http_status_of(code: object) -> int:
    """The status of an error that came as a document; `BadAnswer`'s where nobody knows its code."""
    return {kind.code: kind.http_status for kind in _KINDS}.get(str(code), BadAnswer.http_status)


_KINDS: Final = (
    ExemplarError,
    InvalidRequest,
    InvalidName,
    Unauthorized,
    NotFound,
    Conflict,
    BeingDeleted,
    LimitExceeded,
    QuotaExceeded,
    UnsupportedType,
    RateLimited,
    DataProblem,
    UnreadableExample,
    BundleInvalid,
    Unavailable,
    BadAnswer,
)
