"""`exemplar history`: what was live when, and why it changed."""

import time
from typing import Annotated, Any

from rich.console import Console

from deployments.options import AsJson, Name, about, print_json


def history(
    project: Name,
    *,
    on: Annotated[str, about("Only what was live on this day, or at this moment of it.")] = "",
    json: AsJson = False,
) -> None:
    """Show every change of what a project serves, the newest first.

    A day or a moment is this machine's unless it ends with Z, for UTC, or an offset.

    Example: `exemplar history my-cat`

    Example: `exemplar history my-cat --on 2026-11-20T14:30`
    """
    from deployments.client import Exemplar
    from deployments.history import Moments, periods

    moments = Moments.parse(on) if on else None
    with Exemplar() as client:
        releases = client.releases(project)
    if moments is None:
        found = {"project": project, "releases": releases}
        print_json(found) if json else _show_releases(Console(), project, releases)
        return
    live = [period.as_dict() for period in periods(releases) if period.touches(moments)]
    if json:
        print_json({"project": project, "on": on, "live": live})
    else:
        _show_periods(Console(), project, on, live)


def _show_releases(console: Console, project: str, releases: list[dict[str, Any]]) -> None:
    from deployments.screens import say, show_table

    say(console, f"{project}: {len(releases):,} changes of what is live", "bold")
    rows = [
        (_when(r["at"]), r["event"], r["model_version"], r["by"], r["reason"]) for r in releases
    ]
    if rows:
        show_table(console, ("when", "what", "live from then on", "by", "why"), rows)
    for release in releases:
        for version, counted in release["answers"].items():
            say(console, f"  {_when(release['at'])}  {version}: {_counted(counted)}", "dim")


def _show_periods(console: Console, project: str, on: str, live: list[dict[str, Any]]) -> None:
    from deployments.screens import say, show_table

    if not live:
        say(console, f"{project}: nothing was live on {on}")
        return
    rows = [
        (
            one["model_version"],
            _when(one["since"]),
            "now" if one["until"] is None else _when(one["until"]),
            one["by"],
            one["reason"],
        )
        for one in live
    ]
    show_table(console, ("live", "from", "to", "by", "why"), rows)


def _counted(counted: dict[str, Any]) -> str:
    return (
        f"{counted['answers']:,} answers, {counted['failed']:,} failed, "
        f"{counted['refused']:,} refused"
    )


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
