"""What a pool of type `ec2` asks of its operator; Prefect's UI makes a form of it."""

from typing import Any, Literal

from prefect.workers.base import BaseJobConfiguration, BaseVariables
from prefect_aws import AwsCredentials
from pydantic import BaseModel, Field, PrivateAttr

Market = Literal["spot-then-on-demand", "spot", "on-demand"]

# The base class forwards these of the worker's own environment. User data is readable by everyone
# with ec2:DescribeInstanceAttribute, so neither secrets nor the worker's own settings go there.
_WORKERS_OWN = (
    "PREFECT_API_KEY",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_HOME",
    "PREFECT_WORKER_",
    "PREFECT_SERVER_",
    "PREFECT_DEPLOYMENTS_",
)


class Machine(BaseModel):
    """The machine that one flow run gets, and how long it may live."""

    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials,
        title="AWS credentials",
        description="Leave empty to use the worker's own role.",
    )
    image_id: str = Field(
        default="",
        title="AMI",
        description="An image with Python and the project, or a plain one with a set-up script. "
        "Leave empty to use the launch template's.",
        pattern=r"^(ami-[0-9a-f]+)?$",
    )
    instance_types: list[str] = Field(
        default=["g4dn.xlarge"],
        title="Instance types",
        description="Tried in this order, each in every subnet, before the next market.",
        min_length=1,
    )
    market: Market = Field(
        default="spot-then-on-demand",
        title="Market",
        description="Spot costs about a third; a run that is interrupted goes on elsewhere.",
    )
    subnet_ids: list[str] = Field(
        default=[],
        title="Subnets",
        description="One per availability zone; none: the default subnet.",
    )
    security_group_ids: list[str] = Field(default=[], title="Security groups")
    instance_profile: str = Field(
        default="",
        title="Instance profile",
        description="Name; {user} and {project} are filled in from the flow run's parameters.",
    )
    launch_template_id: str = Field(
        default="",
        title="Launch template",
        description="An id; its newest version counts. It says what the disk is like.",
    )
    disk_gb: int = Field(
        default=30,
        ge=8,
        le=16_384,
        title="Disk (GB)",
        description="Encrypted. With a launch template: as large as its disk, for the bill.",
    )
    python: str = Field(
        default="/opt/exemplar/bin/python",
        title="Python",
        description="The interpreter on the machine that has Prefect and the project.",
    )
    setup_script: str = Field(
        default="", title="Set-up script", description="Shell commands run before the flow run."
    )
    secret_env: dict[str, str] = Field(
        default={},
        title="Secrets",
        description="Variable to the ARN of its value in Secrets Manager, or ARN:KEY:: for one key "
        "of a JSON secret; read on the machine.",
    )
    tags: dict[str, str] = Field(default={}, title="Further tags")
    max_lifetime_minutes: int = Field(
        default=360, ge=1, le=10_080, title="Longest life (minutes)", description="Then it ends."
    )
    max_dollars: float | None = Field(
        default=None,
        gt=0,
        title="Most a run may cost (dollars)",
        description="By list prices, all its machines together: the last one ends in time.",
    )
    poll_seconds: float = Field(
        default=15.0, ge=0.1, title="Poll interval (seconds)", description="Of instance states."
    )
    max_interruptions: int = Field(
        default=3, ge=0, title="Interruptions", description="After so many the run has crashed."
    )
    capacity_wait_minutes: float = Field(
        default=30.0,
        ge=0,
        title="Wait for capacity (minutes)",
        description="How long a run is put back while EC2 has none of the instance types.",
    )


class EC2Variables(BaseVariables, Machine):
    """The form."""


class EC2JobConfiguration(BaseJobConfiguration, Machine):
    """The form's values for one flow run."""

    _set_on_purpose: set[str] = PrivateAttr(default_factory=set)

    def prepare_for_flow_run(self, *args: Any, **kwargs: Any) -> None:
        """Fill in the run's environment, without what is the worker's own."""
        self._set_on_purpose = set(self.env)
        super().prepare_for_flow_run(*args, **kwargs)
        self.env = {
            name: value
            for name, value in self.env.items()
            if name in self._set_on_purpose or not name.startswith(_WORKERS_OWN)
        }
        # SIGTERM puts the run back into the queue instead of ending it.
        self.env.setdefault("PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR", "reschedule")
