"""Bring a stack to the state of this source tree, on AWS or on the local emulator alike."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from contracts.errors import InvalidName
from deployments.code_bucket import CodeBucket
from deployments.packaging import Builder, Platform
from deployments.repair import Probe, prepare
from deployments.stack import Stack
from deployments.stack_events import EventFeed, Say
from deployments.template import TEMPLATE_FILE, Template

if TYPE_CHECKING:
    from boto3.session import Session

# A bucket is named {stack}-data-{account}-{region} and may have 63 characters. Names that begin
# with "url" are taken for function URLs by the local emulator.
_STACK_NAME: Final = re.compile(r"(?!url)[a-z][a-z0-9-]{0,18}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """What to deploy. Raises `InvalidName` for a stack name that its resources could not bear."""

    cache: Path
    prefect_api_url: str
    stack: str = "exemplar"
    region: str = "us-east-1"
    platform: Platform = Platform.LOCAL
    python_version: str = f"{sys.version_info.major}.{sys.version_info.minor}"
    allowed_origins: tuple[str, ...] = ("http://127.0.0.1:8000",)
    pipeline_deployment: str = "pipeline/pipeline"
    prefect_api_key: str = field(default="", repr=False)
    prefect_api_auth_string: str = field(default="", repr=False)
    parameters: dict[str, str] = field(default_factory=dict)  # others of the template's
    timeout_seconds: float = 900.0

    def __post_init__(self) -> None:
        if not _STACK_NAME.fullmatch(self.stack):
            raise InvalidName(
                f"stack name {self.stack!r} may hold only a-z, 0-9 and '-', 2 to 20 characters, "
                "and must begin with a letter, but not with 'url'",
                fix="use a name such as 'exemplar'",
            )


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """Where everything is. `api_url` is empty of a stage: calls go to `{api_url}/v1/…`."""

    stack: str
    bucket: str
    table: str
    code_bucket: str
    api_id: str
    api_url: str
    inference_role_arn: str
    inference_layer_arn: str
    ingest_function: str
    deployer_policy_arn: str
    tracking_policy_arn: str
    inference_boundary_arn: str
    log_retention_days: str
    trainer_template_id: str = ""  # these are empty for a stack that starts no machines
    trainer_security_group_id: str = ""
    trainer_boundary_arn: str = ""
    trainer_secret_arn: str = ""
    training_policy_arn: str = ""
    image_builder: str = ""  # these are empty for a stack without large models
    image_repository: str = ""
    forward_role_arn: str = ""
    large_model_policy_arn: str = ""
    has_changed: bool = False


def deploy(settings: DeploySettings, session: "Session", say: Say | None = None) -> StackOutputs:
    """Create, update or repair the stack; calling it again is quick and changes nothing.

    `say` hears of every resource as CloudFormation comes to it.
    Raises `ExemplarError` with the reasons of the resources that failed.
    """
    builder = Builder(settings.cache, settings.platform, settings.python_version)
    account = session.client("sts", region_name=settings.region).get_caller_identity()["Account"]
    code = CodeBucket.ensure(session, settings.stack, account, settings.region)
    parameters = _parameters(
        settings,
        code.name,
        code.upload(builder.control_zip()),
        code.upload(builder.site_zip()),
        code.upload(builder.inference_layer()),
    )
    client = session.client("cloudformation", region_name=settings.region)
    feed = EventFeed(client, settings.stack, say) if say else None
    if feed:
        feed.skip()  # what earlier deployments did is no news
    stack = Stack(client, settings.stack, settings.timeout_seconds, feed, code.store_template)
    is_repaired = prepare(stack, parameters, Probe(session, settings.region), account)
    has_changed = stack.apply(TEMPLATE_FILE.read_text(encoding="utf-8"), parameters)
    outputs = _outputs(stack, code.name, has_changed=has_changed or is_repaired)
    _ensure_cors(session.client("apigatewayv2", region_name=settings.region), outputs, settings)
    return outputs


def _parameters(
    settings: DeploySettings, code_bucket: str, control: str, site: str, layer: str
) -> dict[str, str]:
    return {
        "CodeBucket": code_bucket,
        "ControlCodeKey": control,
        "SiteCodeKey": site,
        "LayerKey": layer,
        "Runtime": f"python{settings.python_version}",
        "PrefectApiUrl": settings.prefect_api_url,
        "PrefectApiKey": settings.prefect_api_key,
        "PrefectApiAuthString": settings.prefect_api_auth_string,
        "PipelineDeployment": settings.pipeline_deployment,
        "AllowedOrigins": ",".join(settings.allowed_origins),
        "TrainingVpc": "",
    } | settings.parameters


def _ensure_cors(api: Any, outputs: StackOutputs, settings: DeploySettings) -> None:
    """Set the API's CORS rules where CloudFormation lost them, as the local emulator's does."""
    if api.get_api(ApiId=outputs.api_id).get("CorsConfiguration", {}).get("AllowOrigins"):
        return
    rules = Template.load().resources["HttpApi"]["Properties"]["CorsConfiguration"]
    rules = rules | {"AllowOrigins": list(settings.allowed_origins)}
    api.update_api(ApiId=outputs.api_id, CorsConfiguration=rules)


def _outputs(stack: Stack, code_bucket: str, *, has_changed: bool) -> StackOutputs:
    values = stack.outputs()
    return StackOutputs(
        stack=stack.name,
        bucket=values["BucketName"],
        table=values["TableName"],
        code_bucket=code_bucket,
        api_id=values["ApiId"],
        api_url=values["ApiUrl"],
        inference_role_arn=values["InferenceRoleArn"],
        inference_layer_arn=values["InferenceLayerArn"],
        ingest_function=values["IngestFunctionName"],
        deployer_policy_arn=values["DeployerPolicyArn"],
        tracking_policy_arn=values["TrackingPolicyArn"],
        inference_boundary_arn=values["InferenceBoundaryArn"],
        log_retention_days=values["LogRetentionDays"],
        trainer_template_id=values.get("TrainerTemplateId", ""),
        trainer_security_group_id=values.get("TrainerSecurityGroupId", ""),
        trainer_boundary_arn=values.get("TrainerBoundaryArn", ""),
        trainer_secret_arn=values.get("TrainerSecretArn", ""),
        training_policy_arn=values.get("TrainingPolicyArn", ""),
        image_builder=values.get("ImageBuilder", ""),
        image_repository=values.get("ImageRepository", ""),
        forward_role_arn=values.get("ForwardRoleArn", ""),
        large_model_policy_arn=values.get("LargeModelPolicyArn", ""),
        has_changed=has_changed,
    )
