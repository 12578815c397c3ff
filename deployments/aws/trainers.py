"""What training machines are made from: a pool's settings, a release to install, a secret."""

import json
import os
import shlex
from typing import Any, Final

from botocore.exceptions import ClientError

from deployments.aws.account import Account
from deployments.aws.options import DeployOptions
from deployments.deploy import StackOutputs
from deployments.repair import is_absence
from deployments.trainer_release import MACHINE_PYTHON

# Read from the deployer's environment, kept in one secret, and read by the machine itself.
SECRETS: Final = (
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
)


def secrets_at_hand() -> dict[str, str]:
    """The variables that are set here."""
    return {name: os.environ[name] for name in SECRETS if os.environ.get(name)}


def put_secrets(account: Account, name: str, values: dict[str, str]) -> str:
    """Fill a secret unless it says the same already; return its ARN."""
    client = account.client("secretsmanager")
    wanted = json.dumps(values, sort_keys=True)
    try:
        found = client.get_secret_value(SecretId=name)
        if found["SecretString"] == wanted:
            return str(found["ARN"])
    except ClientError as error:
        if not is_absence(error):
            raise
    return str(client.put_secret_value(SecretId=name, SecretString=wanted)["ARN"])


def pool_settings(
    options: DeployOptions, outputs: StackOutputs, subnets: tuple[str, ...], release: str
) -> dict[str, Any]:
    """The training pool's form, filled in for this stack."""
    address = shlex.quote(release)
    return {
        "launch_template_id": outputs.trainer_template_id,
        "subnet_ids": list(subnets),
        "instance_types": list(options.instance_types),
        "market": options.market,
        "max_lifetime_minutes": options.max_training_hours * 60,
        "disk_gb": 100,  # the launch template's, for the bill
        "python": MACHINE_PYTHON,
        "setup_script": f"aws s3 cp --only-show-errors {address}/setup.sh /tmp/exemplar-setup.sh\n"
        f"bash /tmp/exemplar-setup.sh {address}",
        "secret_env": {
            name: f"{outputs.trainer_secret_arn}:{name}::" for name in secrets_at_hand()
        },
    }
