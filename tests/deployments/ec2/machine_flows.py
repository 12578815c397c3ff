"""What the machines of these tests run."""

import time
from pathlib import Path

from prefect import flow


@flow
def work(folder: str, steps: int = 5, user: str = "", project: str = "", job_id: str = "") -> None:
    """Count in a file, a step a quarter of a second; a later attempt goes on where it stands."""
    file = Path(folder) / "steps"
    with (Path(folder) / "starts").open("a") as starts:
        starts.write(f"{file.read_text() if file.exists() else 0}\n")
    while (done := int(file.read_text()) if file.exists() else 0) < steps:
        time.sleep(0.25)
        file.write_text(str(done + 1))


@flow
def broken() -> None:
    """Fail by itself."""
    raise ValueError("this flow is broken")
