"""Whether a new version answers: asked by itself first, then as a consumer asks the endpoint."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

from contracts.errors import Unavailable
from contracts.identity import Project
from contracts.manifest import Split
from lambdas.signing import signed
from serving.readers import Source
from tasks import clients, examples, storage
from tasks.settings import settings

_EXAMPLES = 3
_TIMEOUT_SECONDS = 60.0


def questions(project: Project, dataset_version: str) -> list[dict[str, str]]:
    """Real test examples of different classes, in the endpoint's JSON form."""
    manifest = storage.read_manifest(project, dataset_version)
    by_class = {example.class_index: example for example in manifest.select(Split.TEST)}
    chosen = list(by_class.values())[:_EXAMPLES]
    return [_question(source) for source in examples.sources(manifest, chosen)]


def _question(source: Source) -> dict[str, str]:
    if isinstance(source, str):
        return {"text": source}
    picture = source if isinstance(source, bytes) else source.read_bytes()
    return {"image_base64": base64.b64encode(picture).decode()}


def invoke(project: Project, version: str, question: dict[str, str]) -> dict[str, Any]:
    """The answer of exactly this version, past the URL; only this account can do that keyless.

    A failed function gives Lambda's own error, which has no `label`.
    """
    answer = clients.functions().invoke(
        FunctionName=project.function_name(settings().stack),
        Qualifier=version,
        Payload=json.dumps(question),
    )
    payload = json.load(answer["Payload"])
    return payload if isinstance(payload, dict) else {"answer": payload}


def ask_version(
    project: Project, version: str, model_version: str, question: dict[str, str]
) -> None:
    """Raise `Unavailable` unless this version answers with this model."""
    answer = invoke(project, version, question)
    if answer.get("model_version") != model_version or "label" not in answer:
        raise Unavailable(
            f"the new version does not answer: {json.dumps(answer)[:500]}",
            fix="the old version keeps serving; look at the function's log",
        )


def ask_endpoint(
    project: Project, endpoint: str, model_version: str, question: dict[str, str]
) -> None:
    """One call as a consumer makes it: signed, or with a key that exists for this call only."""
    state, key = clients.state(), f"xk_smoke_{secrets.token_urlsafe(32)}"
    if state.project(project).setting("endpoint_auth") == "iam":
        _call_until_right(endpoint, _sign, model_version, question)
        return
    state.add_key(project, key)
    try:
        _call_until_right(endpoint, lambda *_: {"x-api-key": key}, model_version, question)
    finally:
        state.remove_key(project, key)


def _sign(endpoint: str, content: bytes) -> dict[str, str]:
    session = clients.session()
    credentials = session.get_credentials()
    return signed(endpoint, content, {}, credentials, settings().region)


def _call_until_right(
    endpoint: str,
    opening: Callable[[str, bytes], dict[str, str]],
    model_version: str,
    question: dict[str, str],
) -> None:
    """A moved alias may take a moment to reach every front end, so wrong answers get some time."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    content, seen = json.dumps(question).encode(), ""
    while time.monotonic() < deadline:
        try:
            headers = opening(endpoint, content) | {"content-type": "application/json"}
            answer = httpx.post(endpoint, content=content, headers=headers, timeout=30)
            seen = f"{answer.status_code} {answer.text[:300]}"
            if answer.status_code == 200 and answer.json()["model_version"] == model_version:
                return
        except httpx.HTTPError as error:
            seen = str(error)
        time.sleep(0.5)
    raise Unavailable(
        f"the endpoint does not answer with the new version: {seen}",
        fix="the old version keeps serving; look at the function's log",
    )
