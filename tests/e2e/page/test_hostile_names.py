"""Names of classes, files and projects are shown as they are, and never run."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import Visit, create, draw

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "\"><svg onload=alert('1')>",
    "javascript:alert(1)",
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "a\u202egnp.exe",
]


def test_class_names_are_text(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "hostile")
    for number, name in enumerate(HOSTILE[:-1]):
        if number >= 2:
            page.get_by_role("button", name="Add a class").click()
        field = page.get_by_role("article").nth(number).get_by_label("Name of the class")
        expect(field).to_be_visible()
        field.fill(name)
        field.press("Enter")
        expect(page.get_by_role("article", name=f"Class {name}", exact=True)).to_be_visible()
    page.reload()
    for name in HOSTILE[:-1]:
        expect(page.get_by_role("article", name=f"Class {name}", exact=True)).to_be_visible()
    with visitor.client as client:
        assert client.details("hostile")["classes"] == HOSTILE[:-1]
    page.goto(f"{visitor.address}#/")
    expect(page.locator(".card.project")).to_contain_text("<script>alert(1)</script>")
    assert page.locator("main img[src=x], main script, main svg[onload]").count() == 0


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>.png", "'><b>.png", "a\u202eb.png"])
def test_file_names_are_text(visit: Visit, tmp_path: Path, name: str) -> None:
    page = visit().open()
    create(page, "files")
    (path,) = draw(tmp_path, 1, "disc", seed=5)
    upload = {"name": name, "mimeType": "image/png", "buffer": path.read_bytes()}
    page.get_by_role("article", name="Class 1").locator("input[type=file]").set_input_files(upload)
    expect(page.locator(".thumb:not(.sending) img")).to_have_count(1)
    page.reload()
    expect(page.locator(".thumb img")).to_have_count(1)
    assert page.locator("img[src=x], main b").count() == 0


@pytest.mark.parametrize(
    "place", ["<img src=x onerror=alert(1)>", "../account", "%2e%2e%2faccount", "a/../../b"]
)
def test_addresses_name_nothing_else(visit: Visit, place: str) -> None:
    page = visit().open(place)
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.locator("img[src=x]").count() == 0


def test_no_page_may_hold_this_one_in_a_frame(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    answer = page.request.get(visitor.address)
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_script_that_got_into_the_page_does_not_run(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.ran = true'>");
        }"""
    )
    page.wait_for_timeout(300)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in problem for problem in visitor.problems)
    visitor.problems.clear()
