"""The page in a real Chromium, against the embedded stack."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from deployments.connection import page_link

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--use-fake-device-for-media-stream"),
    "--use-fake-ui-for-media-stream",
)
PATIENCE_MS = 20_000
TRAINING_MS = 240_000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    missing = pytest.mark.skip(reason="no chromium is installed: apt-get install chromium")
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.stack)
        if CHROMIUM is None:
            item.add_marker(missing)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield found
        found.close()


@dataclass
class Visitor:
    """A user of their own in a browser profile of their own, and what went wrong meanwhile."""

    stack: Any
    context: BrowserContext
    user: str
    problems: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    @property
    def client(self) -> Any:
        """The same user at the terminal."""
        return self.stack.client(self.user)

    @property
    def address(self) -> str:
        """The page's, without a token."""
        return str(self.stack.links.page.partition("#")[0])

    def open(self, place: str = "", *, is_signed: bool = True) -> Page:
        """A tab, signed in by the link that people get."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("console", self._heard)
        page.on("dialog", self._asked)
        if is_signed:
            self.client.close()
            page.goto(page_link(self.address, f"xt_token_of_{self.user}"))
            expect(page.locator(".top")).to_be_visible()
        if place or not is_signed:
            page.goto(f"{self.address}#/{place}")
        return page

    def _heard(self, message: Any) -> None:
        # The network's own lines: that a call was refused is what some tests are about.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.problems.append(message.text)

    def _asked(self, dialog: Any) -> None:
        self.dialogs.append(f"{dialog.type}: {dialog.message}")
        dialog.accept()


Visit = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, stack: Any) -> Iterator[Visit]:
    """Make visitors; a script error, a policy violation or an alert in any tab fails the test."""
    expect.set_options(timeout=PATIENCE_MS)
    visitors: list[Visitor] = []

    def come(user: str = "", **options: Any) -> Visitor:
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | options))
        context.set_default_timeout(PATIENCE_MS)
        visitor = Visitor(stack, context, user or f"visitor-{secrets.token_hex(4)}")
        visitors.append(visitor)
        return visitor

    yield come
    for visitor in visitors:
        visitor.context.close()
        assert visitor.problems == []
        assert [one for one in visitor.dialogs if not one.startswith("beforeunload")] == []


def create(page: Page, name: str, kind: str = "Pictures") -> None:
    """Make a project on the list's own form, whether or not it is open."""
    form = page.locator("form.new")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    if not form.is_visible():
        page.get_by_role("button", name="New project").click()
    form.get_by_role("radio", name=kind).check()
    form.get_by_label("Name").fill(name)
    form.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("navigation", name="Parts of the project")).to_be_visible()


def draw(folder: Path, count: int, shape: str, seed: int = 0, size: int = 96) -> list[Path]:
    """`count` pictures of a disc or of stripes on noise, each different."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:size, 0:size]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        pixels = random.integers(90, 160, (size, size, 3))
        centre, radius = random.integers(size * 0.3, size * 0.7, 2), random.integers(12, 26)
        if shape == "disc":
            mask = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
            pixels[mask] = random.integers(200, 255, 3)
        else:
            mask = (rows + centre[0]) // (radius // 3) % 2 == 0
            pixels[mask] = random.integers(0, 60, 3)
        path = folder / f"{shape}-{seed}-{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        paths.append(path)
    return paths


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each of two classes, twelve pictures in each."""
    folder = tmp_path_factory.mktemp("shapes")
    draw(folder / "discs", 12, "disc", seed=1)
    draw(folder / "stripes", 12, "stripes", seed=2)
    return folder


def until_final(visitor: Visitor, project: str, seconds: float = 240) -> Any:
    """The newest job when it has ended."""
    with visitor.client as client:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            job = client.job(project, client.details(project)["last_job"])
            if job.state.is_final:
                return job
            time.sleep(0.5)
    raise TimeoutError(f"the job of {project} has not ended")
