"""What a training runs on: how many processes, on which machines."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from contracts.errors import InvalidRequest
from models.torchlibs import torch

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Hardware:
    """`devices` processes on each of `nodes` machines; each process trains on one device.

    The default is one process, on the device that Lightning finds.
    """

    devices: int = 1  # per node
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    nodes: int = 1
    node_rank: int = 0  # 0..nodes-1; node 0 keeps the checkpoints
    main_address: str = LOOPBACK  # of node 0, as the other nodes reach it
    main_port: int = 0  # on node 0; 0: any free one, for a single node

    def __post_init__(self) -> None:
        """Raise `InvalidRequest` for numbers that fit no machine."""
        if self.devices < 1 or self.nodes < 1:
            raise InvalidRequest(
                f"{self.devices} devices on {self.nodes} nodes, both must be at least 1",
                fix="use EXEMPLAR_TRAINING_DEVICES=auto and EXEMPLAR_TRAINING_NODES=1",
            )
        if not 0 <= self.node_rank < self.nodes:
            raise InvalidRequest(
                f"NODE_RANK is {self.node_rank}, it must lie in 0..{self.nodes - 1}",
                fix="number the nodes from 0, e.g. NODE_RANK=1 on the second",
            )

    @property
    def processes(self) -> int:
        """How many train together (torch's world size)."""
        return self.devices * self.nodes

    def variables(self, local_rank: int, port: int) -> dict[str, str]:
        """Return what torchrun would tell the process `local_rank` of this node."""
        values = {
            "RANK": self.node_rank * self.devices + local_rank,
            "LOCAL_RANK": local_rank,
            "GROUP_RANK": self.node_rank,
            "WORLD_SIZE": self.processes,
            "LOCAL_WORLD_SIZE": self.devices,
            "MASTER_ADDR": self.main_address,
            "MASTER_PORT": port,
        }
        return {name: str(value) for name, value in values.items()}


ONE_PROCESS: Final = Hardware()


def detected(
    devices: int | Literal["auto"] = "auto",
    nodes: int = 1,
    environment: Mapping[str, str] = os.environ,
) -> Hardware:
    """Take `devices` per node, "auto" meaning every GPU there is, or else one process.

    With more than one node, `MASTER_ADDR`, `MASTER_PORT` and `NODE_RANK` say where they meet.
    Raises `InvalidRequest` for more devices than GPUs and for missing variables.
    """
    gpus = torch.cuda.device_count()
    count = max(gpus, 1) if devices == "auto" else devices
    if 0 < gpus < count:
        raise InvalidRequest(
            f"{count} devices were asked for, this machine has {gpus} GPUs",
            fix="use EXEMPLAR_TRAINING_DEVICES=auto to take all there are",
        )
    accelerator: Literal["cpu", "gpu"] = "gpu" if gpus else "cpu"
    if nodes > 1:
        return Hardware(count, accelerator, nodes, *_meeting_place(environment))
    return Hardware(count, accelerator) if count > 1 else ONE_PROCESS


def _meeting_place(environment: Mapping[str, str]) -> tuple[int, str, int]:
    """Node rank, address and port, out of torchrun's variables."""
    try:
        return (
            int(environment["NODE_RANK"]),
            environment["MASTER_ADDR"],
            int(environment["MASTER_PORT"]),
        )
    except (KeyError, ValueError) as error:
        raise InvalidRequest(
            f"the nodes of a training cannot find each other: {error} is missing or no number",
            fix="set them on each node, e.g. MASTER_ADDR=10.0.0.5 MASTER_PORT=29500 NODE_RANK=1",
        ) from error
