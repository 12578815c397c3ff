"""The alias `live` of a project's function: which version answers, or which two share the calls."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

LIVE = "live"


@dataclass(frozen=True, slots=True)
class Alias:
    """What is behind the endpoint; `shares` are of the calls, 0..1, by further version."""

    version: str
    shares: dict[str, float] = field(default_factory=dict)
    revision: str = ""

    @property
    def versions(self) -> set[str]:
        """All that may be called."""
        return {self.version, *self.shares}


def read(client: "LambdaClient", function: str) -> Alias | None:
    """None where nothing has been released."""
    try:
        found = client.get_alias(FunctionName=function, Name=LIVE)
    except client.exceptions.ResourceNotFoundException:
        return None
    shares = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    return Alias(found["FunctionVersion"], dict(shares), found.get("RevisionId", ""))


def point(
    client: "LambdaClient",
    function: str,
    version: str,
    shares: dict[str, float] | None = None,
    seen: Alias | None = None,
) -> None:
    """Let this version answer; all calls that `shares` gives to no other one.

    With `seen` it fails (`PreconditionFailedException`) if the alias is not as it was then.
    """
    guard = {"RevisionId": seen.revision} if seen and seen.revision else {}
    # Weights that are not named would stay as they are.
    client.update_alias(
        FunctionName=function,
        Name=LIVE,
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": shares or {}},
        **guard,
    )
