"""Bring the whole system to the state of this source tree on an AWS account."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from contracts.errors import InvalidRequest, Unavailable
from deployments.aws.account import LAMBDA_PYTHON, Account, Network, find_network
from deployments.aws.options import DeployOptions
from deployments.aws.trainers import pool_settings, put_secrets, secrets_at_hand
from deployments.code_bucket import CodeBucket
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.packaging import ROOT, Platform
from deployments.stack_events import Say
from deployments.trainer_release import upload_release
from deployments.work_pools import ORCHESTRATION, TRAINING
from lambdas.accounts import new_token
from lambdas.orchestrator import auth_headers
from lambdas.state import State

_APPLY_TIMEOUT_SECONDS: Final = 300
_TOKEN_SECONDS: Final = 90 * 86_400


@dataclass(frozen=True, slots=True)
class Deployed:
    """What stands after a deployment."""

    stack: str
    region: str
    account: str
    url: str
    outputs: StackOutputs
    env_file: Path
    release: str  # s3://…, empty where no machine is ever started
    policies: tuple[str, ...]  # for the role or user that the workers run as
    workers: tuple[str, ...]  # the commands that start them


@dataclass(frozen=True, slots=True)
class Plan:
    """A deployment that has been checked as far as it can be without changing anything."""

    options: DeployOptions
    account: Account
    network: Network | None

    @classmethod
    def check(cls, options: DeployOptions) -> "Plan":
        """Raises `ExemplarError` for whatever is missing or does not answer."""
        _refuse_incomplete(options)
        account = Account.at_hand(options.region)
        network = find_network(account, options.vpc, options.subnets) if options.vpc else None
        _ask_prefect(options.prefect_api_url)
        return cls(options, account, network)

    def lines(self) -> list[tuple[str, str]]:
        """What will be done, for a person to confirm."""
        options, network = self.options, self.network
        machines = "beside the worker; no machine is started"
        if network:
            machines = (
                f"one EC2 machine each ({', '.join(options.instance_types)}; {options.market}; "
                f"at most {options.trainings} at once, {options.max_training_hours} h each) in "
                f"{network.vpc}, {len(network.subnets)} subnets"
            )
        return [
            ("account", f"{self.account.number} as {self.account.caller}"),
            ("region", self.account.region),
            ("stack", options.stack),
            ("trainings", machines),
            ("large models", "container images" if options.large_models else "refused"),
            ("Prefect", options.prefect_api_url),
            ("MLflow", options.mlflow_tracking_uri),
            ("alerts", options.alert_email or "nobody (no alarms, no budget)"),
        ]

    def parameters(self) -> dict[str, str]:
        """The template's, as far as a deployment chooses them."""
        options, network = self.options, self.network
        chosen = {
            "AlertEmail": options.alert_email,
            "MonthlyBudgetDollars": str(options.monthly_budget),
            "MaxTrainingHours": str(options.max_training_hours),
            "LargeModels": "images" if options.large_models else "none",
            "PrefectLink": options.prefect_link,
            "MlflowLink": options.mlflow_link,
        }
        if options.jwt_issuer:
            chosen |= {
                "JwtIssuer": options.jwt_issuer,
                "JwtAudience": ",".join(options.jwt_audience),
                "JwtUserClaim": options.jwt_user_claim,
            }
        for name, quota in options.quotas.items():
            chosen[f"Quota{''.join(part.title() for part in name.split('_'))}"] = str(quota)
        if network:
            chosen |= {
                "Training": "ec2",
                "TrainingVpc": network.vpc,
                "TrainingSubnets": ",".join(network.subnets),
            }
        return chosen | ({"TrainerImage": options.image} if options.image else {})


def deploy_system(plan: Plan, cache: Path, say: Say) -> Deployed:
    """Stack, code, trainers' release and secret, Prefect's pools and deployments, env file.

    Every step may be killed; calling it again goes on and changes only what differs.
    """
    options, account = plan.options, plan.account
    say("building the functions' packages")
    outputs = deploy(_deploy_settings(plan, cache), account.session, say)
    release, machines = "", None
    if plan.network:
        say("storing what training machines install")
        release = upload_release(CodeBucket(outputs.code_bucket, account.client("s3")))
        arn = put_secrets(account, outputs.trainer_secret_arn, secrets_at_hand())
        outputs = replace(outputs, trainer_secret_arn=arn)
        machines = pool_settings(options, outputs, plan.network.subnets, release)
    variables = environment(plan, outputs)
    say("applying prefect.yaml")
    _apply_orchestration(options, variables, machines)
    path = options.env_file or Path(f"{options.stack}.env")
    write_env_file(path, variables)
    return Deployed(
        stack=options.stack,
        region=account.region,
        account=account.number,
        url=outputs.api_url,
        outputs=outputs,
        env_file=path.resolve(),
        release=release,
        policies=tuple(
            filter(
                None,
                [
                    outputs.deployer_policy_arn,
                    outputs.large_model_policy_arn,
                    outputs.training_policy_arn,
                ],
            )
        ),
        workers=_worker_commands(plan),
    )


def make_token(account: Account, outputs: StackOutputs, user: str) -> str:
    """A token for the control API, valid for 90 days; only its hash is stored."""
    token = new_token(user)
    state = State(account.client("dynamodb"), outputs.table)
    state.put_token(token, user, time.time() + _TOKEN_SECONDS)
    return token


def environment(plan: Plan, outputs: StackOutputs) -> dict[str, str]:
    """What the workers' flow runs need to know of the stack; none of it is secret."""
    return {
        "AWS_DEFAULT_REGION": plan.account.region,
        "EXEMPLAR_PLACE": "aws",
        "EXEMPLAR_STACK": outputs.stack,
        "EXEMPLAR_REGION": plan.account.region,
        "EXEMPLAR_BUCKET": outputs.bucket,
        "EXEMPLAR_TABLE": outputs.table,
        "EXEMPLAR_CODE_BUCKET": outputs.code_bucket,
        "EXEMPLAR_INFERENCE_ROLE_ARN": outputs.inference_role_arn,
        "EXEMPLAR_INFERENCE_BOUNDARY_ARN": outputs.inference_boundary_arn,
        "EXEMPLAR_LOG_RETENTION_DAYS": outputs.log_retention_days,
        "EXEMPLAR_INFERENCE_LAYER_ARN": outputs.inference_layer_arn,
        "EXEMPLAR_RUNTIME": f"python{_python(plan.account)}",
        "EXEMPLAR_IMAGE_BUILDER": outputs.image_builder,
        "EXEMPLAR_IMAGE_REPOSITORY": outputs.image_repository,
        "EXEMPLAR_FORWARD_ROLE_ARN": outputs.forward_role_arn,
        "EXEMPLAR_TRAINER_BOUNDARY_ARN": outputs.trainer_boundary_arn,
        "EXEMPLAR_TRAINER_SECRET_ARN": outputs.trainer_secret_arn,
        "EXEMPLAR_SOURCE": str(ROOT),
        "MLFLOW_TRACKING_URI": plan.options.mlflow_tracking_uri,
        "PREFECT_API_URL": plan.options.prefect_api_url,
    }


def write_env_file(path: Path, variables: dict[str, str]) -> None:
    """Lines for a shell or for systemd's EnvironmentFile, readable by their owner only."""
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items() if value)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def _refuse_incomplete(options: DeployOptions) -> None:
    for value, flag, variable in (
        (options.prefect_api_url, "--prefect-api-url", "PREFECT_API_URL"),
        (options.mlflow_tracking_uri, "--mlflow-tracking-uri", "MLFLOW_TRACKING_URI"),
    ):
        if not value:
            raise InvalidRequest(
                f"{flag} is missing",
                fix=f"add it, or set {variable}; docs/aws.md shows how to run both servers",
            )

    if bool(options.jwt_issuer) != bool(options.jwt_audience):
        raise InvalidRequest(
            "--jwt-issuer and --jwt-audience belong together",
            fix="name both: an audience says which of the issuer's tokens are meant for this API",
        )


def _ask_prefect(url: str) -> None:
    """Whether the server answers and takes the credential, before anything is changed."""
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/work_pools/filter", json={}, headers=auth_headers(), timeout=20
        )
    except httpx.HTTPError as error:
        raise Unavailable(
            f"Prefect does not answer at {url}: {error}",
            fix="check PREFECT_API_URL (it ends in /api, or names a workspace of Prefect Cloud)",
        ) from error
    if not answer.is_success:
        raise Unavailable(
            f"Prefect at {url} answered {answer.status_code}",
            fix="check the address and PREFECT_API_KEY or PREFECT_API_AUTH_STRING",
        )


def _deploy_settings(plan: Plan, cache: Path) -> DeploySettings:
    options = plan.options
    fixed = DeploySettings(
        cache=cache,
        prefect_api_url=options.prefect_api_url,
        prefect_api_key=os.environ.get("PREFECT_API_KEY", ""),
        prefect_api_auth_string=os.environ.get("PREFECT_API_AUTH_STRING", ""),
        stack=options.stack,
        region=plan.account.region,
        platform=plan.account.platform,
        python_version=_python(plan.account),
        parameters=plan.parameters(),
    )
    if not options.allowed_origins:
        return fixed
    return replace(fixed, allowed_origins=options.allowed_origins)


def _python(account: Account) -> str:
    is_lambda = account.platform is Platform.LAMBDA
    return LAMBDA_PYTHON if is_lambda else f"{sys.version_info.major}.{sys.version_info.minor}"


def _apply_orchestration(
    options: DeployOptions, variables: dict[str, str], machines: dict[str, Any] | None
) -> None:
    """In a process of its own: it reads its settings from the environment."""
    with tempfile.TemporaryDirectory(prefix="exemplar-pool-") as folder:
        command = [sys.executable, "-m", "deployments.orchestration", "--apply"]
        command += [f"--trainings={options.trainings}"]
        if machines is None:
            command += ["--no-machines"]
        else:
            path = Path(folder) / "machines.json"
            path.write_text(json.dumps(machines))
            command += ["--machines", str(path)]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_APPLY_TIMEOUT_SECONDS,
            check=False,
        )
    if done.returncode:
        raise Unavailable(
            f"Prefect could not be set up: {done.stderr.strip()[-1_500:]}",
            fix="correct what it names, then deploy again; the stack stands",
        )


def _worker_commands(plan: Plan) -> tuple[str, ...]:
    kind = "ec2" if plan.network else "process"
    return (
        f"prefect worker start --pool {ORCHESTRATION} --type process",
        f"prefect worker start --pool {TRAINING} --type {kind}",
    )
