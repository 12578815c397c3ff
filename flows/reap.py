"""End training machines that no run needs any more, and write down what the others cost."""

from prefect import flow

from tasks.billing import settle_recent
from tasks.machines import end_leftovers, report_machines


@flow(timeout_seconds=600)
def reap() -> list[str]:
    """Look at every machine of this stack, end leftovers, report costs; return what was ended."""
    machines = end_leftovers()
    report_machines(machines)
    settle_recent()
    return [machine.instance_id for machine in machines if machine.why_ended]
