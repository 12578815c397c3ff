"""`exemplar usage`: how much an endpoint is asked, how fast it answers and what that costs."""

from typing import Annotated

from rich.console import Console

from deployments.options import AsJson, Name, about, print_json


def usage(
    project: Name,
    *,
    days: Annotated[int, about("How many days, 30 by default.")] = 30,
    json: AsJson = False,
) -> None:
    """Show requests, errors, latency and cost of a project's endpoint, day by day (UTC).

    It also says whether what the endpoint is asked has drifted from what its model was tested on.

    Example: `exemplar usage my-cat --days 7`
    """
    from deployments.client import Exemplar
    from deployments.usage_screen import show_usage

    with Exemplar() as client:
        found = client.usage(project, days)
    print_json(found) if json else show_usage(Console(), found)
