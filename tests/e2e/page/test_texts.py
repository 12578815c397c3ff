"""Texts: from an empty project to a prediction, by page alone."""

import csv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import TRAINING_MS, Visit, create
from tests.texts import labelled_texts

ROWS = 110


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table whose columns do not say what they hold, in a German spreadsheet's form."""
    path = tmp_path_factory.mktemp("rows") / "export.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as out:
        rows = csv.writer(out, delimiter=";")
        rows.writerow(["id", "a", "b"])
        for number, (text, label) in enumerate(labelled_texts(ROWS)):
            rows.writerow([number, label, text])
    return path


def test_the_whole_way_from_a_table(visit: Visit, table: Path) -> None:
    page = visit().open()
    create(page, "topics", "Texts")
    expect(page.locator("#train-why")).to_contain_text("Add a table")
    page.locator(".bulk input[type=file]").set_input_files(table)
    preview = page.get_by_role("region", name="Table export.csv")
    expect(preview).to_contain_text(f"{3 * ROWS} rows")
    expect(preview.get_by_label("Texts are in").locator("option:checked")).to_have_text("b")
    expect(preview.get_by_label("Labels are in").locator("option:checked")).to_have_text("a")
    expect(preview.get_by_role("list", name="Labels")).to_contain_text(f"sport: {ROWS}")
    preview.get_by_role("button", name="Add this table").click()
    expect(page.get_by_role("list", name="Tables")).to_contain_text("export.csv")
    train = page.get_by_role("button", name="Train", exact=True)
    expect(page.locator("#train-why")).to_contain_text("free on this computer")
    page.locator("details.advanced summary").click()
    page.get_by_label("Recipe").select_option("Fast")
    expect(train).to_be_enabled()
    train.click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    page.reload()
    expect(page.get_by_role("region", name="Try it")).to_be_visible(timeout=TRAINING_MS)
    text, label = labelled_texts(1, seed=5)[0]
    page.get_by_label("A text", exact=True).fill(text)
    page.get_by_role("button", name="Classify").click()
    expect(page.locator(".verdict strong")).to_have_text(label)
    expect(page.locator(".training .note.good")).to_contain_text("Ready", timeout=TRAINING_MS)

    page.get_by_role("link", name="Inference").click()
    page.get_by_label("A text", exact=True).fill(text)
    page.get_by_role("button", name="Classify").click()
    page.get_by_role("button", name="Why?").click()
    expect(page.locator("mark.for").first).to_be_visible()
    page.get_by_role("button", name="Wrong", exact=True).click()
    other = "food" if label != "food" else "sport"
    page.get_by_label("What it really is").select_option(other)
    expect(page.locator(".thanks")).to_contain_text(f"Kept as “{other}”")
    page.get_by_role("link", name="Fetch details").click()
    expect(page.locator(".told")).to_contain_text("out of")
    page.get_by_role("link", name="Endpoint").click()
    expect(page.get_by_role("tabpanel")).to_contain_text('{"text": "…"}')


def test_rows_that_are_typed_become_a_table(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "typed", "Texts")
    for label, texts in (("good", 'fine\nsay "yes", twice\n'), ("bad", "no\n\nnever, ever")):
        page.get_by_label("Texts, one on each line").fill(texts)
        page.get_by_label("Their label").fill(label)
        page.get_by_role("button", name="Add", exact=True).click()
    page.reload()  # what is not saved yet outlives it
    expect(page.locator(".typed")).to_contain_text("good: 2 · bad: 2")
    page.get_by_role("button", name="Save 4 rows").click()
    expect(page.get_by_role("list", name="Tables")).to_contain_text("typed-")
    expect(page.get_by_role("list", name="Labels")).to_contain_text("good: 2")
    expect(page.locator("#train-why")).to_contain_text("needs")
    expect(page.get_by_role("button", name="Train", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Take out typed-").click()
    page.get_by_role("dialog").get_by_role("button", name="Take out").click()
    expect(page.get_by_role("list", name="Tables")).to_have_count(0)
