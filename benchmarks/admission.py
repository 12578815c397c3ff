"""What keys and the limit of requests add to a warm answer, on the emulator's table.

python -m benchmarks.admission
"""

import base64
import io
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from PIL import Image

from contracts.identity import Project
from lambdas import predict
from lambdas.state import State
from models.bundle_writer import write_bundle
from tests.emulator_process import emulator, free_port
from tests.serving.conftest import colour_card, colour_graph

REQUESTS = 3_000
PROJECT, KEY, TABLE = Project("ada", "bench"), "xk_key", "bench-state"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        port = free_port()
        with emulator(Path(scratch), port):
            os.environ |= environment(port)
            state = make_table()
            bundle = Path(scratch) / "bundle"
            write_bundle(bundle, colour_card(), colour_graph())
            predict.BUNDLE = bundle
            for name, limit in (("no limit", 0), ("600 a minute", 600), ("100,000", 100_000)):
                measure(state, name, limit)


def environment(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "EXEMPLAR_TABLE": TABLE,
        "EXEMPLAR_BUCKET": "none",
        "EXEMPLAR_USER": PROJECT.user,
        "EXEMPLAR_PROJECT": PROJECT.name,
    }


def make_table() -> State:
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in ("pk", "sk")],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    state = State(client, TABLE)
    state.put_key(PROJECT, KEY)
    return state


def measure(state: State, name: str, limit: int) -> None:
    """Requests spread over minutes, so that none is refused; each minute is a new count."""
    state.set_access(PROJECT, "key", limit or None)
    for cached in (predict.key_check, predict.rate_limit):
        cached.cache_clear()
    writes, now = counted_writes(), [0.0]
    predict.rate_limit()._clock = lambda: now[0]
    event = question()
    times = []
    for number in range(REQUESTS):
        now[0] = 60.0 * (number // 500)
        began = time.perf_counter()
        answer = predict.handler(event, None)
        times.append((time.perf_counter() - began) * 1_000)
        assert answer["statusCode"] == 200, answer
    p50, p99 = np.percentile(times[100:], [50, 99])
    print(
        f"{name:14} p50 {p50:6.3f} ms   p99 {p99:6.3f} ms   mean "
        f"{statistics.mean(times[100:]):6.3f} ms   {writes[0]:4} writes"
    )


def counted_writes() -> list[int]:
    seen = [0]
    add = predict.rate_limit()._add

    def counting(*arguments: Any) -> int:
        seen[0] += 1
        return add(*arguments)

    predict.rate_limit()._add = counting
    return seen


def question() -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), "blue").save(buffer, "PNG")
    return {
        "requestContext": {"http": {"method": "POST"}},
        "rawPath": "/",
        "headers": {"content-type": "application/json", "x-api-key": KEY},
        "body": json.dumps({"image_base64": base64.b64encode(buffer.getvalue()).decode()}),
        "isBase64Encoded": False,
    }


if __name__ == "__main__":
    main()
