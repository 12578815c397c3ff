"""The control API: every call of `lambdas/routes`, and errors as the caller sees them."""

from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.logging import Logger

from contracts.errors import ExemplarError, NotFound
from lambdas.routes import (  # noqa: F401 - they fill the router
    account,
    deletion,
    examples,
    feedback,
    jobs,
    models,
    openapi,
    predictions,
    projects,
    releases,
    uploads,
    usage,
)
from lambdas.routes.exchange import answer, router

app = APIGatewayHttpResolver()
app.include_router(router)

log = Logger(service="exemplar-api", level="WARNING")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """API Gateway HTTP API, payload 2.0."""
    return app.resolve(event, context)


@app.not_found
def no_such_call(_error: NotFoundError) -> Response[str]:
    error = NotFound(
        f"there is no {app.current_event.http_method} {app.current_event.path[:200]}",
        fix="see the list of calls in the documentation",
    )
    return answer(404, error.as_dict())


@app.exception_handler(ExemplarError)  # type: ignore[untyped-decorator]
def refused(error: ExemplarError) -> Response[str]:
    return answer(error.http_status, error.as_dict())


@app.exception_handler(Exception)  # type: ignore[untyped-decorator]
def failed(error: Exception) -> Response[str]:
    """The caller gets a form, the log gets the traceback."""
    log.exception("unexpected error")
    hidden = ExemplarError(
        f"the call failed unexpectedly ({type(error).__name__})",
        fix="try again; if it happens again, report it with the time of the call",
    )
    return answer(500, hidden.as_dict())
