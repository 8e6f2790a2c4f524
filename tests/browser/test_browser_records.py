"""Jobs and companies in a browser: made, refused, changed, found again, and deleted."""

from __future__ import annotations

import re
import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.cluster, pytest.mark.road]


@pytest.fixture
def company() -> str:
    """A name that no other company in the instance has."""
    return f"Harbour {secrets.token_hex(4)}"


def test_given_a_company_when_a_job_of_it_is_made_then_each_leads_to_the_other(visit, company: str) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    page.get_by_role("link", name="Companies").click()
    page.get_by_role("link", name="New company").click()
    page.get_by_label("Name", exact=True).fill(company)
    page.get_by_label("Industry").fill("Payments")
    page.get_by_label("Website").fill("https://harbour.example.org")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(company)
    score = page.locator("#quality-score")
    expect(score).to_have_text(re.compile(r"^\d+$"))

    page.get_by_role("link", name="New job here").click()
    title = f"Engineer at {company}"
    page.get_by_label("Job title").fill(title)
    page.get_by_label("Skills").fill("Python, Go，SQL")
    page.get_by_label("Workplace").select_option("remote")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(title)
    expect(page.locator(".pairs")).to_contain_text("Python, Go, SQL")
    page.locator(".pairs").get_by_role("link", name=company).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(company)
    expect(page.get_by_role("link", name=title)).to_have_count(1)


def test_given_a_salary_that_cannot_be_then_it_is_told_at_its_field_and_nothing_is_lost(
    visit, company: str
) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/jobs/new")
    page = browser.page
    page.get_by_label("Job title").fill(f"Analyst at {company}")
    page.get_by_label("Company").fill(company)
    page.get_by_label("Salary from").fill("9,000")
    page.get_by_label("Salary up to").fill("8000")
    browser.expect_failure(422)
    page.get_by_role("button", name="Save").click()
    wrong = page.get_by_label("Salary up to")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(wrong).to_have_attribute("aria-describedby", "field-salary.max-errors")
    expect(page.get_by_label("Job title")).to_have_value(f"Analyst at {company}")
    wrong.fill("12000")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Analyst at {company}")
    expect(page.locator(".pairs")).to_contain_text("12000")


def test_given_a_job_when_it_is_closed_and_deleted_then_lists_follow(visit, company: str) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    browser.open(f"/jobs/new?company_name={company}")
    page.get_by_label("Job title").fill(f"Clerk at {company}")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Edit", exact=True).click()
    page.get_by_label("Status").select_option("closed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".badge").first).to_have_text("Closed")

    browser.open("/jobs")
    page.fill("#q", company)
    expect(page.locator(".person-row")).to_have_count(1)
    page.get_by_label("Status").select_option("open")
    expect(page.locator(".person-row")).to_have_count(0)
    page.get_by_label("Status").select_option("closed")
    expect(page.locator(".person-row")).to_have_count(1)
    assert "status=closed" in page.url
    page.locator(".person-link").click()
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#notice")).to_contain_text("Deleted.")
    page.fill("#q", company)
    expect(page.locator(".empty")).to_contain_text("Nothing fits this search.")
