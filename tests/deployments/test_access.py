"""Who may call what: every call with every kind of credential, against the deployed system.

`docs/access.md` is what this finds. With EXEMPLAR_WRITE_DOCS=1 the test writes it anew.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from lambdas import endpoint_description, openapi
from lambdas.openapi_components import Components
from tests.conformance import check_answer
from tests.deployments.access_world import BODIES, CATS, DOGS, VALUES, World, world

pytestmark = [
    pytest.mark.stack,
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
# None of these is a token, however right the one inside may be.
MALFORMED = (b"Bearer", b"Basic eHRfYW5uOng=", b"xt_ann", b"Bearer xt_ann x", b"Bearer \xe9", b",")
STRANGERS = ("none", "malformed", "unknown", "expired", "taken back", "an endpoint's key")
TOKENS = (*STRANGERS, "another user's", "own")
KEYS = ("none", "malformed", "unknown", "taken back", "another project's", "a user's token", "own")

TEXT = """# Who may call what

Written by `tests/deployments/test_access.py`, which makes every call of the OpenAPI document with
every kind of credential against the deployed system: gateway, authorizer, functions and template.

## The control API

By the token in `Authorization: Bearer …`. What belongs to another user does not exist for a
caller (404). Calls that name nothing answer about the caller alone. No call that is refused changes
anything.

{control}

## A project's endpoint

By the key in `x-api-key`, or in `Authorization: Bearer …`. A key that was taken back may open an
endpoint for a minute more, a token that was taken back the API.

{endpoint}
"""


@dataclass(frozen=True)
class Call:
    """One line of the table."""

    method: str
    path: str
    example: Any
    is_public: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_of_something(self) -> bool:
        """Whether it names what belongs to one user."""
        return "{" in self.path

    @property
    def address(self) -> str:
        path = self.path
        for part in [part.partition("}")[0] for part in path.split("{")[1:]]:
            path = path.replace(f"{{{part}}}", VALUES.get(part, "x"))
        return path


@dataclass
class Matrix:
    """Statuses by call and credential."""

    statuses: dict[tuple[str, str], int] = field(default_factory=dict)

    def table(self, calls: list[Call], credentials: tuple[str, ...]) -> str:
        lines = [["call", *credentials], ["---"] * (len(credentials) + 1)]
        for call in calls:
            found = [str(self.statuses[call.name, credential]) for credential in credentials]
            lines.append([f"`{call.name}`", *found])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("access")) as made:
        yield made


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30, trust_env=False) as client:
        yield client


def calls() -> list[Call]:
    """By path, as the document has them."""
    document = openapi.document()
    return [
        Call(method.upper(), path, _example(document, operation), operation.get("security") == [])
        for path, item in document["paths"].items()
        if path not in endpoint_description.paths(Components())
        for method, operation in item.items()
    ]


def _example(document: dict[str, Any], operation: dict[str, Any]) -> Any:
    if "requestBody" not in operation:
        return None
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return document["components"]["schemas"][name.rpartition("/")[2]]["examples"][0]


ENDPOINT = [Call("POST", "/", None, is_public=False), Call("GET", "/health", None, is_public=True)]


def in_turn(call: Call) -> tuple[int, int]:
    """Reading first, and what takes away last, the innermost before what it is in."""
    return ("GET", "POST", "PATCH", "PUT", "DELETE").index(call.method), -call.path.count("/")


def test_who_may_call_what(deployed: World, http: httpx.Client) -> None:
    matrix, every = Matrix(), calls()
    endpoint = ask_endpoint(deployed, http)
    # Whoever is refused leaves everything as it is.
    before = deployed.stored()
    for call in every:
        for credential in STRANGERS:
            matrix.statuses[call.name, credential] = as_stranger(deployed, http, call, credential)
        if call.is_of_something:
            status = ask(deployed, http, call, "another user's").status_code
            matrix.statuses[call.name, "another user's"] = status
    assert deployed.stored() == before
    for call in sorted(every, key=in_turn):
        for credential in ("another user's", "own"):
            if (call.name, credential) not in matrix.statuses:
                answer = ask(deployed, http, call, credential)
                matrix.statuses[call.name, credential] = answer.status_code
                check_answer(call.method, call.address, answer.status_code, answer.json())
                stranger = DOGS if credential == "own" else CATS
                assert stranger.name not in answer.text
    check_rules(every, matrix)
    page = TEXT.format(control=matrix.table(every, TOKENS), endpoint=endpoint.table(ENDPOINT, KEYS))
    print(page)
    if os.environ.get("EXEMPLAR_WRITE_DOCS"):
        PAGE.write_text(page, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == page, (
        "docs/access.md lags behind: run EXEMPLAR_WRITE_DOCS=1 python -m pytest "
        "tests/deployments/test_access.py and look at what it has changed"
    )


def check_rules(every: list[Call], matrix: Matrix) -> None:
    """What may stand in the table, whatever is added to it."""
    for call in every:
        found = {credential: matrix.statuses[call.name, credential] for credential in TOKENS}
        if call.is_public:
            assert set(found.values()) == {200}, call.name
            continue
        own, others = found.pop("own"), found.pop("another user's")
        assert found.pop("none") == 401, call.name
        assert set(found.values()) == {403}, call.name
        assert (others == 404) if call.is_of_something else (200 <= others < 300), call.name
        assert own not in {401, 403, 404}, (
            f"{call.name} answers its owner {own}: let tests/deployments/access_world.py make what "
            "it asks for"
        )
        assert own < 500, call.name


def as_stranger(world: World, http: httpx.Client, call: Call, credential: str) -> int:
    """The one status of a credential, in each of its forms."""
    forms: list[bytes | None] = [None]
    if credential == "malformed":
        # Where nobody looks at it, one form tells as much as all.
        forms = list(MALFORMED[:1] if call.is_public else MALFORMED)
    elif credential == "an endpoint's key":
        forms = [f"Bearer {world.keys['own']}".encode()]
    elif credential != "none":
        forms = [f"Bearer {world.tokens[credential]}".encode()]
    (status,) = {send(http, call, world.api + call.address, form).status_code for form in forms}
    return status


def ask(world: World, http: httpx.Client, call: Call, credential: str) -> httpx.Response:
    bearer = f"Bearer {world.tokens[credential]}".encode()
    return send(http, call, world.api + call.address, bearer)


def send(http: httpx.Client, call: Call, url: str, authorization: bytes | None) -> httpx.Response:
    headers = {} if authorization is None else {b"authorization": authorization}
    return http.request(call.method, url, json=BODIES.get(call.name, call.example), headers=headers)


def ask_endpoint(world: World, http: httpx.Client) -> Matrix:
    """The real inference function behind its URL, with keys in both headers."""
    picture, matrix = io.BytesIO(), Matrix()
    Image.new("RGB", (20, 20), "blue").save(picture, "PNG")
    values: dict[str, list[str | None]] = {
        "none": [None],
        "malformed": ["xk_new x", "xk_", "'", "*", "Bearer"],
        "unknown": ["xk_unknown"],
        "a user's token": [world.tokens["own"]],
    } | {name: [key] for name, key in world.keys.items()}
    for call in ENDPOINT:
        for credential in KEYS:
            found = set()
            for key in values[credential][: 1 if call.is_public else None]:
                for headers in in_headers(key)[: 1 if call.is_public else None]:
                    content = picture.getvalue() if call.method == "POST" else b""
                    url = world.endpoint + call.path
                    answer = http.request(call.method, url, content=content, headers=headers)
                    check_answer(call.method, call.path, answer.status_code, answer.json())
                    assert answer.status_code < 300 or "probabilities" not in answer.text
                    found.add(answer.status_code)
            (matrix.statuses[call.name, credential],) = found
    asked = [matrix.statuses["POST /", credential] for credential in KEYS]
    assert asked == [401] * 6 + [200]
    return matrix


def in_headers(key: str | None) -> list[dict[str, str]]:
    if key is None:
        return [{}]
    return [{"x-api-key": key}, {"authorization": f"Bearer {key}"}]
