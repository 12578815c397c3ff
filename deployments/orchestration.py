"""Prefect's side of the system: pools, blocks, automations and the deployments of prefect.yaml.

`python -m deployments.orchestration --apply` may be repeated; it changes only what differs.
`PREFECT_API_URL` says where.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.states import AwaitingRetry, Crashed
from prefect_aws import AwsClientParameters, AwsCredentials, S3Bucket

from contracts.errors import ExemplarError
from deployments.automations import RESUMABLE, save_automations
from deployments.work_pools import (
    ORCHESTRATION,
    SLOTS,
    SOURCE,
    TRAINING,
    create_pools,
    make_way,
)
from tasks import clients
from tasks.settings import settings

BLOCK = "exemplar"
REAPER = "reap/reap"
RETRAIN_DUE = "retrain-due/retrain-due"
MONITOR = "monitor/monitor"


def save_blocks() -> None:
    """Credentials and result storage as blocks, for flows of the system's engineers.

    On AWS the credentials block is empty: the machine's role counts.
    """
    parameters: dict[str, Any] = {}
    if settings().place == "local":
        clients.refuse_real_account()
        session = clients.session()
        endpoint = clients.s3().meta.endpoint_url
        parameters = {
            "aws_access_key_id": session.get_credentials().access_key,  # type: ignore[union-attr]
            "aws_secret_access_key": session.get_credentials().secret_key,  # type: ignore[union-attr]
            "aws_client_parameters": AwsClientParameters(endpoint_url=endpoint),
        }
    credentials = AwsCredentials(region_name=settings().region, **parameters)
    credentials.save(BLOCK, overwrite=True)
    S3Bucket(
        bucket_name=settings().bucket, bucket_folder="prefect-results", credentials=credentials
    ).save(BLOCK, overwrite=True)


def start_schedules(client: SyncPrefectClient, name: str) -> None:
    """Switch a deployment's schedules on, which prefect.yaml leaves off."""
    deployment = client.read_deployment_by_name(name)
    for schedule in deployment.schedules:
        client.update_deployment_schedule(deployment.id, schedule.id, active=True)


def apply_deployments() -> None:
    """Apply prefect.yaml. Raises `ExemplarError` with what Prefect said."""
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    # Where the sources lie is for each run's own machine to say; set here, it would be filled in.
    here = {name: value for name, value in os.environ.items() if name != "EXEMPLAR_SOURCE"}
    done = subprocess.run(
        command,
        cwd=SOURCE,
        env=here,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ExemplarError(
            f"prefect.yaml could not be applied: {(done.stdout + done.stderr)[-1_500:]}",
            fix="correct prefect.yaml and run the command again",
        )


def resume_orphans(client: SyncPrefectClient, pool: str) -> int:
    """Free runs that claim to be running although their worker is gone; return how many.

    To be called while no worker of the pool runs. Resumable ones are queued again; of the others
    whoever waits for them learns that they crashed.
    """
    runs = [run for run in _unfinished(client) if run.work_pool_name == pool]
    for run in runs:
        state: State[Any] = (
            AwaitingRetry() if RESUMABLE in run.tags else Crashed(message="its worker was lost")
        )
        client.set_flow_run_state(run.id, state, force=True)
    return len(runs)


def _unfinished(client: SyncPrefectClient) -> list[FlowRun]:
    wanted = FlowRunFilter.model_validate({"state": {"type": {"any_": ["RUNNING", "PENDING"]}}})
    return client.read_flow_runs(flow_run_filter=wanted)


def main() -> None:
    """Apply everything, and free lost runs of pools that have no worker now."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--apply", action="store_true", help="pools, blocks, deployments")
    parser.add_argument(
        "--machines",
        type=Path,
        help='JSON file with settings of a pool of type ec2, e.g. {"image_id": "ami-…"}: '
        "every training gets a machine of its own",
    )
    parser.add_argument(
        "--no-machines", action="store_true", help="trainings run beside the worker (again)"
    )
    parser.add_argument("--orphans-of", nargs="*", default=[], help="pools without a worker")
    parser.add_argument("--pipelines", type=int, default=SLOTS[ORCHESTRATION], help="at once")
    parser.add_argument("--trainings", type=int, default=SLOTS[TRAINING], help="at once")
    arguments = parser.parse_args()
    slots = {ORCHESTRATION: arguments.pipelines, TRAINING: arguments.trainings}
    with get_client(sync_client=True) as client:
        machines = json.loads(arguments.machines.read_text()) if arguments.machines else None
        if arguments.apply:
            if machines is not None or arguments.no_machines:
                make_way(client, "process" if machines is None else "ec2")
            create_pools(client, machines, slots)
            save_blocks()
            apply_deployments()
            save_automations(client)
            start_schedules(client, RETRAIN_DUE)
            start_schedules(client, MONITOR)
            if machines is not None:  # where they are started, some will be left over
                start_schedules(client, REAPER)
        for pool in arguments.orphans_of:
            resume_orphans(client, pool)


if __name__ == "__main__":
    main()
