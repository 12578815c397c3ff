import pytest

from deployments.ec2.verdict import Ending, Verdict, verdict

SPOT = "Server.SpotInstanceTermination"
OFF = "Client.InstanceInitiatedShutdown"


@pytest.mark.parametrize(
    ("state", "run_count", "attempt", "reason", "expected"),
    [
        ("COMPLETED", 1, 0, OFF, Verdict.NOTHING),
        ("FAILED", 1, 0, OFF, Verdict.NOTHING),
        ("CANCELLING", 1, 0, "Client.UserInitiatedShutdown", Verdict.NOTHING),
        ("SCHEDULED", 1, 0, SPOT, Verdict.NOTHING),  # the machine itself has put it back
        ("RUNNING", 1, 0, SPOT, Verdict.AGAIN),
        ("PENDING", 0, 0, SPOT, Verdict.AGAIN),  # taken back before the run began
        ("RUNNING", 1, 0, "Server.InternalError", Verdict.AGAIN),
        ("RUNNING", 3, 2, SPOT, Verdict.CRASHED),  # too often
        ("RUNNING", 1, 0, OFF, Verdict.CRASHED),
        ("RUNNING", 1, 0, "", Verdict.CRASHED),
        ("RUNNING", 2, 0, SPOT, Verdict.NOTHING),  # the next attempt runs elsewhere
        ("PENDING", 1, 0, SPOT, Verdict.NOTHING),  # the next attempt is being started
    ],
)
def test_the_runs_own_state_counts_first(
    state: str, run_count: int, attempt: int, reason: str, expected: Verdict
) -> None:
    assert verdict(Ending(state, run_count, attempt, reason), max_interruptions=2) is expected
