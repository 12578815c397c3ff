"""The call on what was live when."""

from dataclasses import asdict

from aws_lambda_powertools.event_handler import Response

from lambdas import answers, environment
from lambdas.routes.description import described
from lambdas.routes.exchange import answer, project_named, router


@router.get("/v1/projects/<name>/releases")
@described(answers={200: answers.releases})
def list_releases(name: str) -> Response[str]:
    """Every change of what is live, newest first, also that a version was withdrawn."""
    project, state = project_named(name), environment.state()
    state.project(project)
    found = [asdict(release) for release in state.releases(project)]
    return answer(200, {"project": project.name, "releases": found})
