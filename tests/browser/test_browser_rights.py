"""A person's rights in a browser: a consent is noted and withdrawn, and the person is erased with a proof."""

from __future__ import annotations

import dataclasses
import secrets

import pytest
from playwright.sync_api import expect

from support.resume_files import ADA, pdf_one_column

pytestmark = [pytest.mark.cluster, pytest.mark.road]


def test_given_a_person_when_erased_then_the_proof_is_shown_and_the_page_is_gone(
    visit, somebody: str
) -> None:
    # An address of their own: what holds another's as well is told, and is no proof.
    content = pdf_one_column(
        dataclasses.replace(ADA, name=somebody, email=f"{secrets.token_hex(4)}@mail.example")
    )
    browser = visit()
    browser.expect_failure(422)
    browser.expect_failure(404)
    browser.sign_in()
    page = browser.page
    browser.open("/resumes/upload")
    file = {"name": f"{secrets.token_hex(4)}.pdf", "mimeType": "application/pdf", "buffer": content}
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("link", name=somebody).click()
    here = page.url

    page.get_by_role("link", name="Consents").click()
    page.get_by_label("Evidence").fill("form 12, signed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Withdraw").click()
    expect(page.locator("tbody tr")).to_contain_text("Withdrawn")

    page.goto(here)
    page.get_by_role("link", name="Export or erase").click()
    name = page.locator("p.lead").inner_text().split(" 0")[0].strip()
    page.get_by_label("Write the person's name to confirm").fill("Somebody Else")
    page.get_by_role("button", name="Erase for good").click()
    expect(page.locator("main")).to_contain_text("Nothing was erased.")
    page.get_by_label("Write the person's name to confirm").fill(name)
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Proof of an erasure")
    expect(page.locator("main")).to_contain_text("resume.resumes")
    assert page.goto(here).status == 404
