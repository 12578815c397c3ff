"""Whether an endpoint answers a request: who asks, and how often in this minute."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from contracts.http_event import part_of
from contracts.identity import Project
from lambdas.function_url import key_of
from serving.access import KeyCheck
from serving.rate_limit import RateLimit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEPT_SECONDS = 3_600  # then the table may forget a minute


def admit(event: Mapping[str, Any], keys: KeyCheck, rates: Callable[[], RateLimit]) -> None:
    """Raise `Unauthorized`, `Unavailable` or `RateLimited`; without a limit nothing is counted."""
    caller = keys.check(key_of(event), signer_of(event))
    default = int(os.environ.get("EXEMPLAR_REQUESTS_PER_MINUTE", "0"))
    if limit := keys.requests_per_minute or default:
        rates().check(caller, limit)


def signer_of(event: Mapping[str, Any]) -> str:
    """Whom AWS has let through by signature, which Lambda writes here and nobody else can."""
    iam = part_of(part_of(part_of(event, "requestContext"), "authorizer"), "iam")
    return str(iam.get("userArn") or iam.get("accessKey") or "")


def counted_together(
    client: "DynamoDBClient", table: str, project: Project
) -> Callable[[str, int, int], int]:
    """A count of one caller's requests in a minute that all containers share."""

    def add(caller: str, minute: int, requests: int) -> int:
        answer = client.update_item(
            TableName=table,
            Key={"pk": {"S": f"RATE#{project.slug}#{caller}"}, "sk": {"S": f"MINUTE#{minute}"}},
            UpdateExpression="ADD requests :more SET expires_at = :end",
            ExpressionAttributeValues={
                ":more": {"N": str(requests)},
                ":end": {"N": str(minute * 60 + _KEPT_SECONDS)},
            },
            ReturnValues="UPDATED_NEW",
        )
        return int(answer["Attributes"]["requests"]["N"])

    return add
