"""The everyday tests in two processes at once, as `make test` runs them.

Half of an end-to-end test's time is waiting. All of them share one embedded stack and are one
process; the rest, of which none starts a stack, is the other.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider")  # which two would overwrite
GROUPS = {
    "rest": (*PYTEST, "tests", "--ignore=tests/e2e"),
    "e2e": (*PYTEST, "tests/e2e"),
}
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def side_by_side(commands: Mapping[str, Sequence[str]]) -> int:
    """Run all, each line of what they print after its command's name; 0 if all of them return 0.

    Ctrl-C and SIGTERM interrupt each once, so that their fixtures end what they have started.
    """
    # More threads than cores only wait for each other.
    threads = max(1, (os.cpu_count() or 1) // len(commands))
    environment = {"OMP_NUM_THREADS": str(threads)} | os.environ | {"PYTHONUNBUFFERED": "1"}
    running = {name: _started(command, environment) for name, command in commands.items()}

    def interrupt(*_: object) -> None:
        for process in running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    width = max(map(len, commands))
    readers = [
        threading.Thread(target=_show, args=(name.ljust(width), process))
        for name, process in running.items()
    ]
    for reader in readers:
        reader.start()
    statuses = {name: process.wait() for name, process in running.items()}
    for reader in readers:
        reader.join()
    for number, handler in before.items():
        signal.signal(number, handler)
    for name, status in statuses.items():
        print(f"{name.ljust(width)} | {'passed' if status == 0 else f'exit status {status}'}")
    return next((status for status in statuses.values() if status != 0), 0)


def _started(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,  # or the terminal's Ctrl-C would come twice, the second into the clean-up
    )


def _show(name: str, process: "subprocess.Popen[str]") -> None:
    assert process.stdout
    with process.stdout as lines:
        for line in lines:
            print(f"{name} | {line}", end="", flush=True)


if __name__ == "__main__":
    sys.exit(side_by_side(GROUPS))
