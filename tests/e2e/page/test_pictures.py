"""Pictures: from an empty project to a prediction, by page alone."""

from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import TRAINING_MS, Visit, create, draw, until_final


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disc that no training has seen."""
    return draw(tmp_path_factory.mktemp("another"), 1, "disc", seed=77)[0]


def test_the_whole_way_with_a_reload_and_a_second_tab(
    visit: Visit, shapes: Path, another: Path
) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "shapes")
    train = page.get_by_role("button", name="Train", exact=True)
    expect(train).to_be_disabled()
    expect(page.locator("#train-why")).to_contain_text("at least 10 for each class")

    page.locator(".bulk input[webkitdirectory]").set_input_files(shapes)
    expect(page.get_by_role("article", name="Class discs")).to_contain_text("12 pictures")
    expect(page.get_by_role("article", name="Class stripes")).to_contain_text("12 pictures")
    expect(page.get_by_role("article")).to_have_count(2)  # the empty ones gave way
    expect(page.locator(".thumb:not(.sending) img")).to_have_count(24)
    expect(page.locator("#train-why")).to_contain_text("free on this computer")

    train.click()
    expect(page.get_by_role("list").filter(has_text="Make a draft")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    second = visitor.open("shapes")
    expect(second.get_by_role("button", name="Cancel")).to_be_visible()

    # The draft's panel opens by itself while the fine-tune goes on.
    expect(page.get_by_role("region", name="Try it")).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.locator(".try input[type=file]").set_input_files(another)
    expect(page.locator(".verdict strong")).to_have_text("discs")
    expect(page.locator(".bars").first.get_by_role("listitem")).to_have_count(2)

    for tab in (page, second):
        expect(tab.locator(".training .note.good")).to_contain_text("Ready", timeout=TRAINING_MS)
        expect(tab.locator(".training")).to_contain_text("the true rate is likely between")

    page.get_by_role("link", name="Fetch details").click()
    expect(page.locator(".told")).to_contain_text("out of")
    page.get_by_role("button", name="of discs answered with discs").click()
    opened = page.get_by_role("region", name="Opened cell")
    expect(opened.locator("img").first).to_be_visible()
    shown = opened.locator("img").first.evaluate("image => image.decode().then(() => image.src)")
    assert "objects/" in shown

    page.get_by_role("link", name="Inference").click()
    page.locator(".try input[type=file]").set_input_files(another)
    page.get_by_role("button", name="Why?").click()
    expect(page.get_by_role("img", name="What speaks for discs")).to_be_visible()
    page.get_by_role("button", name="Right", exact=True).click()
    expect(page.get_by_role("link", name="Retrain with 1 new example")).to_be_visible()

    page.get_by_role("link", name="Endpoint").click()
    key = page.locator(".copied code").nth(1).inner_text()
    address = page.locator(".copied code").first.inner_text()
    answer = httpx.post(
        address,
        headers={"x-api-key": key, "content-type": "image/png"},
        content=another.read_bytes(),
    )
    assert answer.json()["label"] == "discs"
    page.get_by_role("button", name="I have saved it").click()
    page.reload()
    expect(page.get_by_text("cannot be shown again")).to_be_visible()
    assert key not in page.content()


def test_examples_stay_when_the_tab_closes(visit: Visit, shapes: Path) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "kept")
    card = page.get_by_role("article", name="Class 1")
    card.locator("input[type=file]").set_input_files(sorted((shapes / "discs").iterdir()))
    expect(card).to_contain_text("12 pictures")
    expect(card.locator(".thumb:not(.sending)")).to_have_count(12)
    page.close()
    page = visitor.open("kept")
    card = page.get_by_role("article", name="Class 1")
    expect(card.locator(".thumb img")).to_have_count(12)

    name = card.get_by_label("Name of the class")
    name.fill("Round things")
    name.press("Enter")
    renamed = page.get_by_role("article", name="Class Round things")
    expect(renamed).to_contain_text("12 pictures")
    renamed.locator(".thumb").first.hover()
    renamed.locator(".thumb .remove").first.click()
    expect(renamed).to_contain_text("11 pictures")
    # The same files again: what was taken out comes back, nothing is sent twice.
    renamed.locator("input[type=file]").set_input_files(sorted((shapes / "discs").iterdir()))
    expect(renamed).to_contain_text("12 pictures")

    page.get_by_role("button", name="Add a class").click()
    expect(page.get_by_role("article")).to_have_count(3)
    page.get_by_role("button", name="Remove class Round things").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove class").click()
    expect(page.get_by_role("article")).to_have_count(2)
    with visitor.client as client:
        assert "Round things" not in client.details("kept")["classes"]


def test_pictures_move_between_classes_in_the_gallery(visit: Visit, tmp_path: Path) -> None:
    page = visit().open()
    create(page, "moved")
    card = page.get_by_role("article", name="Class 1")
    card.locator("input[type=file]").set_input_files(draw(tmp_path, 30, "disc", seed=3))
    expect(card).to_contain_text("30 pictures")
    card.get_by_role("button", name="All 30 pictures").click()
    gallery = page.get_by_role("dialog")
    expect(gallery.locator(".gallery button")).to_have_count(30)
    for index in range(3):
        gallery.locator(".gallery button").nth(index).click()
    gallery.get_by_label("Move to class").select_option("Class 2")
    expect(gallery.locator(".gallery button")).to_have_count(27)
    page.keyboard.press("Escape")
    expect(card).to_contain_text("27 pictures")
    expect(page.get_by_role("article", name="Class 2")).to_contain_text("3 pictures")


def test_a_camera_records_as_long_as_the_button_is_held(visit: Visit) -> None:
    page = visit(permissions=["camera"]).open()
    create(page, "camera")
    card = page.get_by_role("article", name="Class 1")
    card.get_by_role("button", name="Webcam").click()
    button = card.get_by_role("button", name="Hold to record")
    expect(card.locator("video")).not_to_have_js_property("videoWidth", 0)
    button.hover()
    page.mouse.down()
    expect(card.locator(".webcam")).to_contain_text("8 taken")
    page.mouse.up()
    before = card.locator(".webcam .dim").inner_text()
    page.wait_for_timeout(600)
    assert card.locator(".webcam .dim").inner_text() == before
    button.focus()
    page.keyboard.down("Space")
    page.wait_for_timeout(400)
    page.keyboard.up("Space")
    assert card.locator(".webcam .dim").inner_text() != before
    expect(card.locator(".count")).not_to_have_text("0 pictures")


def test_a_training_is_cancelled_and_what_was_there_stays(visit: Visit, shapes: Path) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "stopped")
    page.locator(".bulk input[webkitdirectory]").set_input_files(shapes)
    page.get_by_role("button", name="Train", exact=True).click()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop training").click()
    expect(page.locator(".training")).to_contain_text("The last training was cancelled")
    expect(page.get_by_role("button", name="Train again")).to_be_enabled()
    expect(page.get_by_role("article", name="Class discs")).to_contain_text("12 pictures")
    assert until_final(visitor, "stopped").state == "cancelled"


def test_a_failure_says_what_to_do(visit: Visit, tmp_path: Path) -> None:
    """The same pictures in two classes: every one is set aside, and none is left."""
    page = visit().open()
    create(page, "failing")
    paths = draw(tmp_path, 12, "disc", seed=9)
    for number in (1, 2):
        card = page.get_by_role("article", name=f"Class {number}")
        card.locator("input[type=file]").set_input_files(paths)
        expect(card).to_contain_text("12 pictures")
    page.get_by_role("button", name="Train", exact=True).click()
    failure = page.get_by_role("alert").filter(has_text="The training failed")
    expect(failure).to_contain_text("Class 1", timeout=TRAINING_MS)
    expect(failure).to_contain_text("What helps")


def test_what_is_no_picture_is_named_with_its_reason(visit: Visit, tmp_path: Path) -> None:
    page = visit().open()
    create(page, "refused")
    good = draw(tmp_path / "good", 2, "disc", seed=11)
    (tmp_path / "page.jpg").write_text("<!doctype html><script>alert(1)</script>")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "cut.png").write_bytes(good[0].read_bytes()[:300])
    odd = [tmp_path / name for name in ("page.jpg", "empty.png", "cut.png")]
    card = page.get_by_role("article", name="Class 1")
    card.locator("input[type=file]").set_input_files([*good, *odd])
    expect(card).to_contain_text("2 pictures")
    summary = page.get_by_text("3 files were not taken")
    summary.click()
    reasons = page.locator(".failed")
    expect(reasons).to_contain_text("page.jpg: this is no picture")
    expect(reasons).to_contain_text("empty.png: the file is empty")
    expect(reasons).to_contain_text("cut.png: the picture is damaged or cut off")


DROP = """async ([target, files]) => {
  const transfer = new DataTransfer();
  for (const { name, bytes } of files) {
    transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  }
  const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
  for (const kind of ["dragover", "drop"]) target.dispatchEvent(new DragEvent(kind, options));
}"""
PASTE = """async ({ name, bytes }) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const options = { clipboardData: transfer, bubbles: true, cancelable: true };
  document.body.dispatchEvent(new ClipboardEvent("paste", options));
}"""


def test_pictures_are_dropped_on_a_class_and_pasted_into_the_one_used_last(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit().open()
    create(page, "dropped")
    first, second, third = (
        {"name": path.name, "bytes": list(path.read_bytes())}
        for path in draw(tmp_path, 3, "disc", seed=21)
    )
    card = page.get_by_role("article", name="Class 2")
    page.evaluate(DROP, [card.element_handle(), [first, second]])
    expect(card).to_contain_text("2 pictures")
    page.evaluate(PASTE, third)
    expect(card).to_contain_text("3 pictures")
    expect(page.get_by_role("article", name="Class 1")).to_contain_text("0 pictures")
