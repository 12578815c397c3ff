"""The call that asks a project's live model."""

from aws_lambda_powertools.event_handler import Response

from contracts.requests import parse_question
from lambdas import asking, endpoint_description, environment
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, json_body, project_named, router


@router.post("/v1/projects/<name>/predict")
@described(
    answers={200: endpoint_description.answered},
    body=endpoint_description.question,
    refuses=(422, 502),
)
def ask_model(name: str) -> Response[str]:
    """Ask the live model about a picture or about texts, as its endpoint would be asked.

    Your token is enough. Up to 5 MiB of JSON are taken; whoever has more, or asks often, has the
    endpoint itself.
    """
    project = project_named(name)
    record = environment.state().project(project)
    question = parse_question(json_body(takes_half_characters=True))
    if not record.model_version:
        raise asking.nothing_live()
    function = project.function_name(environment.stack())
    return answer(*asking.ask(environment.models(), function, question))
