import os
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import NotFound, Unavailable
from contracts.identity import Project
from contracts.status import JobState
from deployments import job_logs
from deployments.remote_job import RemoteJob
from lambdas.orchestrator import job_tags

JOB = RemoteJob("cats", "a1b2", JobState.RUNNING)

# A process of its own: what was logged is only surely sent when its threads have ended.
_RUN_A_JOB = """
import sys
from dataclasses import replace
from prefect import flow, get_run_logger, runtime, tags
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL

from deployments import job_logs
from deployments.job_logs import job_logs as read
from tests.deployments.test_job_logs import JOB

@flow
def draft():
    get_run_logger().warning("few pictures [bold]")

@flow
def pipeline():
    for number in range(5):
        get_run_logger().info(f"step {number}")
    draft()
    return runtime.flow_run.id

if __name__ == "__main__":
    with tags(*sys.argv[1:]):
        run = pipeline()
    with tags("job:ann_cats:another"):
        pipeline()
    APILogWorker.drain_all(timeout=30)
    job_logs._PAGE = 2
    for line in read(PREFECT_API_URL.value(), replace(JOB, flow_run_id=run)):
        print("LINE", line.level, line.message)
"""


def test_the_lines_of_all_the_jobs_runs_come_in_order(prefect_address: str, tmp_path: Path) -> None:
    script = tmp_path / "run_a_job.py"
    script.write_text(_RUN_A_JOB)
    root = Path(job_logs.__file__).parents[1]
    tags = job_tags(Project("ann", "cats"), JOB.job_id)
    done = subprocess.run(
        [sys.executable, str(script), *tags],
        env=os.environ
        | {
            "PYTHONPATH": str(root),
            "HOME": str(tmp_path),
            "PREFECT_API_URL": prefect_address,
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stdout.splitlines() if line.startswith("LINE")]
    messages = [line for line in told if "step" in line or "few" in line]
    assert messages == [
        *(f"LINE INFO step {number}" for number in range(5)),
        "LINE WARNING few pictures [bold]",
    ]


def test_without_access_or_a_run_the_reason_is_told() -> None:
    with pytest.raises(NotFound, match="kept by Prefect"):
        job_logs.job_logs("", JOB)
    with pytest.raises(NotFound, match="no run yet"):
        job_logs.job_logs("http://127.0.0.1:9/api", JOB)


def test_a_server_that_is_gone_is_told() -> None:
    job = RemoteJob("cats", "a1b2", JobState.RUNNING, flow_run_id="r")
    with pytest.raises(Unavailable, match="did not give the log"):
        job_logs.job_logs("http://127.0.0.1:9/api", job)
