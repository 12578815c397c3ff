"""What `exemplar deploy` is told: by flags, or by the table `[deploy]` of `exemplar.toml`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from contracts.quotas import parse_quotas

CONFIG_FILE: Final = "exemplar.toml"

Market = Literal["spot-then-on-demand", "spot", "on-demand"]


Stack = Annotated[str, Parameter(help="Name of the stack; everything it makes is named after it.")]
Region = Annotated[
    str,
    Parameter(
        help="AWS region; by default the environment's or the profile's.", show_default=False
    ),
]


def _option(text: str, env_var: str | None = None) -> Parameter:
    return Parameter(help=text, env_var=env_var, show_default=False)


def _list(text: str, *, show_default: bool = False) -> Parameter:
    return Parameter(help=text, negative="", consume_multiple=True, show_default=show_default)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class DeployOptions:
    """One deployment, on the account that the environment's AWS credentials belong to."""

    stack: Stack = "exemplar"
    region: Region = ""
    prefect_api_url: Annotated[
        str,
        _option(
            "Where Prefect is, e.g. https://prefect.example.org/api. Its credential comes from "
            "PREFECT_API_KEY or PREFECT_API_AUTH_STRING and is never an option.",
            "PREFECT_API_URL",
        ),
    ] = ""
    mlflow_tracking_uri: Annotated[
        str,
        _option(
            "Where MLflow is. Its login comes from MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD.",
            "MLFLOW_TRACKING_URI",
        ),
    ] = ""
    vpc: Annotated[
        str,
        _option(
            "VPC whose machines train, or 'default' for the account's default one. Without a VPC, "
            "trainings run beside the worker and no machine is ever started.",
        ),
    ] = ""
    subnets: Annotated[
        tuple[str, ...], _list("Its subnets for the machines; by default all of them.")
    ] = ()
    instance_types: Annotated[tuple[str, ...], _list("Tried in this order.", show_default=True)] = (
        "g4dn.xlarge",
        "g5.xlarge",
    )
    market: Annotated[Market, Parameter(help="How machines are bought.")] = "spot-then-on-demand"
    image: Annotated[
        str,
        _option(
            "SSM parameter that holds the machine image's id, e.g. a baked one's; by default the "
            "newest Amazon Linux 2023, on which each machine first installs the release."
        ),
    ] = ""
    trainings: Annotated[int, Parameter(help="Machines at once, over all users.")] = 8
    max_training_hours: Annotated[
        int, Parameter(help="No machine lives longer, whatever happens.")
    ] = 24
    large_models: Annotated[
        bool,
        Parameter(
            help="Serve models too large for a function's zip as container images, which CodeBuild "
            "builds.",
            negative="",
            show_default=False,
        ),
    ] = False
    jwt_issuer: Annotated[
        str,
        _option(
            "Whose JWTs open the API instead of this system's tokens, such as "
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_abc."
        ),
    ] = ""
    jwt_audience: Annotated[
        tuple[str, ...], _list("Who they are made for, such as an app client's id.")
    ] = ()
    jwt_user_claim: Annotated[
        str, Parameter(help="Which claim names the user: one that no user can change.")
    ] = "sub"
    quota_projects: Annotated[
        int | None, _option("Projects that a user may have, where he has no quota of his own.")
    ] = None
    quota_stored_gib: Annotated[int | None, _option("GiB of examples that a user may store.")] = (
        None
    )
    quota_trainings_per_day: Annotated[
        int | None, _option("Trainings that a user may start on a day (UTC).")
    ] = None
    quota_jobs: Annotated[int | None, _option("Jobs of a user at once.")] = None
    alert_email: Annotated[
        str, _option("Who is told of failures and of costs; without it there are no alarms.")
    ] = ""
    monthly_budget: Annotated[
        int, Parameter(help="The account's dollars a month at which that person is told; 0: never.")
    ] = 50
    allowed_origins: Annotated[
        tuple[str, ...], _list("Where else a page is served from; the API's own needs no entry.")
    ] = ()
    prefect_link: Annotated[
        str, _option("Where users may look at their workflows, if they may; the page shows it.")
    ] = ""
    mlflow_link: Annotated[
        str, _option("Where users may look at experiments, if they may; the page shows it.")
    ] = ""
    env_file: Annotated[
        Path | None, _option("Where the workers' settings are written; by default STACK.env here.")
    ] = None

    @property
    def quotas(self) -> dict[str, int]:
        """Users' quotas that differ from the defaults. Raises `InvalidRequest`."""
        prefix = "quota_"
        given = {
            field.name.removeprefix(prefix): getattr(self, field.name)
            for field in fields(self)
            if field.name.startswith(prefix)
        }
        return parse_quotas(given)
