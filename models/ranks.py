"""The processes of one training on this node: started, watched and ended together."""

import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from multiprocessing import Pipe
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from contracts.errors import ExemplarError
from models.hardware import Hardware
from models.torchlibs import torch

_ROOT: Final = Path(__file__).parent.parent  # the folder that holds the package
_LOG_TAIL_BYTES: Final = 4_000
_GRACE_SECONDS: Final = 10.0  # between the first and the last process's end


class RankFailed(ExemplarError):
    """A process of the training ended before the training did; the last checkpoint is whole."""

    code = "rank_failed"
    http_status = 503


class Ranks:
    """Processes of `models.rank`, one per device; none outlives the block or this process.

    Not Lightning's launchers: its `ddp` starts `sys.argv` again, which here is an orchestrator,
    and its `ddp_spawn` loses what callbacks keep. Not torch's elastic agent: it waits 30 s for
    processes that hang because another one is gone.
    """

    def __init__(self, hardware: Hardware, folder: Path, port: int) -> None:
        """Plan the processes of the request in `folder`; they meet at `port` of the main node."""
        self._hardware, self._folder, self._port = hardware, folder, port
        self._processes: list[subprocess.Popen[bytes]] = []
        self._open = ExitStack()
        self.first, self._theirs = Pipe()  # to the process that keeps the checkpoints

    def __enter__(self) -> Self:
        try:
            for local_rank in range(self._hardware.devices):
                self._processes.append(self._start(local_rank))
        except BaseException:
            self._end()
            raise
        finally:
            self._theirs.close()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def are_done(self) -> bool:
        """Whether every process has done its part. Raises `RankFailed` as soon as one has not."""
        codes = [process.poll() for process in self._processes]
        failed = {rank: code for rank, code in enumerate(codes) if code}
        if failed:
            # Where one is killed (a negative code) the others fail because of that.
            first = min(failed, key=lambda rank: failed[rank])
            raise self._failure(first, failed[first])
        return all(code == 0 for code in codes)

    def wait(self) -> None:
        """Wait for the last ones once the training is over. Raises `RankFailed`."""
        for local_rank, process in enumerate(self._processes):
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise self._failure(local_rank, None) from error
        self.are_done()

    def _start(self, local_rank: int) -> subprocess.Popen[bytes]:
        log = self._open.enter_context(self._log(local_rank).open("wb"))
        # Only the first process speaks: an end held by another would hide its death.
        descriptors = [self._theirs.fileno()] if local_rank == 0 else []
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "models.rank", self._folder, str(self._theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self._environment(local_rank),
            pass_fds=descriptors,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends them all
        )

    def _environment(self, local_rank: int) -> dict[str, str]:
        threads = max(1, torch.get_num_threads() // self._hardware.devices)
        path = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
        return {
            **os.environ,
            **self._hardware.variables(local_rank, self._port),
            "TORCHELASTIC_RUN_ID": "exemplar",  # by which Lightning knows that it is not alone
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is here, not in the first process
            "OMP_NUM_THREADS": str(threads),
            **(_loopback() if self._hardware.nodes == 1 else {}),
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
        }

    def _end(self) -> None:
        """SIGKILL: a process in a collective operation hears nothing else, and files are whole."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
            assert process.stdin
            process.stdin.close()
        self.first.close()
        self._open.close()

    def _failure(self, local_rank: int, code: int | None) -> RankFailed:
        rank = self._hardware.node_rank * self._hardware.devices + local_rank
        ended = "did not end" if code is None else f"ended with status {code}"
        return RankFailed(
            f"process {rank} of {self._hardware.processes} of the training {ended}"
            + (" (killed)" if code and code < 0 else ""),
            fix="see the details; the same call goes on from the last checkpoint",
            details=self._last_words(local_rank),
        )

    def _last_words(self, local_rank: int) -> list[str]:
        tail = self._log(local_rank).read_bytes()[-_LOG_TAIL_BYTES:]
        return tail.decode(errors="replace").splitlines()[-20:]

    def _log(self, local_rank: int) -> Path:
        return self._folder / f"{local_rank}.log"


def _loopback() -> dict[str, str]:
    """Keep gloo on loopback: left alone it takes the address that the machine's name stands for."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}
