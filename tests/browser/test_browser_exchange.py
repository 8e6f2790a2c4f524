"""Files of jobs in a browser: previewed, imported, found, exported and imported again."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.cluster, pytest.mark.road]


def test_given_a_table_when_it_was_previewed_then_importing_keeps_it(visit, tmp_path: Path) -> None:
    company = f"Harbour {secrets.token_hex(4)}"
    table = tmp_path / "jobs.csv"
    table.write_text(
        f"title,company_name,openings\nSmith at {company},{company},2\nClerk at {company},{company},many\n"
    )
    browser = visit()
    browser.sign_in()
    browser.open("/jobs")
    page = browser.page
    page.get_by_role("link", name="Import", exact=True).click()
    # Choosing is previewing.
    page.set_input_files("#file", table)
    expect(page.locator("#outcome-title")).to_have_text("What an import would do")
    rows = page.locator("#outcome tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="openings")).to_contain_text("Refused")
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#outcome-title")).to_have_text("What was imported")
    rows.filter(has_text="New").get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Smith at {company}")

    browser.open("/jobs")
    page.fill("#q", company)
    expect(page.locator(".person-row")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    exported = tmp_path / "again.csv"
    download.value.save_as(exported)
    assert exported.read_text(encoding="utf-8-sig").count(f"Smith at {company}") == 1

    page.get_by_role("link", name="Import", exact=True).click()
    page.set_input_files("#file", exported)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Unchanged")


def test_given_a_file_that_is_dropped_then_it_is_previewed_alone(visit) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/people/import")
    page = browser.page
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["full_name\\nAda Byron\\n--\\n"], "people.csv", { type: "text/csv" }));
            document.getElementById("import").dispatchEvent(
                new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data }));
        }"""
    )
    expect(page.locator("#outcome-title")).to_have_text("What an import would do")
    expect(page.locator("#outcome")).to_contain_text("New: 1")
    expect(page.locator("#outcome")).to_contain_text("Refused: 1")
