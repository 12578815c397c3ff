"""A project is deleted in the middle of its training, on the whole stack."""

import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.api_calls import ApiError

pytestmark = pytest.mark.stack
USER, NAME = "del", "brief"


def left_of_it(stack: Any) -> dict[str, Any]:
    """Whatever still bears the project's name, asked for at each server."""
    slug, aws = f"{USER}_{NAME}", stack.session.client
    bucket = next(b["Name"] for b in aws("s3").list_buckets()["Buckets"] if "-data-" in b["Name"])
    functions = [f["FunctionName"] for f in aws("lambda").list_functions()["Functions"]]
    groups = [g["logGroupName"] for g in aws("logs").describe_log_groups()["logGroups"]]
    runs = httpx.post(
        f"{stack.links.prefect_ui}/api/flow_runs/filter",
        json={"flow_runs": {"tags": {"all_": [f"project:{slug}"]}}},
    )
    with sqlite3.connect(stack.home / "mlflow" / "mlflow.db") as database:
        names = database.execute("select name from experiments union select name from runs")
        tracked = [name for (name,) in names if name and (USER in name or "deleted" in name)]
    found = {
        "objects": aws("s3")
        .list_objects_v2(Bucket=bucket, Prefix=f"users/{USER}/")
        .get("Contents"),
        "functions": [name for name in functions if slug in name],
        "logs": [name for name in groups if slug in name],
        "runs": [run["name"] for run in runs.json()],
        "tracked": tracked,
        "items": stack.state.table.sort_keys(f"PROJECT#{slug}"),
        "copies": list((stack.home / "cache").glob(f"*/{slug}")),
    }
    return {place: what for place, what in found.items() if what}


def test_a_project_goes_while_it_is_trained_and_its_name_is_free(
    stack: Any, digits: Any, tmp_path: Path
) -> None:
    folder = digits(tmp_path, 12)
    with stack.client(USER) as client:
        job = client.submit(folder, NAME, recipe="fast")
        while not (endpoint := client.details(NAME)["endpoint"]):
            assert client.job(NAME, job.job_id).state != "failed"
            time.sleep(0.3)
        picture, key = next(folder.glob("*/3.png")).read_bytes(), client.saved_key(NAME)
        assert httpx.post(endpoint, content=picture, headers={"x-api-key": key}).is_success
        there = left_of_it(stack)
        assert set(there) >= {"objects", "functions", "runs", "items", "copies"}
        receipt = client.delete(NAME, poll_seconds=0.3)
        print(receipt)
        assert left_of_it(stack) == {}
        gone = httpx.post(endpoint, content=picture, headers={"x-api-key": key})
        assert gone.status_code in {403, 404}
        with pytest.raises(ApiError, match="no project"):
            client.details(NAME)
        counts = receipt["counts"]
        assert counts["examples"] == 36
        assert counts["functions"] == counts["function_urls"] == counts["projects"] == 1
        assert counts["jobs"] == 1
        assert counts["flow_runs"] >= 1
        assert client.create(NAME, ["cat", "dog"])["key"]
        assert client.details(NAME)["jobs"] == []
        assert client.delete(NAME, poll_seconds=0.3)["counts"].get("examples", 0) == 0
