"""The history of a record in a browser: made, changed, deleted, and still told."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.cluster, pytest.mark.road]


@pytest.fixture
def company() -> str:
    """A name that no other company in the instance has."""
    return f"Quay {secrets.token_hex(4)}"


def test_given_a_company_that_was_changed_and_deleted_then_its_history_tells_all_of_it(
    visit, company: str
) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    browser.open("/companies/new")
    page.get_by_label("Name", exact=True).fill(company)
    page.get_by_label("Place").fill("York")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(company)
    page.get_by_text("Edit", exact=True).click()
    page.get_by_label("Place").fill("Leeds")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".pairs")).to_contain_text("Leeds")

    page.get_by_role("link", name="Change history").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change history")
    rows = page.locator(".history tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("Changed")
    expect(rows.nth(0)).to_contain_text("admin")
    expect(rows.nth(0).locator("del")).to_have_text("York")
    expect(rows.nth(0).locator("ins")).to_have_text("Leeds")
    expect(rows.nth(1)).to_contain_text("Created")
    expect(rows.nth(1)).to_contain_text(company)
    history = page.url

    page.get_by_role("link", name=company).click()
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#notice")).to_contain_text("Deleted.")
    page.goto(history)
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("Deleted")
    expect(page.get_by_role("link", name=company)).to_have_count(0)


def test_given_many_changes_then_the_older_ones_come_when_they_are_asked_for(visit, company: str) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    browser.open(f"/jobs/new?company_name={company}")
    page.get_by_label("Job title").fill(f"Clerk at {company}")
    page.get_by_role("button", name="Save").click()
    for number in range(1, 22):
        page.get_by_text("Edit", exact=True).click()
        page.get_by_label("Openings").fill(str(number + 1))
        page.get_by_role("button", name="Save").click()
        # The page that came after the form, not the one that it was sent from.
        expect(page.locator("input[name=version]").first).to_have_value(str(number + 1))
    page.get_by_role("link", name="Change history").click()
    rows = page.locator(".history tbody tr:not(.more-row)")
    expect(rows).to_have_count(20)
    page.get_by_role("link", name="Show more").click()
    expect(rows).to_have_count(22)
    expect(rows.last).to_contain_text("Created")
    expect(page.get_by_role("link", name="Show more")).to_have_count(0)
