"""Where the processes of a training find each other, on one node or on several."""

import hashlib
import json
import socket
from dataclasses import asdict
from datetime import timedelta
from types import TracebackType
from typing import Any, Final, Self

from contracts.errors import InvalidRequest, Unavailable
from models.hardware import LOOPBACK
from models.rank_request import RankRequest
from models.torchlibs import torch

_TCPStore: Any = torch.distributed.TCPStore  # type: ignore[attr-defined]  # public, but not in __all__

_WAIT: Final = timedelta(minutes=30)  # for the other nodes, which may still decode pictures
_REQUEST: Final = "request"
_FAILED: Final = "failed"


class Rendezvous:
    """A key-value store kept by node 0; leaving the block with an exception fails all nodes."""

    def __init__(self, request: RankRequest) -> None:
        """Open the store or join it. Raises `Unavailable` where that does not succeed."""
        self._hardware = request.hardware
        try:
            self._store = self._opened() if self._hardware.node_rank == 0 else self._joined()
        except RuntimeError as error:
            raise Unavailable(
                f"the nodes cannot meet at {self._hardware.main_address}:"
                f"{self._hardware.main_port}: {str(error)[:300]}",
                fix="start node 0 and let the others reach that port of it",
            ) from error
        self._agree(request)

    @property
    def port(self) -> int:
        """Of the store, on the main node."""
        return int(self._store.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and not self.is_over():
            self._store.set(_FAILED, str(self._hardware.node_rank))

    def is_over(self) -> bool:
        """Whether another node has failed, or node 0 has gone with the store."""
        if self._hardware.nodes == 1:
            return False
        try:
            return bool(self._store.check([_FAILED]))
        except RuntimeError:
            return True

    def _opened(self) -> Any:
        # Of its own accord the store would listen on every interface.
        host = LOOPBACK if self._hardware.nodes == 1 else ""
        listening = socket.create_server((host, self._hardware.main_port))
        return _TCPStore(
            self._hardware.main_address,
            listening.getsockname()[1],
            is_master=True,
            wait_for_workers=False,
            timeout=_WAIT,
            master_listen_fd=listening.detach(),
        )

    def _joined(self) -> Any:
        address, port = self._hardware.main_address, self._hardware.main_port
        return _TCPStore(address, port, is_master=False, timeout=_WAIT)

    def _agree(self, request: RankRequest) -> None:
        """Raise `InvalidRequest` unless all nodes train the same from the same checkpoint."""
        if self._hardware.node_rank == 0:
            self._store.set(_REQUEST, _digest(request))
        elif self._store.get(_REQUEST).decode() != _digest(request):
            self._store.set(_FAILED, str(self._hardware.node_rank))
            raise InvalidRequest(
                f"node {self._hardware.node_rank} was asked for another training than node 0",
                fix="give all nodes the same data, recipe, devices and checkpoint to resume from",
            )


def _digest(request: RankRequest) -> str:
    data, hardware = request.data, request.hardware
    checkpoint = ""
    if request.resume_from is not None:
        with request.resume_from.open("rb") as file:
            checkpoint = hashlib.file_digest(file, "sha256").hexdigest()
    labels = [list(data.train_labels), list(data.validation_labels), list(data.classes)]
    size = [hardware.devices, hardware.nodes, hardware.accelerator]
    identity = json.dumps([asdict(request.recipe), labels, size, checkpoint])
    return hashlib.sha256(identity.encode()).hexdigest()
