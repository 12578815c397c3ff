"""Who is calling: a user token becomes the tenant that every other part relies on."""

from typing import Any

from lambdas import environment


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """API Gateway request authorizer, payload 2.0 with simple responses."""
    header = (event.get("identitySource") or [""])[0]
    scheme, _, token = header.strip().partition(" ")
    user = (
        environment.state().user_of_token(token.strip())
        if scheme.lower() == "bearer" and token
        else None
    )
    return {"isAuthorized": user is not None, "context": {"user": user or ""}}
