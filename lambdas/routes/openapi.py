"""The call that describes all others."""

from aws_lambda_powertools.event_handler import Response

from contracts import schema
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, router


@router.get("/v1/openapi.json")
@described(answers={200: schema.free("An OpenAPI 3.1 document.")}, is_public=True)
def show_openapi() -> Response[str]:
    """Describe every call: what it takes and what it answers."""
    from lambdas import openapi  # few ask for it

    return answer(200, openapi.document())
