"""Who may open what: a link signs in, and the browser is not believed."""

from typing import Any

from playwright.sync_api import expect

from tests.e2e.page.conftest import Visit, create


def test_a_link_signs_in_and_leaves_no_trace_in_the_address(visit: Visit, stack: Any) -> None:
    visitor = visit()
    page = visitor.open()
    assert "token" not in page.url
    assert "xt_" not in page.evaluate("history.state + location.href + document.referrer")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Your link or token")).to_be_visible()
    assert page.evaluate("localStorage.getItem('exemplar.token')") is None
    page.reload()
    expect(page.get_by_label("Your link or token")).to_be_visible()
    page.get_by_label("Your link or token").fill(f"xt_token_of_{visitor.user}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Make your first classifier")).to_be_visible()


def test_a_token_that_opens_nothing_leads_back_to_signing_in(visit: Visit) -> None:
    visitor = visit()
    page = visitor.open(is_signed=False)
    page.get_by_label("Your link or token").fill("xt_nobody")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("no longer valid")
    expect(page.get_by_label("Your link or token")).to_be_visible()


def test_a_project_of_somebody_else_is_not_there(visit: Visit) -> None:
    owner, other = visit(), visit()
    create(owner.open(), "private")
    page = other.open("private")
    expect(page.get_by_role("alert")).to_contain_text("You have no project called private")
    page.goto(f"{other.address}#/")
    expect(page.get_by_role("heading", name="Make your first classifier")).to_be_visible()
