"""Ends training machines that outlived their deadline, whether or not Prefect is there to ask.

Called every few minutes; calling it twice at once changes nothing.
"""

import json
import os
import time
from typing import Any

import boto3

from contracts import machine_tags


def handler(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """EventBridge schedule. The printed line is what the alarm's metric filter reads."""
    longest_seconds = 3_600 * float(os.environ["EXEMPLAR_MAX_TRAINING_HOURS"])
    result = reap(boto3.client("ec2"), os.environ["EXEMPLAR_STACK"], longest_seconds, time.time())
    print(json.dumps(result))
    return result


def reap(client: Any, stack: str, longest_seconds: float, now: float) -> dict[str, Any]:
    """Terminate overdue machines of one stack; return how many there were, and which."""
    machines = list(machine_tags.machines(client, stack))
    overdue = [
        str(machine["InstanceId"])
        for machine in machines
        if deadline(machine, longest_seconds) <= now
    ]
    machine_tags.end(client, overdue)
    return {"overdue": len(overdue), "alive": len(machines) - len(overdue), "ended": overdue}


def deadline(machine: Any, longest_seconds: float) -> float:
    """When a machine has to be gone, in seconds since the epoch.

    Its tag may shorten its life but not prolong it beyond `longest_seconds` after its launch; a
    missing or unreadable tag leaves just that.
    """
    latest = float(machine["LaunchTime"].timestamp()) + longest_seconds
    tags = machine_tags.of(machine)
    try:
        return min(latest, float(int(tags[machine_tags.DEADLINE])))
    except (KeyError, ValueError):
        return latest
