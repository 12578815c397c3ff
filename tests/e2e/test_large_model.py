"""A model that does not fit a zip is served from an image, behind the endpoint that was there."""

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.logging import disable_run_logger

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.keys import ProjectKeys
from deployments.deploy import DeploySettings, StackOutputs, deploy
from deployments.local import services
from lambdas.state import ProjectRecord
from models.champion import Decision
from tasks import clients, functions, images
from tasks.progress import Progress
from tasks.promotion import find_champion
from tasks.release import release
from tasks.scoring import score
from tasks.settings import settings
from tests.container_engine import ContainerEngine

pytestmark = pytest.mark.stack

_CACHED = (
    settings,
    clients.session,
    clients.s3,
    clients.functions,
    clients.builds,
    clients.images,
    clients.state,
)


@dataclass
class Promoter:
    """This process as one that runs the promote flow, on a stack deployed with LargeModels."""

    monkeypatch: pytest.MonkeyPatch
    project: Project
    model_version: str
    dataset_version: str
    outputs: StackOutputs

    def release(self, **variables: str) -> ProjectRecord:
        """Release the live model again; returns what is recorded of it."""
        for name, value in variables.items():
            self.monkeypatch.setenv(f"EXEMPLAR_{name.upper()}", value)
        settings.cache_clear()
        progress, again = Progress(self.project), Decision(True, "released again", ())
        with disable_run_logger():
            candidate = score.fn(self.project, self.model_version, self.dataset_version)
            champion = find_champion.fn(self.project, candidate, progress)
            assert release.fn(self.project, candidate, champion, again, progress) == again
        return clients.state().project(self.project)

    def engine(self) -> ContainerEngine:
        engine = ContainerEngine(
            clients.s3(), clients.builds(), clients.images(), self.outputs.image_repository
        )
        running = engine.functions(clients.functions())
        self.monkeypatch.setattr(clients, "functions", lambda: running)
        self.monkeypatch.setattr(clients, "builds", engine.builds)
        return engine

    def target(self, version: str) -> str:
        """What a version of the project's function forwards to; empty for one that answers."""
        found = {v["Version"]: v for v in functions.versions(self.project.function_name())}
        return str(found[version]["Environment"]["Variables"].get("EXEMPLAR_FORWARD_TO", ""))


@pytest.fixture
def promoter(stack: Any, trained: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Promoter]:
    layout = services.Layout.kept(stack.home)
    assert layout is not None
    wanted = DeploySettings(
        cache=layout.home / "packages",
        prefect_api_url=f"{layout.prefect}/api",
        region=services.REGION,
        allowed_origins=(layout.aws,),
    )
    large = replace(wanted, parameters={"LargeModels": "images"})
    outputs = deploy(large, stack.session)
    variables = layout.environment(services.flow_environment(layout, outputs))
    for name, value in variables.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("EXEMPLAR_IMAGE_BUILDER", outputs.image_builder)
    monkeypatch.setenv("EXEMPLAR_IMAGE_REPOSITORY", outputs.image_repository)
    monkeypatch.setenv("EXEMPLAR_FORWARD_ROLE_ARN", outputs.forward_role_arn)
    for cached in _CACHED:
        cached.cache_clear()
    project = Project(stack.links.user, "digits")
    live_version = stack.state.project(project).model_version
    live = next(v for v in stack.state.versions(project) if v.model_version == live_version)
    yield Promoter(monkeypatch, project, live_version, live.dataset_version, outputs)
    monkeypatch.undo()
    for cached in _CACHED:
        cached.cache_clear()


def test_a_large_model_answers_at_the_same_address_with_the_same_key(
    stack: Any, trained: Any, promoter: Promoter
) -> None:
    client, _, folder = trained
    picture = folder / "digit 1" / "3.png"
    before = client.predict("digits", picture)
    endpoint = client.details("digits")["endpoint"]
    engine = promoter.engine()
    with stack.at_the_page() as page:  # before there is a container, which believes it for a minute
        page.patch("v1/projects/digits", json={"log_requests": True}).raise_for_status()

    released = promoter.release(zip_bundle_mib="0")
    assert released.endpoint == endpoint
    image_function = promoter.project.image_function_name()
    assert promoter.target(released.lambda_version) == f"{image_function}:1"
    after = client.predict("digits", picture, explain=True)
    for same in ("label", "probabilities", "model_version"):
        assert after[same] == before[same]
    assert after["explanation"]
    assert_asked_by_token(stack, picture, before)
    assert httpx.get(endpoint).json()["model_version"] == promoter.model_version
    stranger = httpx.post(endpoint, content=picture.read_bytes(), headers={"x-api-key": "xk_no"})
    assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "unauthorized")

    assert promoter.release(zip_bundle_mib="0").endpoint == endpoint
    (build,) = engine.started  # the second release found the image
    assert build["projectName"] == "exemplar-images"

    zipped = promoter.release(zip_bundle_mib="100")
    assert (zipped.endpoint, promoter.target(zipped.lambda_version)) == (endpoint, "")
    assert client.predict("digits", picture)["probabilities"] == before["probabilities"]
    with disable_run_logger():
        images.prune(promoter.project, [])
    assert functions.versions(image_function) == []
    left = clients.images().describe_images(repositoryName=promoter.outputs.image_repository)
    assert left["imageDetails"] == []


def assert_asked_by_token(stack: Any, picture: Path, expected: dict[str, Any]) -> None:
    """Such a question is the owner's use, not a trial, also where the model is behind a forwarder.

    What is kept is found by the id that the answer has.
    """
    project, body = "v1/projects/digits", base64.b64encode(picture.read_bytes()).decode()
    with stack.at_the_page() as page:
        answer = page.post(f"{project}/predict", json={"image_base64": body}).json()
        page.patch(project, json={"log_requests": False}).raise_for_status()
    assert answer["probabilities"] == expected["probabilities"]
    keys = ProjectKeys(Project(stack.links.user, "digits"))
    key = keys.request(datetime.now(UTC).date().isoformat(), answer["request_id"])
    listed = clients.s3().list_objects_v2(Bucket=settings().bucket, Prefix=keys.requests)
    kept = [entry["Key"] for entry in listed["Contents"]]
    assert key in kept
    for each in kept:  # a release would try them
        clients.s3().delete_object(Bucket=settings().bucket, Key=each)


def test_where_no_image_comes_of_the_build_the_old_version_serves(
    trained: Any, promoter: Promoter
) -> None:
    """The emulator's CodeBuild ends at once and has built nothing."""
    client, _, folder = trained
    before = client.details("digits")["versions"]
    with pytest.raises(Unavailable, match="was not built"):
        promoter.release(zip_bundle_mib="0")
    assert client.predict("digits", folder / "digit 0" / "3.png")["label"] == "digit 0"
    assert client.details("digits")["versions"] == before
