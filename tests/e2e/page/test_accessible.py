"""What axe-core finds on every part of the page, in light and dark, on a phone and a desk."""

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.page.conftest import Visit, create

PARTS = ("", "{project}/train", "{project}/details", "{project}/inference", "{project}/endpoint")
SIZES = {"phone": (390, 844), "desk": (1440, 900)}


@pytest.fixture(scope="module")
def trained_project(stack: Any, shapes: Path) -> tuple[str, str]:
    """A user with a project that has a live model, some wrong labels and a second version."""
    with stack.client("axe") as client:
        client.train(shapes, "shapes", recipe="fast")
    return "axe", "shapes"


def findings(page: Page) -> list[str]:
    """What is serious or critical, with the elements that it is about."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_no_part_has_a_serious_finding(
    visit: Visit, trained_project: tuple[str, str], size: str, scheme: str
) -> None:
    user, project = trained_project
    width, height = SIZES[size]
    visitor = visit(user, viewport={"width": width, "height": height}, color_scheme=scheme)
    page = visitor.open()
    for part in PARTS:
        page.goto(f"{visitor.address}#/{part.format(project=project)}")
        expect(page.locator("main .loading")).to_have_count(0)
        expect(page.locator("main .card").first).to_be_visible()
        page.wait_for_timeout(300)  # bars move
        assert findings(page) == [], part
        is_wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not page.evaluate(is_wider), f"{part} scrolls sideways"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_open_only_sometimes(visit: Visit, shapes: Path, scheme: str) -> None:
    """Signing in, an empty list, an empty project, dialogs, the advanced parts, an error."""
    visitor = visit(color_scheme=scheme)
    page = visitor.open(is_signed=False)
    expect(page.get_by_label("Your link or token")).to_be_visible()
    assert findings(page) == []
    page = visitor.open()
    expect(page.get_by_role("heading", name="Make your first classifier")).to_be_visible()
    assert findings(page) == []
    for kind, name in (("Texts", "texts"), ("Pictures", "pictures")):
        page.goto(f"{visitor.address}#/")
        create(page, name, kind)
        page.locator("details.advanced summary").first.click()
        assert findings(page) == []
    page.locator(".bulk input[webkitdirectory]").set_input_files(shapes)
    expect(page.locator(".thumb")).to_have_count(24)
    page.get_by_role("button", name="Add a class").click()
    page.get_by_role("button", name="Remove class discs").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.goto(f"{visitor.address}#/nothing-here")
    expect(page.get_by_role("alert")).to_be_visible()
    assert findings(page) == []


def test_everything_is_reached_by_the_keyboard(visit: Visit) -> None:
    """Create a project and rename a class without a mouse; dialogs give the focus back."""
    visitor = visit()
    page = visitor.open()
    page.get_by_label("Name").focus()
    page.keyboard.type("by keys")
    page.keyboard.press("Enter")
    field = page.get_by_role("article").first.get_by_label("Name of the class")
    expect(field).to_be_visible()
    field.focus()
    page.keyboard.type("First")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="Class First")).to_be_visible()
    page.get_by_role("link", name="Endpoint").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()  # where the new part begins
    delete = page.get_by_role("button", name="Delete project")
    delete.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Delete for good")).to_be_disabled()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(delete).to_be_focused()
