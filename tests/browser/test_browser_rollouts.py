"""A canary in a browser: its steps and weights are seen as they come, and a person lets it go on or ends it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from support.canaries import CANARY, REPLICAS, gone
from support.cluster import Cluster
from support.probe_service import Probe, probing

pytestmark = [pytest.mark.cluster, pytest.mark.road]

ROLLOUT_MILLISECONDS = 120_000
PHONE = {"width": 375, "height": 760}


@pytest.fixture
def watched(cluster: Cluster) -> Iterator[Probe]:
    """A probe at r1 whose new versions come in steps."""
    with probing(cluster, "watched") as probe:
        probe.apply(replicas=REPLICAS, rollout=CANARY)
        probe.wait(stable="r1", sentence="the first version serves")
        probe.wait_routed()
        yield probe


def ask(page: Page, action: str, *, label: str, button: str, reason: str) -> None:
    """Press the action's button, say why in the dialog, and send it."""
    pressed = page.locator(f"#ask-{action}")
    expect(pressed).to_have_text(label)
    pressed.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Why?")).to_be_focused()
    dialog.get_by_label("Why?").fill(reason)
    dialog.get_by_role("button", name=button).click()
    expect(page.locator(".notice.done")).to_be_visible()


def half_way(page: Page) -> None:
    """Wait until the page shows the canary in its last pause, with half of the requests asked for and given."""
    steps = page.locator("#rollout .steps li")
    expect(steps).to_have_text(
        ["20 %", "wait 2 s", "50 %", "wait for somebody"], timeout=ROLLOUT_MILLISECONDS
    )
    expect(steps.last).to_have_attribute("aria-current", "step", timeout=ROLLOUT_MILLISECONDS)
    for meter in ("#asked", "#given"):
        expect(page.locator(meter)).to_have_attribute("value", re.compile(r"^50(\.0)?$"))


def test_given_a_canary_when_its_page_is_open_then_steps_and_weights_are_seen_and_a_person_lets_it_take_over(
    visit, cluster: Cluster, watched: Probe
) -> None:
    browser = visit()
    browser.sign_in()
    browser.open(f"/services/{watched.name}")
    page = browser.page
    expect(page.locator("#stable-revision")).to_have_text("r1")
    expect(page.locator("#live")).to_have_class(re.compile("is-live"))
    expect(page.locator("#rollout .steps")).to_have_count(0)
    page.evaluate("window.neverReloaded = true")

    # When a new version is applied, then its steps come by themselves
    watched.apply(replicas=REPLICAS, rollout=CANARY, version="2")
    half_way(page)
    expect(page.locator("#traffic tbody tr").filter(has_text="r2").first).to_contain_text("50 %")
    assert page.evaluate("window.neverReloaded") is True

    # When a person promotes it and says why
    question = "Take the new revision to its next step"
    ask(page, "promote", label="Next step", button=question, reason="no errors for an hour")

    # Then it serves, and who and why are kept
    expect(page.locator("#stable-revision")).to_have_text("r2", timeout=ROLLOUT_MILLISECONDS)
    expect(page.locator("#event-list")).to_contain_text("RolloutCompleted", timeout=ROLLOUT_MILLISECONDS)
    done = watched.wait(stable="r2", sentence="the second version serves")
    (kept,) = done["status"]["requests"]
    assert (kept["action"], kept["result"], kept["requestedBy"]) == ("promote", "Done", "admin")
    assert kept["reason"] == "no errors for an hour"
    browser.open("/audit")
    row = page.locator("tbody tr").filter(has_text=f"aiservice/{watched.name}").first
    expect(row).to_contain_text("Next step")
    expect(row).to_contain_text("admin")
    expect(row).to_contain_text("no errors for an hour")


@pytest.mark.long
def test_given_a_canary_on_a_phone_when_it_is_aborted_then_the_page_says_so_and_that_it_can_be_tried_again(
    visit, cluster: Cluster, watched: Probe
) -> None:
    browser = visit(viewport=PHONE)
    browser.sign_in()
    browser.open(f"/services/{watched.name}")
    page = browser.page
    watched.apply(replicas=REPLICAS, rollout=CANARY, version="2")
    half_way(page)
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    ask(page, "abort", label="Abort", button="Abort the rollout", reason="slower than before")
    expect(page.locator("#rollout .badge")).to_have_text("Aborted", timeout=ROLLOUT_MILLISECONDS)
    expect(page.locator("#event-list")).to_contain_text("asked for by admin: slower than before")
    expect(page.locator("#ask-retry")).to_be_visible()
    expect(page.locator("#ask-promote")).to_have_count(0)
    back = gone(cluster, watched, "r2")
    assert back["status"]["stableRevision"] == "r1"
