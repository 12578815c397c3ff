"""A function's log group, made before its first line: it expires, and no function makes one."""

from contextlib import suppress

from tasks import clients
from tasks.settings import settings


def ensure_log_group(function: str) -> None:
    """Have the group, with the stack's retention. May be repeated."""
    logs, name = clients.logs(), f"/aws/lambda/{function}"
    with suppress(logs.exceptions.ResourceAlreadyExistsException):
        logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=settings().log_retention_days)
