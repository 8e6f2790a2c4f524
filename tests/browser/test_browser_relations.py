"""Relations in a browser: added from a person and seen from the company, refused, ended, and deleted."""

from __future__ import annotations

import dataclasses
import secrets

import pytest
from playwright.sync_api import Locator, expect

from support.resume_files import ADA, pdf_one_column

pytestmark = [pytest.mark.cluster, pytest.mark.road]


@pytest.fixture
def company() -> str:
    """A name that no other company in the instance has."""
    return f"Harbour {secrets.token_hex(4)}"


def make_company(browser, name: str) -> None:
    browser.open("/companies/new")
    browser.page.get_by_label("Name", exact=True).fill(name)
    browser.page.get_by_role("button", name="Save").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(name)


def make_person(browser, name: str) -> None:
    """Upload a résumé of that name, and go to the person in it."""
    content = pdf_one_column(dataclasses.replace(ADA, name=name))
    browser.open("/resumes/upload")
    file = {"name": f"{secrets.token_hex(4)}.pdf", "mimeType": "application/pdf", "buffer": content}
    browser.page.set_input_files("#file", [file])
    browser.page.get_by_role("link", name=name).click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(name)


def choose(section: Locator, kind: str, name: str) -> None:
    """Choose what a new relation is, and look for its other end by words."""
    section.get_by_label("Relation", exact=True).select_option(label=kind)
    section.get_by_label("Search").fill(name)
    # The answer to the words, and not one of before: it has that one alone, beside none.
    expect(section.get_by_label("With").locator("option")).to_have_text(["–", name])
    section.get_by_label("With").select_option(label=name)


def test_given_a_person_when_work_is_added_then_the_company_shows_it_and_it_ends_and_goes(
    visit, somebody: str, company: str
) -> None:
    browser = visit()
    browser.sign_in()
    page, section = browser.page, browser.page.locator("#relations")
    make_company(browser, company)
    make_person(browser, somebody)
    person = page.url

    expect(section).to_contain_text("No relation is known.")
    section.get_by_text("Add a relation").click()
    choose(section, "Works at", company)
    section.get_by_label("Job title").fill("Engineer")
    section.get_by_label("First day").fill("2024-02-01")
    section.get_by_label("Last day").fill("2023-01-31")
    browser.expect_failure(422)
    section.get_by_role("button", name="Add").click()
    wrong = section.get_by_label("Last day")
    expect(wrong).to_have_attribute("aria-invalid", "true")
    expect(section.get_by_label("Job title")).to_have_value("Engineer")
    expect(section.get_by_label("With").locator("option:checked")).to_have_text(company)
    wrong.fill("")
    section.get_by_role("button", name="Add").click()
    expect(section.get_by_role("status")).to_contain_text("Saved.")
    expect(section).to_contain_text("Works at")
    assert page.url == person, "the section alone was replaced"

    section.get_by_role("link", name=company).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(company)
    expect(section).to_contain_text("Works here")
    expect(section.get_by_role("link", name=somebody)).to_have_count(1)
    section.locator("summary", has_text="Edit").click()
    section.get_by_label("Last day").first.fill("2025-06-30")
    section.get_by_role("button", name="Save").click()
    expect(section).to_contain_text("2024-02-01 – 2025-06-30")

    section.locator("summary", has_text="Edit").click()
    section.get_by_role("button", name="Delete").click()
    expect(section).to_contain_text("No relation is known.")
    page.goto(person)
    expect(section).to_contain_text("No relation is known.")


def test_given_no_script_when_a_relation_is_added_then_the_form_asks_and_the_page_shows_it(
    visit, somebody: str, company: str
) -> None:
    browser = visit()
    browser.sign_in()
    make_company(browser, company)
    make_person(browser, somebody)
    person = browser.page.url.removeprefix(browser.site.address)

    plain = visit(script=False)
    plain.sign_in()
    plain.open(person)
    section = plain.page.locator("#relations")
    section.get_by_text("Add a relation").click()
    section.get_by_label("Relation", exact=True).select_option(label="Worked at")
    section.get_by_label("Search").fill(company)
    section.get_by_role("button", name="Search").click()
    section.get_by_label("With").select_option(label=company)
    section.get_by_label("Last day").fill("2020-12-31")
    section.get_by_role("button", name="Add").click()
    expect(plain.page.locator("#notice")).to_contain_text("Saved.")
    expect(plain.page.get_by_role("heading", level=1)).to_have_text(somebody)
    expect(section).to_contain_text("… – 2020-12-31")
    expect(section.get_by_role("link", name=company)).to_have_count(1)
