"""A thousand pictures at once: the page goes on answering, and all of them arrive."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from benchmarks.page import WATCH_FRAMES
from tests.e2e.page.conftest import Visit, create

COUNT = 1_000
LONGEST_STOP_MS = 1_000  # that the page may stand still: a frozen one does for many seconds


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs large enough to be made smaller, each with pixels of its own."""
    folder = tmp_path_factory.mktemp("thousand")
    random = np.random.default_rng(0)
    scene = Image.fromarray(random.integers(0, 255, (12, 16, 3)).astype(np.uint8))
    pixels = np.array(scene.resize((800, 600), Image.Resampling.BICUBIC))
    for number in range(COUNT):
        pixels[:8, :8] = random.integers(0, 255, 3)
        pixels[-8:, -8:] = (number % 256, number // 256, 0)
        target = folder / f"class {number % 2}" / f"IMG_{number:04}.jpg"
        target.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(target, quality=80)
    return folder


def test_a_thousand_pictures_do_not_freeze_the_page(visit: Visit, thousand: Path) -> None:
    page = visit().open()
    create(page, "many")
    page.evaluate(WATCH_FRAMES)
    page.locator(".bulk input[webkitdirectory]").set_input_files(thousand)
    expect(page.locator("div.sending")).to_contain_text("of 1,000")
    # It answers meanwhile: another part opens, and the upload goes on behind it.
    page.get_by_role("link", name="Endpoint").click()
    expect(page.get_by_role("heading", name="No endpoint yet")).to_be_visible()
    page.get_by_role("link", name="Train", exact=True).click()
    for name in ("class 0", "class 1"):
        card = page.get_by_role("article", name=f"Class {name}")
        expect(card.locator(".count")).to_have_text("500 pictures", timeout=180_000)
    expect(page.locator("div.sending")).to_have_count(0, timeout=180_000)
    assert stored_of(page) == {"class 0": 500, "class 1": 500}
    assert page.evaluate("window.longest") < LONGEST_STOP_MS
    assert page.locator(".thumb").count() <= 48  # however many there are


def stored_of(page: Any) -> dict[str, int]:
    """What the server has, asked with the page's own token; none may be missing."""
    found = page.evaluate(
        """async () => {
          const token = localStorage.getItem("exemplar.token");
          const headers = { authorization: `Bearer ${token}` };
          const path = "v1/projects/many/examples?missing=true";
          return (await fetch(path, { headers })).json();
        }"""
    )
    assert found["missing_total"] == 0
    return {one["name"]: one["examples"] for one in found["classes"]}


def test_a_zip_with_folders_is_unpacked_in_the_browser(visit: Visit, shapes: Path) -> None:
    archive = shapes.parent / "shapes.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(shapes.rglob("*.png")):
            packed.write(path, f"pictures/{path.relative_to(shapes)}")
        packed.writestr("__MACOSX/pictures/discs/._x.png", b"x")
        packed.writestr("pictures/notes.md", "not a picture")
    page = visit().open()
    create(page, "packed")
    page.locator(".bulk input[accept='.zip']").set_input_files(archive)
    expect(page.get_by_role("article", name="Class discs")).to_contain_text("12 pictures")
    expect(page.get_by_role("article", name="Class stripes")).to_contain_text("12 pictures")


def test_an_upload_that_was_cut_off_is_resumed(visit: Visit, thousand: Path) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "resumed")
    some = sorted((thousand / "class 0").iterdir())[:60]
    # Storage takes a part and then nothing more, as when the tab is closed on the way.
    taken = {"posts": 0}

    def part(route: Any) -> None:
        taken["posts"] += 1
        if taken["posts"] > 20:
            route.abort()
        else:
            route.continue_()

    page.route(lambda url: "/_aws/" not in url and "/v1/" not in url and "/app/" not in url, part)
    card = page.get_by_role("article", name="Class 1")
    card.locator("input[type=file]").set_input_files(some)
    expect(page.get_by_text("files were not taken")).to_be_visible(timeout=60_000)
    page.close()
    page = visitor.open("resumed")
    expect(page.get_by_text("40 pictures have not arrived")).to_be_visible()
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    card = page.get_by_role("article", name="Class 1")
    card.locator("input[type=file]").set_input_files(some)
    expect(page.get_by_text("have not arrived")).to_have_count(0)
    expect(card.locator(".count")).to_have_text("60 pictures")
