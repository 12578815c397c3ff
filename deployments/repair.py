"""Stacks that lost resources, and data that lost its stack: made whole without touching data."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from contracts.errors import ExemplarError
from deployments.stack import Stack
from deployments.template import IDENTIFIERS, Resource, Template

if TYPE_CHECKING:
    from boto3.session import Session

log = logging.getLogger(__name__)

_ABSENT: Final = {
    "404",
    "NoSuchBucket",
    "NotFoundException",
    "ResourceNotFound",
    "ResourceNotFoundException",
}


def is_absence(error: ClientError) -> bool:
    """Whether a service said that the thing does not exist."""
    return error.response["Error"]["Code"] in _ABSENT


@dataclass(frozen=True, slots=True)
class Probe:
    """Asks a resource's own service whether it exists."""

    session: "Session"
    region: str

    def missing(self, resources: Iterable[Resource]) -> list[Resource]:
        """Those that are certainly gone; types without a question below count as there."""
        questions = self._questions()
        return [
            resource
            for resource in resources
            if resource.type in questions
            and not _answers(questions[resource.type], resource.physical_id)
        ]

    def _questions(self) -> dict[str, Callable[[str], object]]:
        s3 = self.session.client("s3", region_name=self.region)
        table = self.session.client("dynamodb", region_name=self.region)
        function = self.session.client("lambda", region_name=self.region)
        api = self.session.client("apigatewayv2", region_name=self.region)
        return {
            "AWS::S3::Bucket": lambda name: s3.head_bucket(Bucket=name),
            "AWS::DynamoDB::Table": lambda name: table.describe_table(TableName=name),
            "AWS::Lambda::Function": lambda name: function.get_function(FunctionName=name),
            "AWS::Lambda::LayerVersion": lambda arn: function.get_layer_version_by_arn(Arn=arn),
            "AWS::ApiGatewayV2::Api": lambda api_id: api.get_api(ApiId=api_id),
        }


def _answers(ask: Callable[[str], object], physical_id: str) -> bool:
    try:
        ask(physical_id)
    except ClientError as error:
        if not is_absence(error):
            raise
        return False
    return True


def prepare(stack: Stack, parameters: dict[str, str], probe: Probe, account: str) -> bool:
    """Make the stack one that an update completes; return whether anything was done."""
    if stack.settle():
        return _drop_missing(stack, parameters, probe)
    return _adopt_data(stack, parameters, probe, account)


def _drop_missing(stack: Stack, parameters: dict[str, str], probe: Probe) -> bool:
    """Make the stack forget what no longer exists, and what refers to it, so it is made anew.

    CloudFormation alone would not notice: it compares templates, not resources.
    """
    missing = {resource.logical_id for resource in probe.missing(stack.resources())}
    if not missing:
        return False
    template = Template.load()
    dropped = template.dependents(missing)
    if at_risk := dropped & {data.logical_id for data in template.retained()} - missing:
        raise ExemplarError(
            f"{sorted(missing)} are gone and {sorted(at_risk)} refer to them",
            fix="this template cannot be repaired by itself; restore the resources by hand",
        )
    log.warning("%s no longer exist and are made again", ", ".join(sorted(missing)))
    stack.apply(template.only(set(template.resources) - dropped), parameters)
    return True


def _adopt_data(stack: Stack, parameters: dict[str, str], probe: Probe, account: str) -> bool:
    """Found the stack on the bucket and table that an earlier one of its name left behind."""
    template = Template.load()
    names = {"AWS::StackName": stack.name, "AWS::AccountId": account, "AWS::Region": probe.region}
    data = template.retained(names)
    gone = probe.missing(data)
    kept = [resource for resource in data if resource not in gone]
    if not kept:
        return False
    log.warning("taking over %s", ", ".join(resource.physical_id for resource in kept))
    stack.adopt(
        template.only({resource.logical_id for resource in kept}, bare=True),
        parameters,
        [
            {
                "ResourceType": resource.type,
                "LogicalResourceId": resource.logical_id,
                "ResourceIdentifier": {IDENTIFIERS[resource.type]: resource.physical_id},
            }
            for resource in kept
        ],
    )
    return True
