"""The pool that training machines come from, with this system's settings filled into the form."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from contracts.errors import InvalidRequest
from deployments.ec2.configuration import EC2Variables
from deployments.ec2.worker import EC2Worker
from deployments.trainer_release import MACHINE_SOURCE
from tasks.settings import Settings

# Of `Settings`: what a training needs to know of its system. The rest is the worker's own business.
_ON_THE_MACHINE: Final = (
    "place",
    "stack",
    "region",
    "bucket",
    "table",
    "inference_role_arn",
    "inference_layer_arn",
    "runtime",
    "tuning_cluster",
)


def machine_environment(settings: Settings, mlflow_tracking_uri: str) -> dict[str, str]:
    """Variables of every flow run on a machine; none is secret. Prefect adds its API's address."""
    own = {f"EXEMPLAR_{name.upper()}": str(getattr(settings, name)) for name in _ON_THE_MACHINE}
    return own | {
        "AWS_DEFAULT_REGION": settings.region,
        "EXEMPLAR_SOURCE": MACHINE_SOURCE,
        "MLFLOW_TRACKING_URI": mlflow_tracking_uri,
    }


def base_job_template(values: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The form of a pool of type `ec2` with defaults of its own.

    Raises `InvalidRequest` for a value the form has no field for, or that its field does not take.
    """
    template = EC2Worker.get_default_base_job_template()
    fields = template["variables"]["properties"]
    if unknown := sorted(set(values) - set(fields)):
        raise InvalidRequest(
            f"a pool of machines has no setting {unknown[0]!r}",
            fix=f"use some of: {', '.join(sorted(fields))}",
        )
    try:
        EC2Variables.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(
            f"the pool's setting {first['loc'][0]!r} is wrong: {first['msg']}",
            fix="see docs/ec2-worker.md for what each setting takes",
        ) from error
    for name, value in values.items():
        fields[name]["default"] = value
    fields["env"]["default"] = dict(environment)
    template["variables"]["required"] = [
        name for name in template["variables"].get("required", []) if name not in values
    ]
    return template
