"""A deployed stack, and clients as anybody who has a role or policy in it."""

import json
from dataclasses import dataclass, field
from typing import Any

import boto3

from deployments.deploy import StackOutputs

STACK, REGION = "shop", "us-east-1"
ANYBODY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


@dataclass
class Account:
    """As the account's owner unless somebody is named."""

    endpoint: str
    session: boto3.Session
    outputs: StackOutputs
    resources: dict[str, str]  # physical ids by logical ones
    code: bytes
    credentials: dict[str, dict[str, str]] = field(default_factory=dict)
    clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, who: str = "") -> Any:
        """One for each service and person, as making one takes a while."""
        if (service, who) not in self.clients:
            own = self.credentials[who] if who else {}
            self.clients[service, who] = self.session.client(
                service, endpoint_url=self.endpoint, **own
            )
        return self.clients[service, who]

    def assume(self, who: str, role: str) -> None:
        """As the service that the role trusts would."""
        iam = self.client("iam")
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=ANYBODY)
        arn = iam.get_role(RoleName=role)["Role"]["Arn"]
        got = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        self.credentials[who] = {
            "aws_access_key_id": got["AccessKeyId"],
            "aws_secret_access_key": got["SecretAccessKey"],
            "aws_session_token": got["SessionToken"],
        }

    def make_role(self, path: str, name: str, boundary: str, policy: str = "") -> None:
        """One of the stack's, without the code that makes a project's."""
        self.client("iam").create_role(
            RoleName=name,
            Path=f"/{STACK}/{path}/",
            AssumeRolePolicyDocument=ANYBODY,
            PermissionsBoundary=self.resources[boundary],
        )
        if policy:
            self.client("iam").put_role_policy(
                RoleName=name, PolicyName="all", PolicyDocument=policy
            )

    def role_arn(self, name: str) -> str:
        """Of a role by logical id, or by its name below the stack's path."""
        known = self.resources.get(name, name.rpartition("/")[2])
        return str(self.client("iam").get_role(RoleName=known)["Role"]["Arn"])

    def function(self, name: str, role: str) -> dict[str, Any]:
        """What makes a function."""
        return {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": role,
            "Handler": "main.handler",
            "Code": {"ZipFile": self.code},
        }

    def environment(self, who: str = "") -> dict[str, str]:
        """Variables of a worker that has somebody's credentials."""
        own = self.credentials.get(who, {})
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": own.get("aws_access_key_id", "test"),
            "AWS_SECRET_ACCESS_KEY": own.get("aws_secret_access_key", "test"),
            "AWS_SESSION_TOKEN": own.get("aws_session_token", ""),
            "EXEMPLAR_PLACE": "aws",
            "EXEMPLAR_STACK": STACK,
            "EXEMPLAR_BUCKET": self.outputs.bucket,
            "EXEMPLAR_CODE_BUCKET": self.outputs.code_bucket,
            "EXEMPLAR_TABLE": self.outputs.table,
            "EXEMPLAR_INFERENCE_ROLE_ARN": self.outputs.inference_role_arn,
            "EXEMPLAR_INFERENCE_LAYER_ARN": self.outputs.inference_layer_arn,
            "EXEMPLAR_INFERENCE_BOUNDARY_ARN": self.outputs.inference_boundary_arn,
            "EXEMPLAR_TRAINER_BOUNDARY_ARN": self.outputs.trainer_boundary_arn,
            "EXEMPLAR_TRAINER_SECRET_ARN": self.outputs.trainer_secret_arn,
        }
