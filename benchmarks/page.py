"""What the page costs: its weight, when it can be used, and the way to a first prediction.

python -m benchmarks.page --photographs 200

Against an embedded stack of its own, in a Chromium of Debian's package. Three parts: bytes and
times of a first visit; clicks and seconds from an empty page to the first answer with two classes
of ten pictures; large photographs, with the longest time that the page stood still meanwhile.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from rich.console import Console
from rich.table import Table

from deployments.local import embedded
from deployments.local.embedded import Links

_WAIT_MS = 600_000
# Run in the page: `window.longest` is then the longest time between two frames, in ms.
WATCH_FRAMES = """() => {
  window.longest = 0;
  let last = performance.now();
  const step = (now) => {
    window.longest = Math.max(window.longest, now - last);
    last = now;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""
_VISIT = """() => {
  const files = performance.getEntriesByType("resource");
  const [document] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {
    files: files.length + 1,
    sent: document.transferSize + files.reduce((sum, file) => sum + file.transferSize, 0),
    unpacked: document.decodedBodySize + files.reduce((sum, file) => sum + file.decodedBodySize, 0),
    paint: paint ? paint.startTime : null,
  };
}"""


@dataclass
class Way:
    """Clicks (choosing files counts as one) and typing, with the time since the beginning."""

    page: Page
    started: float = field(default_factory=time.perf_counter)
    clicks: int = 0
    typed: int = 0
    marks: list[tuple[str, float, int]] = field(default_factory=list)

    def click(self, act: Callable[[], Any]) -> None:
        act()
        self.clicks += 1

    def type(self, field_: Any, text: str) -> None:
        field_.fill(text)
        self.typed += len(text)

    def mark(self, what: str) -> None:
        self.marks.append((what, time.perf_counter() - self.started, self.clicks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=200)
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    expect.set_options(timeout=_WAIT_MS)
    with tempfile.TemporaryDirectory(prefix="page-") as scratch:
        home = Path(scratch) / "home"
        links = embedded.up(home, lambda _: None)
        try:
            with sync_playwright() as playwright:
                flags = ["--no-sandbox", "--disable-gpu"]
                browser = playwright.chromium.launch(executable_path=chromium, args=flags)
                visits = [visit(browser, links) for _ in range(5)]
                way = first_prediction(browser, links, Path(scratch))
                many = photographs(browser, links, Path(scratch), options.photographs)
                browser.close()
        finally:
            embedded.down(home)
    show(visits, way, many, options.photographs)


@contextmanager
def opened(browser: Browser, links: Links) -> Iterator[Page]:
    """A tab of an empty browser profile, signed in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(_WAIT_MS)
    page.goto(links.page)
    yield page
    context.close()


def visit(browser: Browser, links: Links) -> dict[str, float]:
    """Bytes and milliseconds of a first visit; usable means that the list of projects is there."""
    begun = time.perf_counter()
    with opened(browser, links) as page:
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        usable = 1_000 * (time.perf_counter() - begun)
        found: dict[str, float] = page.evaluate(_VISIT)
        return found | {"usable": usable}


def create(way: Way, name: str) -> None:
    page, form = way.page, way.page.locator("form.new")
    expect(page.locator(".loading")).to_have_count(0)
    if not form.is_visible():
        way.click(page.get_by_role("button", name="New project").click)
    way.type(form.get_by_label("Name"), name)
    way.click(form.get_by_role("button", name="Create project").click)


def first_prediction(browser: Browser, links: Links, scratch: Path) -> Way:
    """From the empty list to an answer about a picture, two classes of ten pictures each."""
    folder = shapes(scratch / "shapes", 10)
    with opened(browser, links) as page:
        way = Way(page)
        create(way, "first")
        chosen = page.locator(".bulk input[webkitdirectory]")
        way.click(lambda: chosen.set_input_files(folder))
        train = page.get_by_role("button", name="Train", exact=True)
        expect(train).to_be_enabled()
        way.mark("all stored, Train can be pressed")
        way.click(train.click)
        asked = page.locator(".try input[type=file]")
        expect(asked).to_be_attached()
        way.mark("the draft is live")
        way.click(lambda: asked.set_input_files(next((folder / "discs").iterdir())))
        expect(page.locator(".verdict strong")).to_be_visible()
        way.mark("the first answer")
        expect(page.locator(".training .note.good")).to_contain_text("Ready")
        way.mark("fine-tuned and decided")
        return way


def photographs(browser: Browser, links: Links, scratch: Path, count: int) -> dict[str, float]:
    """Twelve megapixels each, as a phone takes them."""
    folder = scratch / "photographs"
    random = np.random.default_rng(0)
    small = Image.fromarray(random.integers(0, 255, (30, 40, 3)).astype(np.uint8))
    pixels = np.array(small.resize((4_000, 3_000), Image.Resampling.BICUBIC))
    size = 0
    for number in range(count):
        pixels[:16, :16] = random.integers(0, 255, 3)
        path = folder / f"class {number % 2}" / f"IMG_{number:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=88)
        size += path.stat().st_size
    with opened(browser, links) as page:
        way = Way(page)
        create(way, "photographs")
        expect(page.get_by_role("article")).to_have_count(2)
        page.evaluate(WATCH_FRAMES)
        begun = time.perf_counter()
        page.locator(".bulk input[webkitdirectory]").set_input_files(folder)
        for name in ("class 0", "class 1"):
            card = page.get_by_role("article", name=f"Class {name}")
            expect(card.locator(".count")).to_have_text(f"{count // 2} pictures")
        expect(page.locator("div.sending")).to_have_count(0)
        return {
            "seconds": time.perf_counter() - begun,
            "megabytes": size / 1e6,
            "longest": page.evaluate("window.longest"),
            "heap": page.evaluate("performance.memory.usedJSHeapSize") / 1e6,
        }


def shapes(folder: Path, per_class: int) -> Path:
    """Discs and stripes on noise, 240 pixels wide."""
    random = np.random.default_rng(1)
    rows, columns = np.mgrid[0:240, 0:240]
    for number in range(2 * per_class):
        pixels = random.integers(90, 160, (240, 240, 3))
        centre, radius = random.integers(70, 170, 2), random.integers(30, 65)
        is_disc = number % 2 == 0
        disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
        mask = disc if is_disc else (rows + centre[0]) // (radius // 3) % 2 == 0
        pixels[mask] = random.integers(200, 255, 3) if is_disc else random.integers(0, 60, 3)
        path = folder / ("discs" if is_disc else "stripes") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


def show(visits: list[dict[str, float]], way: Way, many: dict[str, float], count: int) -> None:
    console = Console(width=100)
    last = visits[-1]
    console.print(
        f"a first visit: {last['files']:.0f} files, {last['sent'] / 1e3:.0f} kB sent, "
        f"{last['unpacked'] / 1e3:.0f} kB unpacked"
    )
    for name in ("paint", "usable"):
        found = sorted(one[name] for one in visits)
        console.print(f"  {name}: {found[0]:.0f} to {found[-1]:.0f} ms, median {found[2]:.0f} ms")
    table = Table("from an empty page, 2 x 10 pictures", "s", "clicks", box=None)
    for what, seconds, clicks in way.marks:
        table.add_row(what, f"{seconds:.1f}", str(clicks))
    console.print(table)
    console.print(f"  {way.typed} characters typed")
    console.print(
        f"{count} photographs of 12 megapixels, {many['megabytes']:.0f} MB: stored after "
        f"{many['seconds']:.1f} s ({1_000 * many['seconds'] / count:.0f} ms each); the page stood "
        f"still for {many['longest']:.0f} ms at most, {many['heap']:.0f} MB of heap at the end"
    )


if __name__ == "__main__":
    main()
