"""A stage for releases: the laptop's AWS with real functions, small models, and callers.

A model answers with the picture's mean colour, or, where the functions are to start at once, with
nothing but its version. One of them fails on red pictures, one is slow: what a test set without red
pictures, or without a clock, does not show.
"""

import base64
import hashlib
import io
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from prefect.logging import disable_run_logger

from contracts.archive import write_zip
from contracts.bundle import CARD_FILE, ModelCard, Preprocessing
from contracts.identity import Project
from contracts.keys import ProjectKeys
from contracts.manifest import Example, Kind, Manifest, Split
from contracts.status import Job
from deployments.packaging import Builder
from lambdas.state import ProjectRecord
from models.champion import Decision, decide
from tasks import bundles, clients, storage
from tasks.progress import Progress
from tasks.promotion import find_champion
from tasks.release import release, resume
from tasks.scoring import score
from tasks.settings import settings
from tests.emulator_process import free_port, status_of, until
from tests.evaluations import CLASSES, evaluation

ROOT = Path(__file__).parent.parent
KEY = "xk_caller"
SLOW_SECONDS = 0.1
CACHED = (settings, clients.session, clients.s3, clients.functions, clients.logs, clients.state)


@contextmanager
def stage(folder: Path) -> Iterator[dict[str, str]]:
    """Run the laptop's AWS; yields the variables with which tasks find it."""
    port = free_port()
    command = [sys.executable, "-m", "deployments.local.emulator", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    variables = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "EXEMPLAR_PLACE": "local",
        "EXEMPLAR_BUCKET": "stage-data",
        "EXEMPLAR_TABLE": "stage-state",
        "EXEMPLAR_RUNTIME": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "EXEMPLAR_INFERENCE_ROLE_ARN": "arn:aws:iam::000000000000:role/inference",
        "EXEMPLAR_INFERENCE_LAYER_ARN": "arn:aws:lambda:us-east-1:000000000000:layer:stage:1",
        "EXEMPLAR_FUNCTION_URL_BASE": f"{url}/lambda-url",
        "EXEMPLAR_CACHE_DIR": str(folder / "cache"),
        "EXEMPLAR_WATCH_POLL_SECONDS": "0.2",
    }
    with (
        (folder / "log.txt").open("ab") as log,
        subprocess.Popen(
            [*command, "--state-dir", str(folder / "aws")], cwd=ROOT, stdout=log, stderr=log
        ) as server,
    ):
        try:
            until(lambda: status_of(f"{url}/_ministack/health") == 200)
            yield variables
        finally:
            server.terminate()


@contextmanager
def own_stage(folder: Path, *, is_light: bool = True, **more: str) -> Iterator[dict[str, str]]:
    """This process on a stage of its own, with real models or with functions that start at once."""
    with pytest.MonkeyPatch.context() as patch, stage(folder) as variables:
        variables |= more
        for name, value in variables.items():
            patch.setenv(name, value)
        if is_light:
            patch.setattr(bundles, "function_zip", light_zip)
        for cached in CACHED:
            cached.cache_clear()
        furnish(folder, is_light=is_light)
        yield variables
    for cached in CACHED:
        cached.cache_clear()


def furnish(folder: Path, *, is_light: bool) -> None:
    """Bucket, table and layer as `deployments/template.yaml` has them; light ones use no layer."""
    clients.s3().create_bucket(Bucket="stage-data")
    clients.session().client("dynamodb").create_table(
        TableName="stage-state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
        ],
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
    )
    layer = folder / "layer.zip"
    if is_light:
        write_zip([("python/none.py", b"")], layer)
    else:
        layer = Builder(folder).inference_layer().path
    content: Any = {"ZipFile": layer.read_bytes()}
    clients.functions().publish_layer_version(LayerName="stage", Content=content)


LIGHT = """
import json, logging, time
log = logging.getLogger()
log.setLevel(logging.INFO)

def handler(event, context):
    time.sleep({seconds})
    example = event.get("body") or event.get("image_base64") or ""
    status = 500 if example == {failing!r} else 200
    body = {{"label": "green", "probabilities": {{"green": 1.0}}, "model_version": {version!r}}}
    line = {{"request_id": context.aws_request_id, "status": status, "ms": 1e3 * {seconds} + 1,
             "model_version": {version!r}, "examples": 1, "label": "green", "confidence": 1.0}}
    if status != 200:
        body = {{"error": {{"code": "error", "message": "", "fix": ""}}}}
        line["examples"] = 0
    log.info(json.dumps(line))
    if "requestContext" not in event:
        return body
    return {{"statusCode": status, "body": json.dumps(body)}}
"""


@contextmanager
def light_zip(bundle: Path) -> Iterator[Path]:
    """In place of `bundles.function_zip`: no libraries, so a version starts in a tenth of a second.

    The card's metrics say which flaw it has.
    """
    card = ModelCard.from_json((bundle / CARD_FILE).read_bytes())
    source = LIGHT.format(
        seconds=SLOW_SECONDS if card.metrics.get("is_slow") else 0,
        failing=encoded(RED) if card.metrics.get("fails_on_red") else "-",
        version=card.model_version,
    )
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "function.zip"
        write_zip([("lambdas/predict.py", source.encode())], target)
        yield target


def picture(red: int = 0, green: int = 0, blue: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


RED, GREEN, BLUE = picture(255), picture(0, 200), picture(0, 0, 200)


def graph(gain: float, *, fails_on_red: bool = False, is_slow: bool = False) -> bytes:
    """Logits are the mean colour times `gain`; red is brighter than 0.95 where it fails."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("Mul", ["flat", "gain"], ["logits"]),
        helper.make_node("ReduceMax", ["flat"], ["novelty"], axes=[1], keepdims=0),
    ]
    constants = {"gain": np.array([gain], np.float32)}
    if fails_on_red:
        nodes[2].output[0] = "scaled"
        nodes += [
            helper.make_node("Greater", ["flat", "bright"], ["is_bright"]),
            helper.make_node("Cast", ["is_bright"], ["index"], to=TensorProto.INT64),
            helper.make_node("Mul", ["index", "beyond"], ["far"]),
            helper.make_node("Gather", ["nothing", "far"], ["zeros"], axis=0),
            helper.make_node("Add", ["scaled", "zeros"], ["logits"]),
        ]
        constants |= {
            "bright": np.array([0.95, 2, 2], np.float32),
            "beyond": np.array([1_000], np.int64),
            "nothing": np.zeros(1, np.float32),
        }
    if is_slow:
        nodes[2].output[0] = "scaled"
        nodes += [
            helper.make_node("ReduceMean", ["flat"], ["one"], keepdims=0),
            helper.make_node("ConstantOfShape", ["size"], ["much"]),
            helper.make_node("Add", ["much", "one"], ["left"]),
            helper.make_node("MatMul", ["left", "left"], ["product"]),
            helper.make_node("ReduceMin", ["product"], ["least"], keepdims=0),
            helper.make_node("Mul", ["least", "zero"], ["nothing"]),
            helper.make_node("Add", ["scaled", "nothing"], ["logits"]),
        ]
        constants |= {"size": np.array([1_400, 1_400]), "zero": np.zeros(1, np.float32)}
    made = helper.make_graph(
        nodes,
        "colour",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("novelty", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(made, opset_imports=[opset], ir_version=8).SerializeToString()


@dataclass
class Scene:
    """One project with a data set, whose models are promoted one after another."""

    project: Project
    dataset_version: str
    models: int = 0

    @classmethod
    def made(cls, name: str, **own_settings: Any) -> "Scene":
        project = Project("ann", name)
        clients.state().create_project(ProjectRecord(project, Kind.IMAGE, CLASSES))
        clients.state().update_project(project, settings=own_settings)
        clients.state().put_key(project, KEY)
        pictures = [picture(200), GREEN, BLUE]
        for data in pictures:
            storage.put(ProjectKeys(project).object(hashlib.sha256(data).hexdigest()), data)
        examples = tuple(
            Example(hashlib.sha256(data).hexdigest(), label, f"{label}.png", len(data), Split.TEST)
            for label, data in enumerate(pictures)
        )
        manifest = Manifest(project, Kind.IMAGE, CLASSES, examples)
        return cls(project, storage.write_manifest(manifest))

    def model(self, **flaws: bool) -> str:
        """A new model version, stored and scored; each is better on the test set than the last."""
        self.models += 1
        card = ModelCard(
            kind=Kind.IMAGE,
            classes=CLASSES,
            preprocessing=Preprocessing(16, 16, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
            dataset_version=self.dataset_version,
            backbone="colour",
            recipe=f"model-{self.models}",
            metrics={name: float(flaw) for name, flaw in flaws.items()},
        )
        made = bundles.publish_bundle(self.project, card, graph(4.0, **flaws))
        scored = evaluation(made.model_version, self.dataset_version, 228 + 12 * self.models)
        key = ProjectKeys(self.project).evaluation(made.model_version, self.dataset_version)
        storage.put(key, scored.to_json())
        return made.model_version

    def promotion(self, model_version: str, job: str = "") -> "Attempt":
        """Of a job of its own, or of the one that is named."""
        job = job or f"job-{model_version}"
        clients.state().create_job(Job(self.project, job, upload="upload"))
        return Attempt(self.project, model_version, self.dataset_version, job)

    def promote(self, model_version: str, job: str = "") -> Decision:
        with disable_run_logger():
            return promote(self.promotion(model_version, job))

    def settings(self, **values: Any) -> None:
        """What the project's owner wants from now on."""
        clients.state().update_project(self.project, settings=values)

    def record(self) -> ProjectRecord:
        return clients.state().project(self.project)

    def alias(self) -> dict[str, Any]:
        """What is behind the endpoint."""
        name = self.project.function_name()
        return dict(clients.functions().get_alias(FunctionName=name, Name="live"))

    def assert_consistent(self, model_version: str) -> None:
        """Alias, project, newest release and version records say the same."""
        record, alias = self.record(), self.alias()
        newest = clients.state().releases(self.project)[0]
        promoted = {v.model_version: v for v in clients.state().versions(self.project)}
        assert record.model_version == newest.model_version == model_version
        assert alias["FunctionVersion"] == record.lambda_version == newest.lambda_version
        assert promoted[model_version].lambda_version == record.lambda_version
        assert "RoutingConfig" not in alias
        assert record.epoch == newest.epoch

    def callers(self, *pictures: bytes, threads: int = 1) -> "Callers":
        return Callers(self.record().endpoint, list(pictures or (GREEN,)), threads)


@dataclass(frozen=True)
class Attempt:
    """What the promote flow is started with."""

    project: Project
    model_version: str
    dataset_version: str
    job: str


def promote(attempt: Attempt) -> Decision:
    """`flows/promote.py` without what comes after the release."""
    project, progress = attempt.project, Progress(attempt.project, attempt.job)
    candidate = score.fn(project, attempt.model_version, attempt.dataset_version)
    champion = None
    decision = resume.fn(project, candidate, progress)
    while decision is None:
        champion = find_champion.fn(project, candidate, progress, champion)
        decision = decide(candidate, champion.evaluation)
        if decision.promote:
            decision = release.fn(project, candidate, champion, decision, progress)
    return decision


@dataclass
class Callers:
    """Consumers who ask the endpoint again and again, and what they were told."""

    endpoint: str
    pictures: list[bytes]
    threads: int = 1
    pause_seconds: float = 0.01
    answers: list[tuple[int, str]] = field(default_factory=list)  # status and model version

    @contextmanager
    def calling(self) -> Iterator["Callers"]:
        done = threading.Event()
        threads = [threading.Thread(target=self._call, args=(done,)) for _ in range(self.threads)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            done.set()
            for thread in threads:
                thread.join()

    def _call(self, done: threading.Event) -> None:
        with httpx.Client(headers={"x-api-key": KEY}, timeout=30, trust_env=False) as client:
            for number in count():
                if done.is_set():
                    return
                try:
                    found = client.post(
                        self.endpoint, content=self.pictures[number % len(self.pictures)]
                    )
                    body = found.json()
                    self.answers.append((found.status_code, str(body.get("model_version", ""))))
                except (httpx.HTTPError, ValueError) as error:
                    self.answers.append((0, repr(error)))
                time.sleep(self.pause_seconds)

    @property
    def failures(self) -> list[tuple[int, str]]:
        return [answer for answer in list(self.answers) if answer[0] != 200]

    @property
    def by_version(self) -> Counter[str]:
        return Counter(version for status, version in list(self.answers) if status == 200)
