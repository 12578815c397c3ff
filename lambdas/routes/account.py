"""The call on the caller: who he is, what he may have and what he has."""

from aws_lambda_powertools.event_handler import Response

from lambdas import environment
from lambdas.routes.exchange import answer, caller, router


@router.get("/v1/account")
def show_account() -> Response[str]:
    """Your name, your quotas and what is used of them."""
    user = caller()
    usage = environment.usage(user)
    used = usage.as_dict(environment.stored_bytes(user))
    return answer(200, {"user": user, "quotas": usage.quotas.as_dict(), "used": used})
