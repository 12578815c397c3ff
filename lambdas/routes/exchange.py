"""What every call of the control API needs: the router, who asks, of which project, what body."""

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from contracts import strict_json
from contracts.errors import InvalidRequest, Unauthorized
from contracts.identity import Project
from lambdas import environment
from lambdas.claims import user_of

_DOWNLOAD_SECONDS = 900

router = APIGatewayHttpRouter()  # type: ignore[no-untyped-call]


def caller() -> str:
    """The tenant: the authorizer's, never the body's. Raises `Unauthorized`."""
    authorizer = router.current_event.request_context.authorizer
    if claim := environment.user_claim():
        return user_of(authorizer.jwt_claim if authorizer else {}, claim)
    user = (authorizer.get_lambda or {}).get("user") if authorizer else None
    if not user:
        raise Unauthorized("the caller could not be identified", fix="send your token again")
    return str(user)


def project_named(name: str) -> Project:
    """The caller's project of this name, whether or not it exists. Raises `InvalidName`."""
    return Project(caller(), name)


def json_body(default: Any = None, *, takes_half_characters: bool = False) -> Any:
    """The request's JSON, or `default` when it has no body. Raises `InvalidRequest`."""
    try:
        text = router.current_event.decoded_body
    except ValueError as error:  # what a gateway takes for a file arrives as base64
        raise InvalidRequest("the body is no text in UTF-8", fix="send a JSON object") from error
    if not text and default is not None:
        return default
    return strict_json.parsed(text or "", takes_half_characters=takes_half_characters)


def query(name: str) -> str:
    """A value of the address's query, empty where it is left out."""
    return (router.current_event.query_string_parameters or {}).get(name, "")


def query_number(name: str, default: int, least: int, most: int) -> int:
    """A whole number of the address's query. Raises `InvalidRequest`."""
    value = query(name)
    if not value:
        return default
    is_number = value.isascii() and value.isdigit() and len(value) < 14
    if not (is_number and least <= int(value) <= most):
        raise InvalidRequest(
            f"{name} is {value[:40]!r}, it must be a whole number from {least} to {most:,}",
            fix=f"leave {name} out",
        )
    return int(value)


def answer(status: int, body: Any) -> Response[str]:
    """A JSON answer that nobody on the way may keep."""
    return Response(
        status_code=status,
        content_type="application/json",
        body=strict_json.written(body),
        headers={"Cache-Control": "no-store"},
    )


def download_link(key: str) -> str:
    """Where one stored object can be fetched for a while."""
    return environment.s3().generate_presigned_url(
        "get_object",
        Params={"Bucket": environment.bucket(), "Key": key},
        ExpiresIn=_DOWNLOAD_SECONDS,
    )
