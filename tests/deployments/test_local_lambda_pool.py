"""Sandboxes that nobody calls are ended."""

import time
from pathlib import Path

from deployments.local.code_trees import CodeTrees
from deployments.local.lambda_pool import end_idle, lambda_runtime
from deployments.local.lambda_workers import LambdaWorker, Workplace


def test_idle_sandboxes_end_and_busy_ones_stay(tmp_path: Path) -> None:
    trees, workplace = CodeTrees(tmp_path), Workplace(tmp_path, "http://127.0.0.1:1")
    idle, busy, recent = (LambdaWorker({}, b"", trees, workplace) for _ in range(3))
    idle.last_used = busy.last_used = time.time() - 3600
    busy.in_use = True
    lambda_runtime._workers["function"] = [idle, busy, recent]
    try:
        assert end_idle() == 1
        assert lambda_runtime._workers["function"] == [busy, recent]
    finally:
        del lambda_runtime._workers["function"]
