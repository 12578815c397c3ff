"""Runs one flow run on its machine: `python -m deployments.ec2.on_box -- COMMAND`.

It hands a spot interruption or SIGTERM on to the run, which then goes back into the queue, and
ends a run that outlives its machine's lifetime. Standard library and Prefect only.
"""

import argparse
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Final
from uuid import UUID

_METADATA: Final = "http://169.254.169.254"
_POLL_SECONDS: Final = 5.0
# Of the two minutes that a spot notice leaves.
_GRACE_SECONDS: Final = 90.0
_TIMEOUT_SECONDS: Final = 2.0
_ARN_PARTS: Final = 7  # arn:partition:secretsmanager:region:account:secret:name


@dataclass
class Metadata:
    """The instance metadata service, version 2; nobody answers where there is none."""

    endpoint: str = field(
        default_factory=lambda: os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", _METADATA)
    )

    def is_interrupted(self) -> bool:
        """Whether EC2 has announced that it takes this machine back."""
        return self._get("meta-data/spot/instance-action") is not None

    def _get(self, path: str) -> bytes | None:
        try:
            token = self._call("api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
            return self._call(path, "GET", {"X-aws-ec2-metadata-token": token.decode()})
        except (urllib.error.URLError, OSError, ValueError):
            return None

    def _call(self, path: str, method: str, headers: dict[str, str]) -> bytes:
        url = f"{self.endpoint.rstrip('/')}/latest/{path}"
        request = urllib.request.Request(url, headers=headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())


@dataclass
class Supervised:
    """The flow run's process and what may end it from outside."""

    process: "subprocess.Popen[bytes]"
    deadline: float  # monotonic
    is_interrupted: Callable[[], bool]
    was_told: bool = False

    def wait(self, poll_seconds: float = _POLL_SECONDS) -> int:
        """Return the exit status; 124 when the lifetime was over."""
        while (status := self._exit_status(poll_seconds)) is None:
            if self.was_told or self.is_interrupted():
                self._end(signal.SIGTERM, _GRACE_SECONDS)
            elif time.monotonic() > self.deadline:
                self._end(signal.SIGKILL, 0)
                return 124
        return status

    def _exit_status(self, seconds: float) -> int | None:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def _end(self, number: signal.Signals, grace_seconds: float) -> None:
        """The supervisor that Prefect starts passes SIGTERM on; SIGKILL is for all of them."""
        if number is signal.SIGTERM:
            self.process.terminate()
        if self._exit_status(grace_seconds) is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(command: list[str], lifetime_seconds: float, poll_seconds: float = _POLL_SECONDS) -> int:
    """Start the command, watch over it, and return its exit status."""
    # A group of its own, so that whatever it starts can be ended with it. SIGINT as a shell
    # leaves it to its children would be ignored, and Prefect turns SIGTERM into SIGINT.
    process = subprocess.Popen(
        command,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    supervised = Supervised(process, time.monotonic() + lifetime_seconds, Metadata().is_interrupted)

    def tell(_number: int, _frame: FrameType | None) -> None:
        supervised.was_told = True

    signal.signal(signal.SIGTERM, tell)
    return supervised.wait(poll_seconds)


def read_secrets(wanted: dict[str, str]) -> dict[str, str]:
    """Variables whose values lie in Secrets Manager, read with the machine's own role.

    Where they lie is written as for ECS: an ARN, or `ARN:KEY::` for one key of a JSON secret.
    """
    if not wanted:
        return {}
    import boto3

    client = boto3.client("secretsmanager")
    texts: dict[str, str] = {}
    found = {}
    for name, place in wanted.items():
        parts = place.split(":")
        arn, key = ":".join(parts[:_ARN_PARTS]), "".join(parts[_ARN_PARTS : _ARN_PARTS + 1])
        if arn not in texts:
            texts[arn] = client.get_secret_value(SecretId=arn)["SecretString"]
        found[name] = json.loads(texts[arn])[key] if key else texts[arn]
    return found


def report_too_long(lifetime_seconds: float) -> None:
    """Say why the run has ended: whoever waits for it must not take this for a lost machine."""
    from prefect.client.orchestration import get_client
    from prefect.states import Failed

    minutes = f"{lifetime_seconds / 60:.0f} minutes"
    message = f"the run took longer than its time limit or its budget allow ({minutes})"
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(
            UUID(os.environ["PREFECT__FLOW_RUN_ID"]),
            Failed(message=message),
            force=True,
        )


def main() -> int:
    """Read the secrets, run, and report what Prefect cannot know."""
    parser = argparse.ArgumentParser(prog="python -m deployments.ec2.on_box", description=__doc__)
    parser.add_argument("--lifetime-seconds", type=float, required=True)
    parser.add_argument("--poll-seconds", type=float, default=_POLL_SECONDS)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    os.environ |= read_secrets(json.loads(os.environ.pop("EXEMPLAR_SECRET_ENV", "{}")))
    status = run(arguments.command, arguments.lifetime_seconds, arguments.poll_seconds)
    if status == 124:
        report_too_long(arguments.lifetime_seconds)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
