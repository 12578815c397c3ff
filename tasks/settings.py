"""Where this process runs and what its stack is called; read from `EXEMPLAR_*` variables."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What differs between the laptop and AWS. Nothing else in the code asks which it is."""

    model_config = SettingsConfigDict(env_prefix="EXEMPLAR_", extra="ignore")

    place: Literal["local", "aws"] = "local"
    stack: str = "exemplar"
    region: str = "us-east-1"
    bucket: str
    table: str
    inference_role_arn: str
    inference_layer_arn: str
    runtime: str = Field("python3.12", description="Lambda runtime of the inference functions")
    function_memory_mib: int = Field(1769, ge=128, le=10_240, description="1769 MiB is one vCPU")
    function_timeout_seconds: int = Field(30, ge=1, le=900)
    requests_per_minute: int = Field(
        600, ge=0, description="that one key may make, where a project says nothing; 0: any number"
    )
    reserved_concurrency: int = Field(
        10,
        ge=0,
        description="calls of one project's function at once, kept free for it; 0: any number",
    )
    function_url_base: str = Field(
        "", description="serve function URLs by path below this address, e.g. on a laptop"
    )
    zip_bundle_mib: int = Field(
        110, ge=0, le=240, description="largest in a zip; Lambda takes 250, the layer is 134"
    )
    image_bundle_mib: int = Field(
        1_024, ge=1, le=2_048, description="largest bundle in a container image"
    )
    image_builder: str = Field(
        "", description="CodeBuild project for larger bundles; empty refuses them"
    )
    image_repository: str = Field("", description="ECR repository that it pushes to")
    forward_role_arn: str = Field("", description="of functions that forward to an image")
    inference_boundary_arn: str = Field(
        "", description="upper bound of projects' inference roles; empty shares one role"
    )
    log_retention_days: int = Field(30, ge=1, description="of functions' logs")
    code_bucket: str = Field("", description="where training machines find what they install")
    trainer_boundary_arn: str = Field(
        "", description="upper bound of projects' training roles; empty makes no roles"
    )
    trainer_secret_arn: str = Field("", description="addresses and credentials for trainers")
    cache_dir: Path = Path.home() / ".cache" / "exemplar"
    weights_dir: Path | None = Field(None, description="looked into first for pretrained weights")
    hub_timeout_seconds: float = Field(20.0, gt=0, description="for pretrained weights")
    transfer_threads: int = Field(16, ge=1, le=128)
    training_deployment: str = "train/train"
    training_attempts: int = Field(
        4, ge=1, le=20, description="machines a training may lose before its job fails"
    )
    training_wait_seconds: float = Field(
        86_400, gt=0, description="for one attempt, from its start in the queue to its end"
    )
    training_devices: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="per machine; auto takes every GPU there is, or else one process"
    )
    training_nodes: int = Field(
        1, ge=1, description="machines that train together; more need torchrun's variables"
    )
    tuning_storage: str = Field(
        "", description="URL of a database for studies; empty keeps each with its training"
    )
    tuning_cluster: str = Field(
        "", description="Ray for trials: local, auto, host:port or ray://host:port; empty for none"
    )
    training_poll_seconds: float = Field(0.5, gt=0)
    job_budget_dollars: float | None = Field(
        None, gt=0, description="most one job's training may cost, by list prices"
    )
    user_budget_dollars: float | None = Field(
        None, gt=0, description="most a user's trainings may cost in a calendar month (UTC)"
    )
    approval_hours: float = Field(
        168, gt=0, description="how long a release waits for a person where one is asked"
    )
    deletion_wait_seconds: float = Field(
        900.0, gt=0, description="for a deleted project's flow runs to stop by themselves"
    )
    deletion_deployment: str = "delete/delete"
    tracking_store: str = Field(
        "", description="MLflow's own database, so that deleted runs leave it, too"
    )
    kept_versions: int = Field(5, ge=2, description="promoted Lambda versions kept per project")
    watch_poll_seconds: float = Field(
        5.0, gt=0, description="between looks at what a new version answers"
    )

    @property
    def ingest_function(self) -> str:
        """The function that starts pipelines; the stack's template names it so."""
        return f"{self.stack}-ingest"

    @property
    def max_bundle_mib(self) -> int:
        """Largest bundle that can be served."""
        return self.image_bundle_mib if self.image_builder else self.zip_bundle_mib


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return Settings()  # type: ignore[call-arg]  # the values come from the environment
