"""How the console behaves for everybody: phone, keyboard, language, roles, and a policy that is never broken."""

from __future__ import annotations

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.cluster, pytest.mark.road]

PHONE = {"width": 375, "height": 760}
PAGES = [
    "/people",
    "/resumes/upload",
    "/services",
    "/services/resume",
    "/services/resume/diff",
    "/gateway",
    "/models",
    "/syncs",
    "/users",
    "/audit",
    "/account",
]
WATCH_POLICY = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (e) => window.violations.push(e.violatedDirective));
"""


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_no_page_is_wider_than_a_phone(visit, locale: str) -> None:
    browser = visit(viewport=PHONE, locale=locale)
    browser.sign_in()
    for path in PAGES:
        browser.open(path)
        wider = browser.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wider <= 0, f"{path} is {wider} px wider than the screen"
    # A finger finds every entry of the menu.
    for box in (entry.bounding_box() for entry in browser.page.locator(".menu a").all()):
        assert box is not None
        assert box["height"] >= 44
        assert box["width"] >= 44


def test_no_page_breaks_its_own_policy(visit) -> None:
    browser = visit()
    browser.page.add_init_script(WATCH_POLICY)
    browser.sign_in()
    for path in PAGES:
        browser.open(path)
        browser.page.wait_for_load_state("load")
        assert browser.page.evaluate("window.violations") == [], path


def test_the_policy_stops_a_script_that_somebody_slipped_in(visit) -> None:
    browser = visit()
    browser.page.add_init_script(WATCH_POLICY)
    browser.open("/login")
    browser.expected.append("Content Security Policy")
    browser.expect_failure(404)
    browser.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.broken = true\">')"
    )
    browser.page.wait_for_function("window.violations.length > 0")
    assert browser.page.evaluate("window.broken") is None


def test_the_switch_changes_the_language_and_stays(visit) -> None:
    browser = visit()
    browser.open("/login?next=/people")
    browser.page.get_by_role("button", name="简体中文").click()
    expect(browser.page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(browser.page.get_by_role("heading", level=1)).to_have_text("登录")
    assert browser.page.url.endswith("/login?next=/people")
    browser.sign_in()
    for path in PAGES:
        browser.open(path)
        expect(browser.page.locator("html")).to_have_attribute("lang", "zh-CN")
    browser.page.get_by_role("button", name="English").click()
    expect(browser.page.locator("html")).to_have_attribute("lang", "en")


def test_the_keyboard_is_enough(visit) -> None:
    browser = visit()
    browser.sign_in()
    browser.open("/people")
    browser.page.keyboard.press("Tab")
    skip = browser.page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    browser.page.keyboard.press("Enter")
    expect(browser.page.locator("#main")).to_be_focused()
    browser.page.keyboard.press("Tab")
    focused = browser.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert focused == "solid", "focus cannot be seen"


def test_a_new_recruiter_sees_what_recruiters_see(visit) -> None:
    admin = visit()
    admin.sign_in()
    admin.open("/users")
    login = f"r{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(12)
    form = admin.page.locator("form[action='/users']")
    form.get_by_label("Login").fill(login)
    form.get_by_label("First password").fill(password)
    form.get_by_label("Recruiter").check()
    form.get_by_role("button", name="Create account").click()
    expect(admin.page.locator(".notice.done")).to_contain_text(login)

    recruiter = visit()
    recruiter.sign_in(login, password)
    expect(recruiter.page.get_by_role("heading", level=1)).to_have_text("People")
    menu = recruiter.page.get_by_role("navigation", name="Main menu")
    assert [link.inner_text() for link in menu.get_by_role("link").all()] == [
        "People",
        "Jobs",
        "Companies",
        "Skills",
        "Upload",
        "Incoming",
    ]
    recruiter.expect_failure(403)
    recruiter.open("/services")
    expect(recruiter.page.locator("main")).to_contain_text("Your roles do not allow this")

    row = admin.page.locator(".account-row").filter(has_text=login)
    row.locator("summary").click()
    row.get_by_label("Open").uncheck()
    row.get_by_role("button", name="Save").click()
    recruiter.open("/people")
    expect(recruiter.page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_a_wrong_password_is_told_and_nothing_else(visit) -> None:
    browser = visit()
    browser.expect_failure(403)
    browser.open("/login")
    browser.page.fill("#login", f"nobody-{secrets.token_hex(3)}")
    browser.page.fill("#password", "guess")
    browser.page.press("#password", "Enter")
    expect(browser.page.get_by_role("alert")).to_have_text("Login or password is wrong.")
