"""Deleting a project by its page: asked by name, shown as it goes, ended with a receipt."""

from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.page.conftest import Visit, create


def test_a_project_is_deleted_with_a_receipt(visit: Visit, shapes: Path) -> None:
    visitor = visit()
    page = visitor.open()
    create(page, "gone")
    page.locator(".bulk input[webkitdirectory]").set_input_files(shapes)
    expect(page.get_by_role("article", name="Class discs")).to_contain_text("12 pictures")
    page.get_by_role("link", name="Endpoint").click()
    page.get_by_role("button", name="Delete project").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("to confirm").fill("gon")
    expect(dialog.get_by_role("button", name="Delete for good")).to_be_disabled()
    dialog.get_by_label("to confirm").fill("gone")
    dialog.get_by_role("button", name="Delete for good").click()
    receipt = page.locator(".receipt")
    expect(receipt).to_contain_text("Gone.", timeout=120_000)
    expect(receipt).to_contain_text("24")
    receipt.get_by_role("link", name="All projects").click()
    expect(page.get_by_role("heading", name="Make your first classifier")).to_be_visible()
