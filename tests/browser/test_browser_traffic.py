"""The map of services in a browser: it moves by itself, and the keyboard keeps its place while it does."""

from __future__ import annotations

import re
import threading

import pytest
from playwright.sync_api import Page, expect

from support.cluster import Cluster

pytestmark = pytest.mark.cluster

PHONE = {"width": 375, "height": 760}
SERVICE = "talent-sync"
PATH = "/api/v1/talents?limit=1"
PAUSE_SECONDS = 0.2
LIVE_MILLISECONDS = 60_000


def card(page: Page, service: str = SERVICE):
    return page.locator("li.service").filter(has=page.locator(f"#traffic-{service}"))


@pytest.fixture
def traffic(cluster: Cluster):
    """Somebody who asks a few times a second, until the test ends."""
    over = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        with cluster.api() as api:
            while not over.wait(PAUSE_SECONDS):
                statuses.append(api.get(PATH).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    yield statuses
    over.set()
    thread.join()


def test_given_requests_when_the_map_is_open_then_it_shows_them_by_itself(visit, traffic) -> None:
    browser = visit()
    browser.sign_in()
    browser.page.get_by_role("navigation", name="Main menu").get_by_role("link", name="Traffic").click()
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("Traffic")
    expect(browser.page.locator("#live")).to_have_class(re.compile("is-live"))
    browser.page.evaluate("window.neverReloaded = true")
    rate = card(browser.page).locator(".figures dd").first
    expect(rate).to_have_text(re.compile(r"^[1-9]"), timeout=LIVE_MILLISECONDS)
    expect(card(browser.page)).to_contain_text("sampled request", timeout=LIVE_MILLISECONDS)
    # All of it goes to the one revision, as asked and as HAProxy gives it.
    row = card(browser.page).locator(".shares tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator("td").nth(1)).to_have_text(re.compile(r"^100\s%$"))
    expect(row.locator("td").nth(2)).to_have_text(re.compile(r"^100\s%$"))
    expect(browser.page.locator("#pods-unknown")).to_have_count(0)
    assert browser.page.evaluate("window.neverReloaded") is True
    assert set(traffic) == {200}


def test_the_focus_stays_where_it_is_while_the_map_moves(visit, traffic) -> None:
    browser = visit(viewport=PHONE, locale="zh-CN")
    browser.sign_in()
    browser.open("/gateway")
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("流量")
    link = browser.page.locator(f"#traffic-{SERVICE}")
    link.focus()
    browser.page.evaluate("document.querySelector('#traffic-map > ul').dataset.first = 'yes'")
    # Until the list is another one than it was.
    expect(browser.page.locator("#traffic-map > ul[data-first]")).to_have_count(0, timeout=LIVE_MILLISECONDS)
    expect(link).to_be_focused()
    browser.page.keyboard.press("Enter")
    expect(browser.page.get_by_role("heading", level=1)).to_have_text(SERVICE)
