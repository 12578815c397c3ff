"""Tasks pointed at the emulator and, where a test asks for it, at a Prefect server of its own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks import clients
from tasks.settings import settings


@pytest.fixture
def tasks_environment(
    emulator: Any,
    data_bucket: str,
    state_table: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[pytest.MonkeyPatch]:
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EXEMPLAR_PLACE": "local",
        "EXEMPLAR_BUCKET": data_bucket,
        "EXEMPLAR_TABLE": state_table,
        "EXEMPLAR_INFERENCE_ROLE_ARN": "arn:aws:iam::000000000000:role/inference",
        "EXEMPLAR_INFERENCE_LAYER_ARN": "arn:aws:lambda:us-east-1:000000000000:layer:inference:1",
        "EXEMPLAR_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    cached = (settings, clients.session, clients.s3, clients.functions, clients.state)
    for function in cached:
        function.cache_clear()
    yield monkeypatch
    for function in cached:
        function.cache_clear()
