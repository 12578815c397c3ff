"""`exemplar train` on the running stack: accuracy over split seeds, and where the time goes.

python -m benchmarks.chain FOLDER [FOLDER …] --seeds 0 1 2

Overhead is the time of a job in which none of its work was done: its time less its stages, where
of `train` only what the training program itself took counts.
"""

import argparse
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.client import Exemplar
from deployments.remote_job import RemoteJob

STAGES = ("ingest", "prepare", "draft", "promote-draft", "train", "promote")


@dataclass(frozen=True)
class Run:
    """One job, its figures in seconds and in shares of 1."""

    name: str
    seed: int
    pictures: int
    upload_seconds: float
    job: RemoteJob
    draft_accuracy: float

    @property
    def job_seconds(self) -> float:
        return self.job.updated_at - self.job.created_at

    @property
    def overhead_seconds(self) -> float:
        stages = self.job.stage_seconds
        work = sum(stages[name] for name in STAGES if name != "train")
        # The training may have begun while the draft was still being promoted.
        training = min(stages["train"], float(self.job.metrics["training_seconds"]))
        return self.job_seconds - work - training


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="class folders with pictures")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--recipe", default="balanced")
    options = parser.parse_args()
    for folder in options.folders:
        runs = []
        for seed in options.seeds:
            runs.append(measure(folder, seed, options.recipe))
            show(runs[-1])
        served = [served_accuracy(run) for run in runs]
        drafts = [run.draft_accuracy for run in runs]
        print(
            f"{folder.name}: mean of {len(runs)} seeds: served {statistics.mean(served):.4f}, "
            f"draft {statistics.mean(drafts):.4f}\n",
            flush=True,
        )


def measure(folder: Path, seed: int, recipe: str) -> Run:
    """Train a project of its own, so that no earlier split or feature is taken over."""
    draft_accuracy = 0.0

    def listen(job: RemoteJob) -> None:
        nonlocal draft_accuracy
        draft_accuracy = draft_accuracy or float(job.metrics.get("accuracy") or 0.0)

    with Exemplar() as client:
        project = f"bench-{folder.name.replace('_', '-')[:12]}-{seed}-{int(time.time()) % 100_000}"
        pictures = client.read(folder)
        client.create(project, pictures.classes)
        began = time.monotonic()
        upload = client.upload(project, pictures)
        uploaded = time.monotonic() - began
        job = client.start(project, upload, seed=seed, recipe=recipe)
        ended = client.wait(project, job.job_id, listen)
        if ended.failure:
            raise SystemExit(f"{folder.name}: {ended.failure}")
    return Run(folder.name, seed, len(pictures.files), uploaded, ended, draft_accuracy)


def show(run: Run) -> None:
    stages = run.job.stage_seconds
    cells = "  ".join(f"{name} {stages.get(name, 0.0):.1f}" for name in STAGES)
    decision: dict[str, Any] = run.job.decision
    print(
        f"{run.name} seed {run.seed}: {run.pictures:,} pictures, "
        f"upload {run.upload_seconds:.1f} s, draft endpoint after {run.job.draft_seconds} s, "
        f"job {run.job_seconds:.1f} s\n"
        f"  stages (s): {cells}\n"
        f"  training program {run.job.metrics['training_seconds']} s, "
        f"overhead {run.overhead_seconds:.1f} s\n"
        f"  draft {run.draft_accuracy:.4f}, served {served_accuracy(run):.4f}\n"
        f"  {decision['reason']}",
        flush=True,
    )


def served_accuracy(run: Run) -> float:
    return float(run.job.metrics["accuracy"])


if __name__ == "__main__":
    main()
