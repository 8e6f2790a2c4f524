"""Skills in a browser: found as one types, made under another, and a circle that is refused at its field."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.cluster, pytest.mark.road]


def test_given_the_starting_taxonomy_then_a_skill_is_found_by_any_spelling(visit) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/skills")
    page = browser.page
    page.get_by_role("button", name="Load the starting taxonomy").click()
    page.get_by_role("searchbox").fill("node js")
    expect(page.locator("#matches")).to_contain_text("Node.js")
    page.locator("#matches").get_by_role("link", name="Node.js", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Node.js")
    expect(page.locator("#above")).to_contain_text("Back-End Development")


def test_given_a_skill_when_it_is_put_under_its_own_then_its_field_says_why_not(visit) -> None:
    browser = visit()
    browser.sign_in()
    above, below = f"Craft {secrets.token_hex(4)}", f"Rushwork {secrets.token_hex(4)}"
    page = browser.page
    for name, parent in ((above, ""), (below, above)):
        browser.open("/skills/new")
        page.get_by_label("English name", exact=True).fill(name)
        page.get_by_role("textbox", name="Above it").fill(parent)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(name)
    page.locator("#above").get_by_role("link", name=above).click()
    expect(page.locator("#below")).to_contain_text(below)
    page.get_by_text("Edit", exact=True).click()
    page.get_by_role("textbox", name="Above it").fill(below)
    browser.expect_failure(422)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-parents-errors")).to_contain_text("closes a circle")
