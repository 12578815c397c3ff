"""One embedded stack for all end-to-end tests: real servers, real workers, real functions."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from deployments.client import Exemplar
from deployments.local import embedded
from deployments.local.embedded import Links, LoopbackSession
from lambdas.state import State
from tests.e2e.machines import machines as machines  # a fixture

TOKEN_SECONDS = 3_600


@dataclass
class EmbeddedStack:
    """The running stack and ways to act on it as several users."""

    home: Path
    links: Links

    @property
    def session(self) -> LoopbackSession:
        return LoopbackSession(self.links.url.split("/_aws/")[0])

    @property
    def state(self) -> State:
        return State(self.session.client("dynamodb"), "exemplar-state")

    def at_the_page(self) -> httpx.Client:
        """What the page does, as whoever opens its link."""
        address, _, token = self.links.page.partition("#token=")
        headers = {"authorization": f"Bearer {token}"}
        return httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False)

    def client(self, user: str | None = None) -> Exemplar:
        """A client of the stack's own user, or of another one with a token made here."""
        token = self.links.token
        if user is not None:
            import time

            token = f"xt_token_of_{user}"
            self.state.put_token(token, user, time.time() + TOKEN_SECONDS)
        return Exemplar(self.links.url, token)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    home = tmp_path_factory.mktemp("stack")
    before = os.environ.get("EXEMPLAR_HOME")
    os.environ["EXEMPLAR_HOME"] = str(home)
    try:
        yield EmbeddedStack(home, embedded.up(home, lambda _: None))
    finally:
        embedded.down(home)
        if before is None:
            del os.environ["EXEMPLAR_HOME"]
        else:
            os.environ["EXEMPLAR_HOME"] = before


Painter = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Painter:
    """Write the first digits of scikit-learn's set, `per_class` of three classes each."""
    from sklearn.datasets import load_digits

    data = load_digits()

    def write(folder: Path, per_class: int, labels: tuple[int, ...] = (0, 1, 4)) -> Path:
        for label in labels:
            for number, image in enumerate(data.images[data.target == label][:per_class]):
                path = folder / f"digit {label}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = Image.fromarray((image * 15.9).astype(np.uint8))
                pixels.resize((48, 48), Image.Resampling.BICUBIC).save(path)
        return folder

    return write


@pytest.fixture(scope="session")
def trained(stack: Any, digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A project trained once: a client, the result, and the folder that it learnt from."""
    folder = digits(tmp_path_factory.mktemp("digits"), 40)
    with stack.client() as client:
        result = client.train(folder, "digits", recipe="fast")
        yield client, result, folder
