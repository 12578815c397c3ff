"""Signing with the AWS credentials at hand, or with dummies for an endpoint on this machine."""

from contracts.errors import Unauthorized
from deployments.connection import is_loopback


def signed_here(url: str, content: bytes, headers: dict[str, str]) -> dict[str, str]:
    """Headers of a POST with its signature. Raises `Unauthorized` without credentials."""
    import boto3  # most commands need none of it
    from botocore.credentials import Credentials

    from lambdas.signing import signed

    if is_loopback(url):
        return signed(url, content, headers, Credentials("test", "test"), "us-east-1")
    session = boto3.Session()
    credentials = session.get_credentials()
    if credentials is None:
        raise Unauthorized(
            "this endpoint asks for a signature, and there are no AWS credentials",
            fix="log in, e.g. with `aws sso login`, or set AWS_PROFILE",
        )
    return signed(url, content, headers, credentials, session.region_name or "")
