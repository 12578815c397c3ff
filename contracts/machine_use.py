"""Which machines have worked for a flow run, from when to when: written by the worker as labels of
the flow run, read by whoever bills.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from contracts.prices import machine_dollars

_LABEL: Final = "exemplar.machine."


@dataclass(frozen=True, slots=True)
class MachineUse:
    """One machine's life; times are seconds since the epoch, `ended_at` is None while it lives."""

    instance_id: str
    instance_type: str
    is_spot: bool
    disk_gb: int
    started_at: float
    ended_at: float | None = None

    @classmethod
    def of(cls, instance: Mapping[str, Any], disk_gb: int) -> "MachineUse | None":
        """From EC2's description of an instance; None for one that says too little."""
        if "InstanceType" not in instance or "LaunchTime" not in instance:
            return None
        return cls(
            instance_id=instance["InstanceId"],
            instance_type=instance["InstanceType"],
            is_spot=instance.get("InstanceLifecycle") == "spot",
            disk_gb=disk_gb,
            started_at=instance["LaunchTime"].timestamp(),
        )

    @property
    def label(self) -> dict[str, bool | int | float | str]:
        """The label that says all this; a later one of the same machine replaces it."""
        values = asdict(self)
        instance_id = values.pop("instance_id")
        return {_LABEL + instance_id: json.dumps(values)}

    def seconds(self, now: float) -> float:
        """How long it has lived."""
        return max((self.ended_at or now) - self.started_at, 0.0)

    def dollars(self, now: float) -> float | None:
        """By list prices; None for a type that has none."""
        return machine_dollars(
            self.instance_type, self.seconds(now), is_spot=self.is_spot, disk_gb=self.disk_gb
        )


def from_labels(labels: Mapping[str, Any]) -> list[MachineUse]:
    """The machines a flow run's labels name, oldest first."""
    found = [
        MachineUse(instance_id=name.removeprefix(_LABEL), **json.loads(str(value)))
        for name, value in labels.items()
        if name.startswith(_LABEL)
    ]
    return sorted(found, key=lambda use: use.started_at)


def total_dollars(uses: Iterable[MachineUse], now: float) -> float | None:
    """What they have cost together; None when one of them has no list price."""
    costs = [use.dollars(now) for use in uses]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None
