"""`exemplar deploy` and `exemplar destroy`: the system on an AWS account, from the command line."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import App
from cyclopts.config import Toml
from rich.console import Console
from rich.status import Status
from rich.table import Column, Table

from contracts.errors import InvalidRequest
from deployments.aws.options import CONFIG_FILE, DeployOptions, Region, Stack
from deployments.options import FAILED, AsJson, Yes, about, confirm, print_json

if TYPE_CHECKING:
    from deployments.aws.removal import Inventory
    from deployments.aws.system import Deployed
    from deployments.stack_events import Say

deploy_app = App(
    name="deploy", config=Toml(CONFIG_FILE, root_keys=["deploy"], use_commands_as_keys=False)
)
destroy_app = App(name="destroy")


@deploy_app.default
def deploy(
    options: DeployOptions | None = None,
    *,
    token_for: Annotated[
        str, about("Also make an API token for this user and print it, once.")
    ] = "",
    yes: Yes = False,
    json: AsJson = False,
) -> None:
    """Bring the system to the state of this source tree on the AWS account at hand.

    Repeating it changes only what differs. Options may be kept in `exemplar.toml` under `[deploy]`.
    `docs/aws.md` says what it makes, what it costs and where Prefect and MLflow run.

    Example: `exemplar deploy --region eu-central-1 --vpc default --alert-email me@example.org`
    """
    from deployments.aws.system import Plan, deploy_system, make_token
    from deployments.connection import page_link, state_home

    console, options = Console(stderr=json), options or DeployOptions()
    if token_for and options.jwt_issuer:
        raise InvalidRequest(
            "tokens are not taken where users log in elsewhere", fix="leave --token-for out"
        )
    plan = Plan.check(options)
    _show_rows(console, plan.lines())
    confirm("Deploy this?", is_sure=yes)
    with console.status("deploying") as spinner:
        done = deploy_system(plan, state_home() / "packages", _teller(console, spinner))
    token = make_token(plan.account, done.outputs, token_for) if token_for else ""
    if json:
        more = {"token": token, "page": page_link(done.url, token)} if token else {}
        print_json(asdict(done) | more)
    else:
        _show_deployed(console, done, token)


@destroy_app.default
def destroy(
    *,
    stack: Stack = "exemplar",
    region: Region = "",
    everything: Annotated[
        bool, about("Also delete the data: uploads, models, projects, the code's bucket.")
    ] = False,
    yes: Yes = False,
    json: AsJson = False,
) -> int:
    """Take the system off the AWS account; data stay unless --everything is given.

    It ends training machines first, then deletes the endpoints, projects' roles and the stack,
    and lists what is left. A later `exemplar deploy` of the same name finds its data again.

    Example: `exemplar destroy --stack exemplar --region eu-central-1`
    """
    from deployments.aws.account import Account
    from deployments.aws.removal import remove_system, take_inventory

    console = Console(stderr=json)
    account = Account.at_hand(region)
    found = take_inventory(account, stack)
    _show_rows(
        console,
        [
            ("account", f"{account.number} as {account.caller}"),
            ("stack", f"{stack} in {account.region}" + _absence(found)),
            *_counted("ends", found.goes),
            *_counted("goes for ever" if everything else "stays", found.data),
        ],
    )
    confirm(f"Destroy {stack}?", is_sure=yes, answer=stack)
    with console.status("destroying") as spinner:
        left = remove_system(account, stack, _teller(console, spinner), everything=everything)
    if json:
        print_json({"stack": stack, "removed": asdict(found), "left": asdict(left)})
    else:
        _show_left(console, left)
    return FAILED if left.has_stack or any(left.goes.values()) else 0


def _teller(console: Console, spinner: Status) -> "Say":
    """What has begun shows beside the spinner; what is done stays on the screen."""

    def say(step: str) -> None:
        spinner.update(step)
        if "_IN_PROGRESS" not in step:
            console.print(f"  {step}", style="dim", highlight=False, markup=False)

    return say


def _show_rows(console: Console, rows: list[tuple[str, str]]) -> None:
    table = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, value in rows:
        table.add_row(name, value)
    console.print(table, markup=False)


def _absence(found: "Inventory") -> str:
    return "" if found.has_stack else " (there is none)"


def _counted(verb: str, things: dict[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [
        (
            verb,
            f"{what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if names[5:] else ''}",
        )
        for what, names in things.items()
        if names
    ]


def _show_deployed(console: Console, done: "Deployed", token: str) -> None:
    from deployments.connection import page_link

    console.print(f"\n{done.stack} stands in {done.region}.\n", style="bold green")
    console.print("Open this in a browser:", style="bold")
    page = page_link(done.url, token) if token else f"{done.url}/"
    console.print(f"  {page}\n", style="bold cyan", markup=False, highlight=False, soft_wrap=True)
    rows = [("API", done.url), ("workers' settings", str(done.env_file))]
    rows += [("trainers' release", done.release)] if done.release else []
    rows += [("policy for the workers", arn) for arn in done.policies]
    rows += [("token, shown once", token)] if token else []
    _show_rows(console, rows)
    console.print("\nStart the workers, where they have those policies:", highlight=False)
    console.print(f"  set -a; . {done.env_file}; set +a", highlight=False, soft_wrap=True)
    for command in done.workers:
        console.print(f"  {command}", highlight=False, soft_wrap=True)
    console.print(
        f"\nNext: EXEMPLAR_URL={done.url} EXEMPLAR_TOKEN=… exemplar train FOLDER --project my-cat",
        highlight=False,
        soft_wrap=True,
    )


def _show_left(console: Console, left: "Inventory") -> None:
    if not (left.has_stack or any(left.goes.values()) or any(left.data.values())):
        console.print("nothing is left on the account", style="bold green")
        return
    console.print("\nwhat is left:", style="bold")
    _show_rows(console, _counted("", left.goes | left.data))
    if any(left.data.values()):
        console.print("delete it with: exemplar destroy --everything", highlight=False)
