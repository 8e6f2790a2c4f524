"""A browser on the console of the test instance; any error in its own console fails the test."""

from __future__ import annotations

import os
import secrets
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# No sandbox: the tests run as root in a container. The rest keeps Chromium from looking for Google's hosts.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 375, "height": 760}
# How long anything on a page may take; a page that needs longer is broken for a person, too.
PATIENCE = 20_000
PICTURES = Path(os.environ.get("LOOMA_TEST_RESULTS", "test-results")) / "browser"


@dataclass(frozen=True)
class Site:
    """Where the console is, and its first account."""

    address: str
    password: str


@dataclass
class Visit:
    """A page in a fresh browser profile, with what went wrong in it."""

    page: Page
    site: Site
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Go to a path of the console."""
        self.page.goto(self.site.address + path)

    def sign_in(self, login: str = "admin", password: str | None = None) -> None:
        """Sign in as a person would, with the keyboard."""
        self.open("/login")
        self.page.fill("#login", login)
        self.page.fill("#password", password or self.site.password)
        self.page.press("#password", "Enter")
        self.page.wait_for_selector(".signed-in")

    def expect_failure(self, status: int) -> None:
        """Say that an answer with this status is part of the scenario; the browser logs it as an error."""
        self.expected.append(f"status of {status}")

    def problems(self) -> list[str]:
        """Errors that the scenario did not announce."""
        return [text for text in self.wrong if not any(part in text for part in self.expected)]


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Site:
    """The test instance's console, or the one that LOOMA_TEST_ADDRESS and LOOMA_TEST_ADMIN_PASSWORD name."""
    address = os.environ.get("LOOMA_TEST_ADDRESS")
    if address:
        return Site(address.rstrip("/"), os.environ["LOOMA_TEST_ADMIN_PASSWORD"])
    cluster = request.getfixturevalue("cluster")
    return Site(cluster.address, cluster.admin_password)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, started once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """Opens fresh profiles; at the end each must be free of errors, and a failed test leaves a picture."""
    contexts: list[BrowserContext] = []
    visits: list[Visit] = []

    def start(*, viewport: dict[str, int] = DESKTOP, locale: str = "en-GB", script: bool = True) -> Visit:
        context = chromium.new_context(viewport=viewport, locale=locale, java_script_enabled=script)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        made = Visit(page=context.new_page(), site=site)
        visits.append(made)

        def console(message) -> None:
            if message.type in {"error", "warning"}:
                made.wrong.append(f"{message.type}: {message.text}")

        made.page.on("console", console)
        made.page.on("pageerror", lambda error: made.wrong.append(f"uncaught: {error}"))
        return made

    yield start
    try:
        for number, made in enumerate(visits):
            PICTURES.mkdir(parents=True, exist_ok=True)
            made.page.screenshot(path=PICTURES / f"{request.node.name}-{number}.png")
            assert made.problems() == [], f"the browser's console has errors: {made.problems()}"
    finally:
        for context in contexts:
            context.close()


@pytest.fixture
def somebody() -> str:
    """A name that nobody else in the instance has."""
    letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(6))
    return f"Rosalind {letters.capitalize()}"
