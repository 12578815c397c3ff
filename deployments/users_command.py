"""`exemplar users`: the administrator's commands on users, their tokens and quotas."""

import time
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App
from rich.console import Console
from rich.table import Table

from contracts.quotas import parse_quotas
from deployments.aws.options import Region
from deployments.options import AsJson, Yes, about, confirm, print_json

if TYPE_CHECKING:
    from deployments.user_directory import UserDirectory

users_app = App(name="users", help="Add, list and remove users; by the stack's administrator.")

User = Annotated[str, about("The user, such as 'ann'.")]
StackName = Annotated[str, about("A stack on AWS; by default the one on this machine.")]
Days = Annotated[int, about("Days until the token ends.")]
Projects = Annotated[int | None, about("Projects the user may have.")]
Gib = Annotated[int | None, about("GiB of examples the user may store.")]
Trainings = Annotated[int | None, about("Trainings the user may start on a day (UTC).")]
Jobs = Annotated[int | None, about("Jobs of the user at once.")]

_DAYS = 90


@users_app.command
def add(
    name: User,
    *,
    projects: Projects = None,
    gib: Gib = None,
    trainings_per_day: Trainings = None,
    jobs: Jobs = None,
    expires: Days = _DAYS,
    stack: StackName = "",
    region: Region = "",
    json: AsJson = False,
) -> None:
    """Add a user and print the token, once; only its hash is kept.

    Quotas that are left out are the stack's.

    Example: `exemplar users add ann --projects 5 --gib 20`
    """
    directory = _directory(stack, region)
    quotas = _quotas(projects, gib, trainings_per_day, jobs)
    inherited = directory.projects(name)
    token = directory.add(name, quotas, expires)
    if json:
        print_json(_with_token(directory, name, token) | {"projects": inherited})
        return
    console = Console()
    _show_token(console, directory, name, token, expires)
    if inherited:
        _say(console, f"Projects of this name are there already: {', '.join(inherited)}.")


@users_app.command(name="list")
def list_users(*, stack: StackName = "", region: Region = "", json: AsJson = False) -> None:
    """List the users, when their tokens end, and quotas of their own.

    Example: `exemplar users list`
    """
    from deployments.user_directory import user_row

    rows = [user_row(account) for account in _directory(stack, region).state.accounts.all()]
    if json:
        print_json({"users": rows})
        return
    table = Table("user", "since", "tokens", "quotas of their own", box=None)
    for row in rows:
        table.add_row(row["user"], _day(row["created_at"]), _tokens(row), _listed(row["quotas"]))
    Console().print(table, markup=False)


@users_app.command
def rotate(
    name: User,
    *,
    expires: Days = _DAYS,
    stack: StackName = "",
    region: Region = "",
    json: AsJson = False,
) -> None:
    """Print a new token, once; all others of the user end within a minute.

    Example: `exemplar users rotate ann`
    """
    from deployments.user_directory import CACHED_SECONDS

    directory = _directory(stack, region)
    token = directory.rotate(name, expires)
    if json:
        ends = {"others_end_within_seconds": CACHED_SECONDS}
        print_json(_with_token(directory, name, token) | ends)
        return
    console = Console()
    _show_token(console, directory, name, token, expires)
    _say(console, f"The tokens before it end within {CACHED_SECONDS} seconds.")


@users_app.command
def remove(
    name: User,
    *,
    delete_projects: Annotated[
        bool, about("Delete the user's projects first, with data, models and endpoints.")
    ] = False,
    yes: Yes = False,
    stack: StackName = "",
    region: Region = "",
    json: AsJson = False,
) -> None:
    """End a user's tokens within a minute; projects and endpoints stay unless they are deleted.

    Example: `exemplar users remove ann`

    Example: `exemplar users remove ann --delete-projects`
    """
    from deployments.user_directory import CACHED_SECONDS

    console, directory = Console(stderr=json), _directory(stack, region)
    deleted = _delete_projects(console, directory, name, is_sure=yes) if delete_projects else []
    stay = directory.remove(name)
    if json:
        ends = {"tokens_end_within_seconds": CACHED_SECONDS}
        print_json({"user": name, "projects": stay, "deleted": deleted} | ends)
        return
    _say(console, f"{name} is removed; the tokens end within {CACHED_SECONDS} seconds.")
    if stay:
        _say(console, f"These projects stay, with their endpoints: {', '.join(stay)}.")
        _say(console, f"Whoever is added as {name} gets them.")


@users_app.command
def limits(
    name: User,
    *,
    projects: Projects = None,
    gib: Gib = None,
    trainings_per_day: Trainings = None,
    jobs: Jobs = None,
    stack: StackName = "",
    region: Region = "",
    json: AsJson = False,
) -> None:
    """Give a user quotas of one's own, or show those there are.

    They count from the next call on.

    Example: `exemplar users limits ann --trainings-per-day 10`
    """
    from deployments.user_directory import user_row

    quotas = _quotas(projects, gib, trainings_per_day, jobs)
    row = user_row(_directory(stack, region).give_quotas(name, quotas))
    if json:
        print_json(row)
    else:
        _say(Console(), f"{name}: {_listed(row['quotas']) or 'the quotas of the stack'}")


def _directory(stack: str, region: str) -> "UserDirectory":
    from deployments.user_directory import UserDirectory

    return UserDirectory.of(stack, region)


def _delete_projects(
    console: Console, directory: "UserDirectory", user: str, *, is_sure: bool
) -> list[str]:
    from deployments.receipt_screen import DeletionReporter

    if not (names := directory.projects(user)):
        return []
    _say(console, f"This deletes {', '.join(names)} with everything that belongs to them.")
    confirm(f"Delete what {user} has for ever?", is_sure=is_sure, answer=user)
    with DeletionReporter(console) as reporter:
        return directory.delete_projects(user, reporter.on_update)


def _quotas(
    projects: int | None, gib: int | None, trainings: int | None, jobs: int | None
) -> dict[str, int]:
    given = {"projects": projects, "stored_gib": gib}
    return parse_quotas(given | {"trainings_per_day": trainings, "jobs": jobs})


def _with_token(directory: "UserDirectory", user: str, token: str) -> dict[str, Any]:
    page = directory.page_link(token)
    return {"user": user, "token": token, "url": directory.url, "page": page}


def _show_token(
    console: Console, directory: "UserDirectory", user: str, token: str, days: int
) -> None:
    _say(console, f"The token of {user}, shown once, is good for {days} days:")
    _say(console, f"  {directory.page_link(token)}")
    _say(console, f"  EXEMPLAR_URL={directory.url} EXEMPLAR_TOKEN={token} exemplar projects")


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _tokens(row: dict[str, Any]) -> str:
    ends = row["tokens_expire_at"]
    if not ends:
        return "none"
    return f"{len(ends)}, until {_day(ends[-1])}"


def _listed(quotas: dict[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in quotas.items())
