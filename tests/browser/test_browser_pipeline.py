"""A job's board in a browser: somebody is added, moved, and rejected with a reason, also without a script."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import Locator, expect

pytestmark = [pytest.mark.cluster, pytest.mark.road]


@pytest.fixture
def work() -> str:
    """A title that no other job in the instance has."""
    return f"Clerk {secrets.token_hex(4)}"


def make_job(browser, title: str) -> None:
    browser.open("/jobs/new")
    browser.page.get_by_label("Job title", exact=True).fill(title)
    browser.page.get_by_role("button", name="Save").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(title)


def add_somebody(browser) -> str:
    """Look for somebody of the demonstration's people, and add the first one that is found; the name."""
    page = browser.page
    page.get_by_role("link", name="Applications").click()
    page.get_by_label("Search people").fill("engineer")
    page.get_by_role("button", name="Search").click()
    found = page.get_by_label("Person", exact=True)
    name = found.locator("option").first.inner_text()
    page.get_by_label("How the person came").fill("referral")
    page.get_by_role("button", name="Add", exact=True).click()
    return name


def column(page, stage: str) -> Locator:
    found: Locator = page.locator(f'[data-stage="{stage}"]')
    return found


def test_given_a_job_when_somebody_is_added_and_moved_then_the_board_shows_where(visit, work: str) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    make_job(browser, work)
    name = add_somebody(browser)
    expect(column(page, "applied").get_by_role("link", name=name).first).to_be_visible()
    board = page.url

    card = column(page, "applied").locator("li.card")
    card.locator("summary").click()
    card.get_by_label("Move to").select_option(label="Interview")
    card.get_by_role("button", name="Move").click()
    expect(page.locator("#board").get_by_role("status")).to_contain_text("Moved.")
    expect(column(page, "interview")).to_contain_text(name)
    assert page.url == board, "the board alone was replaced"

    card = column(page, "interview").locator("li.card")
    card.locator("summary").click()
    card.get_by_label("Move to").select_option(label="Rejected")
    browser.expect_failure(422)
    card.get_by_role("button", name="Move").click()
    expect(card.get_by_label("Reason")).to_have_attribute("aria-invalid", "true")
    expect(card.get_by_label("Move to").locator("option:checked")).to_have_text("Rejected")
    card.get_by_label("Reason").fill("no visa")
    card.get_by_role("button", name="Move").click()
    expect(column(page, "rejected")).to_contain_text("no visa")
    expect(page.locator("#funnel")).to_contain_text("Rejected")

    column(page, "rejected").get_by_role("link", name="History").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("table.history tbody tr")).to_have_count(3)
    expect(page.locator("table.history tbody tr").first).to_contain_text("Interview → Rejected")


def test_given_no_script_when_somebody_is_moved_then_the_page_shows_it(visit, work: str) -> None:
    browser = visit(script=False)
    browser.sign_in()
    page = browser.page
    make_job(browser, work)
    name = add_somebody(browser)
    expect(page.locator("#notice")).to_contain_text("Added.")
    card = column(page, "applied").locator("li.card")
    card.locator("summary").click()
    card.get_by_label("Move to").select_option(label="Offer")
    card.get_by_role("button", name="Move").click()
    expect(page.locator("#notice")).to_contain_text("Moved.")
    expect(column(page, "offer")).to_contain_text(name)
