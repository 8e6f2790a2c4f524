"""Duplicates in a browser: one person who was uploaded twice is found, merged, and taken apart again."""

from __future__ import annotations

import dataclasses
import re
import secrets

import pytest
from playwright.sync_api import expect

from support.resume_files import ADA, pdf_one_column

pytestmark = [pytest.mark.cluster, pytest.mark.road]


def make_person(browser, name: str, *, email: str, location: str) -> None:
    """Upload a résumé of that name, and go to the person in it."""
    content = pdf_one_column(dataclasses.replace(ADA, name=name, email=email, location=location))
    browser.open("/resumes/upload")
    file = {"name": f"{secrets.token_hex(4)}.pdf", "mimeType": "application/pdf", "buffer": content}
    browser.page.set_input_files("#file", [file])
    browser.page.get_by_role("link", name=name).click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(name)


def test_given_one_person_twice_when_they_are_merged_then_it_can_be_undone(visit, somebody: str) -> None:
    browser = visit()
    browser.sign_in()
    page = browser.page
    look = page.get_by_role("button", name="Look for duplicates")
    email = f"{secrets.token_hex(4)}@mail.example"
    make_person(browser, somebody, email=email, location="Stockholm, Sweden")
    look.click()
    # Another file: the same one again would be the same résumé.
    make_person(browser, somebody, email=email, location="Uppsala, Sweden")
    look.click()
    # Others of the instance may have the same number: their pairs are in a list then.
    if page.locator("#duplicates").count():
        rows = page.locator("#duplicates tr").filter(
            has_text=re.compile(f"{somebody}.*{somebody}", re.DOTALL)
        )
        rows.get_by_role("link").first.click()
    expect(page.locator("#reasons")).to_contain_text("The name is the same.")
    pair = page.url
    page.get_by_role("button", name="Merge the two").click()
    expect(page.get_by_role("heading", name="Merged")).to_be_visible()
    page.get_by_role("button", name="Undo the merge").click()
    expect(page.locator("#both")).to_be_visible()
    assert page.url == pair
    page.get_by_role("button", name="They are two").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Duplicates")
