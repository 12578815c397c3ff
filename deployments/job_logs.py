"""A job's log lines, read from the workflow server that ran it."""

import logging
import os
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from contracts.errors import NotFound, Unavailable
from deployments.connection import is_loopback
from deployments.remote_job import RemoteJob

_PAGE = 200  # the most the server gives at once
_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """`at` is ISO 8601 in UTC; `level` is 'INFO' and so on."""

    at: str
    level: str
    run: str
    message: str


def job_logs(prefect_api: str, job: RemoteJob) -> list[LogLine]:
    """Every line of the job's flow runs, oldest first.

    Raises `NotFound` without access to a workflow server or before a run exists, and
    `Unavailable` when the server does not answer.
    """
    if not prefect_api:
        raise NotFound(
            "log lines are kept by Prefect, whose address is not known here",
            fix="set PREFECT_API_URL (and PREFECT_API_KEY), or open the run in the Prefect UI",
        )
    if not job.flow_run_id:
        raise NotFound(f"job {job.job_id!r} has no run yet", fix="try again in a few seconds")
    try:
        with _http_client(prefect_api) as http:
            return list(_lines(http, _runs(http, job)))
    except httpx.HTTPError as error:
        raise Unavailable(
            f"Prefect at {prefect_api} did not give the log: {error}",
            fix="check PREFECT_API_URL and PREFECT_API_KEY, or try again in a minute",
        ) from error


def _runs(http: httpx.Client, job: RemoteJob) -> dict[str, str]:
    """Names of the job's runs by id. The first run's tag names the owner, whom we are not told."""
    first = _json(http.get(f"/flow_runs/{job.flow_run_id}"))
    runs = {first["id"]: first["name"]}
    for tag in first["tags"]:
        if tag.startswith("job:") and tag.endswith(f":{job.job_id}"):
            query = {"flow_runs": {"tags": {"all_": [tag]}}}
            found = _json(http.post("/flow_runs/filter", json=query))
            runs |= {run["id"]: run["name"] for run in found}
    return runs


def _lines(http: httpx.Client, runs: dict[str, str]) -> Iterator[LogLine]:
    query = {"logs": {"flow_run_id": {"any_": list(runs)}}, "sort": "TIMESTAMP_ASC", "limit": _PAGE}
    offset = 0
    while page := _json(http.post("/logs/filter", json=query | {"offset": offset})):
        for line in page:
            yield LogLine(
                at=line["timestamp"],
                level=logging.getLevelName(line["level"]),
                run=runs.get(line["flow_run_id"], ""),
                message=line["message"],
            )
        offset += len(page)


def _json(answer: httpx.Response) -> Any:
    return answer.raise_for_status().json()


def _http_client(prefect_api: str) -> httpx.Client:
    headers = {}
    if key := os.environ.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    elif auth := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {b64encode(auth.encode()).decode()}"
    return httpx.Client(
        base_url=prefect_api.rstrip("/"),
        headers=headers,
        timeout=_TIMEOUT_SECONDS,
        trust_env=not is_loopback(prefect_api),
    )
