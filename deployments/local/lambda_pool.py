"""Lambda's Python functions run in sandboxes of our own, in place of ministack's processes.

Those show the server's own packages and environment to a function, unpack its layers for every
process, report every failure under one name, and stay for ever.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import psutil
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from deployments.local.code_trees import CodeTrees
from deployments.local.lambda_workers import LambdaWorker, Workplace
from deployments.local.runtime_libraries import provide

IDLE_SECONDS = 600.0
# ministack writes one per call and never drops any. A call has four lines or so, and of more than
# 10,000 lines FilterLogEvents would leave out the rest without a token for it.
KEPT_LOG_STREAMS = 2_000


def install(workplace: Workplace) -> None:
    """Make ministack run Python functions in our sandboxes."""
    workplace.scratch.mkdir(parents=True)
    provide(workplace.runtime_libraries)
    trees = CodeTrees(workplace.folder / "code")
    other_runtimes = lambda_runtime._worker_class_for
    run_other_runtime = lambda_svc._execute_function_warm

    def worker_class(config: dict[str, Any]) -> Callable[..., Any]:
        if not _is_python(config):
            return other_runtimes(config)  # type: ignore[no-any-return]
        return lambda _name, config, archive: LambdaWorker(config, archive, trees, workplace)

    def execute(function: dict[str, Any], event: Any, request_id: str) -> Any:
        # ministack's path for custom runtimes hands a worker's own error through.
        is_python = _is_python(function.get("config") or function)
        run = lambda_svc._execute_function_provided_warm if is_python else run_other_runtime
        return run(function, event, request_id)

    lambda_runtime._worker_class_for = worker_class
    lambda_svc._execute_function_warm = execute
    lambda_svc.reap_idle_workers = end_idle
    lambda_svc._emit_lambda_logs = _bounded_logs(lambda_svc._emit_lambda_logs)


def end_orphans(workplace: Workplace) -> int:
    """Kill sandboxes of an emulator that was itself killed; returns how many there were."""
    marker = f"{workplace.scratch}{os.sep}"
    orphans = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(part.startswith(marker) for part in process.info["cmdline"] or [])
    ]
    for process in orphans:
        process.kill()
    psutil.wait_procs(orphans, timeout=5)
    return len(orphans)


def end_all() -> None:
    """Kill every sandbox; for the emulator's end."""
    lambda_runtime.reset()


def end_idle(idle_seconds: float = IDLE_SECONDS) -> int:
    """End sandboxes that were not called for a while: each version served once would keep one.

    Returns how many; ministack calls it twice a minute.
    """
    oldest = time.time() - idle_seconds
    idle = []
    with lambda_runtime._lock:
        for key, workers in list(lambda_runtime._workers.items()):
            kept = [worker for worker in workers if worker.in_use or worker.last_used > oldest]
            idle += [worker for worker in workers if worker not in kept]
            lambda_runtime._workers[key] = kept
    lambda_runtime.kill_workers(idle)
    return len(idle)


def _is_python(config: dict[str, Any]) -> bool:
    return str(config.get("Runtime", "python3.12")).startswith("python")


def _bounded_logs(emit: Callable[..., None]) -> Callable[..., None]:
    """Forget a function's oldest log streams: they would fill memory and every snapshot."""

    def bounded(
        function: dict[str, Any], request_id: str, log: str, error: bool, *args: Any, **kwargs: Any
    ) -> None:
        from ministack.services import cloudwatch_logs

        emit(function, request_id, log, error, *args, **kwargs)
        config = function.get("config") or function
        name = (config.get("LoggingConfig") or {}).get("LogGroup")
        group = cloudwatch_logs._log_groups.get(name or f"/aws/lambda/{config['FunctionName']}")
        streams = group["streams"] if group else {}
        if error:
            _report_failure(list(streams.values()), request_id)
        for oldest in list(streams)[:-KEPT_LOG_STREAMS]:
            streams.pop(oldest, None)

    return bounded


def _report_failure(streams: list[dict[str, Any]], request_id: str) -> None:
    """Add to Lambda's report of a call that it has failed, as AWS does."""
    for stream in reversed(streams):
        for event in stream["events"]:
            if event["message"].startswith(f"REPORT RequestId: {request_id}\t"):
                event["message"] += "\tStatus: error"
                return
