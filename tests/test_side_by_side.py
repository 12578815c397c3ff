"""Two processes at once: what they print, how they end and how they are interrupted."""

import signal
import subprocess
import sys

import pytest

from tests.side_by_side import ROOT, side_by_side


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("first", "second", "expected"), [(0, 0, 0), (3, 0, 3), (0, 5, 5), (-9, 0, -9)]
)
def test_one_that_fails_fails_both(
    capfd: pytest.CaptureFixture[str], first: int, second: int, expected: int
) -> None:
    def ends(status: int) -> list[str]:
        code = f"import os; print('said {status}', flush=True); "
        return python(code + ("os.kill(os.getpid(), 9)" if status < 0 else f"os._exit({status})"))

    assert side_by_side({"a": ends(first), "longer": ends(second)}) == expected
    told = capfd.readouterr().out
    assert f"a      | said {first}\n" in told
    assert f"longer | said {second}\n" in told


PROGRAM = """
from tests.side_by_side import side_by_side
import sys

child = '''
import time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    print("cleaned up", flush=True)
    raise SystemExit(2)
'''
sys.exit(side_by_side({name: [sys.executable, "-c", child] for name in "ab"}))
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_lets_both_clean_up(sent: signal.Signals) -> None:
    with subprocess.Popen(python(PROGRAM), cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert {process.stdout.readline() for _ in range(2)} == {"a | ready\n", "b | ready\n"}
        process.send_signal(sent)
        told = process.stdout.read()
        assert process.wait(20) == 2
    assert "a | cleaned up\n" in told
    assert "b | cleaned up\n" in told
