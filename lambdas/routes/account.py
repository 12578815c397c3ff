"""The call on the caller: who he is, what he may have and what he has."""

from aws_lambda_powertools.event_handler import Response

from lambdas import answers, environment
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, caller, router


@router.get("/v1/account")
@described(answers={200: answers.account})
def show_account() -> Response[str]:
    """Your name, your quotas, what is used of them, and where workflows and experiments are."""
    user = caller()
    held = environment.quotas(user)
    used = held.as_dict(environment.stored_bytes(user))
    found = {"user": user, "quotas": held.quotas.as_dict(), "used": used}
    return answer(200, found | {"links": environment.links()})
