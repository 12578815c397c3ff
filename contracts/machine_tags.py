"""Tags of a training machine: who it works for, and when it has to be gone."""

from collections.abc import Mapping
from typing import Any, Final

PREFIX: Final = "exemplar:"
STACK: Final = f"{PREFIX}stack"  # whose machine it is; nobody ends another stack's
POOL: Final = f"{PREFIX}pool"
FLOW_RUN: Final = f"{PREFIX}flow-run"
ATTEMPT: Final = f"{PREFIX}attempt"  # the flow run's run_count at launch
DEADLINE: Final = f"{PREFIX}deadline"  # seconds since the epoch; later than that it has leaked
# From the flow run's parameters of these names to tags.
FROM_PARAMETERS: Final = {
    "user": f"{PREFIX}user",
    "project": f"{PREFIX}project",
    "job_id": f"{PREFIX}job",
}


def of(instance: Mapping[str, Any]) -> dict[str, str]:
    """The tags in EC2's description of an instance."""
    return {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """In the form of EC2's requests."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]
