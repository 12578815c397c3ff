"""Empty a project that its owner has deleted, and remove it."""

from prefect import flow

from contracts.identity import Project
from tasks.deletion.steps import (
    alone,
    empty,
    end_runs,
    finish,
    plan_late_sweep,
    reported,
    sweep_again,
)
from tasks.deletion.tally import Deletion


@flow
def delete(user: str, project: str, receipt: str, is_late: bool = False) -> None:
    """Stop its runs, remove everything it has left anywhere, then the project itself.

    Only what is being deleted under this receipt goes. Killed at any step it goes on when run
    again, and the receipt counts everything once.
    """
    deletion = Deletion(Project(user, project), receipt, is_late)
    with reported(deletion):
        end_runs(deletion)
        with alone(deletion):
            empty(deletion)
            sweep_again(deletion)
            finish(deletion)
        plan_late_sweep(deletion)
