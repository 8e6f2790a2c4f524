"""Both languages are complete, in the catalogues and in the templates, and the switch holds."""

from __future__ import annotations

import functools
import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from flask import Flask

from looma_console.web.language import CATALOGUES, TRANSLATIONS, choose

CONSOLE = TRANSLATIONS.parents[1]
TEMPLATES = sorted((CONSOLE / "looma_console").rglob("templates/**/*.html"))
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


def catalogue(name: str) -> Catalog:
    with (TRANSLATIONS / name / "LC_MESSAGES" / "messages.po").open("rb") as file:
        return read_po(file, locale=name)


@functools.cache
def collected() -> Catalog:
    spec = importlib.util.spec_from_file_location("console_build_assets", CONSOLE / "build_assets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Catalog = module.collect()
    return found


@pytest.mark.parametrize("name", CATALOGUES.values())
def test_every_text_is_translated(name: str) -> None:
    known = catalogue(name)
    missing, wrong = [], []
    for message in collected():
        if not message.id:
            continue
        found = known.get(message.id)
        if found is None or found.fuzzy or not all(_strings(found.string)):
            missing.append(message.id)
        else:
            ids = message.id if isinstance(message.id, (tuple, list)) else [message.id]
            allowed = set(PLACEHOLDER.findall(" ".join(ids)))
            wrong += [
                text for text in _strings(found.string) if not set(PLACEHOLDER.findall(text)) <= allowed
            ]
    assert not missing, f"run `python console/build_assets.py messages`, then translate in {name}: {missing}"
    assert not wrong, f"placeholders that the text does not have, in {name}: {wrong}"


@pytest.mark.parametrize("name", CATALOGUES.values())
def test_no_text_is_left_over(name: str) -> None:
    texts = collected()
    left = [message.id for message in catalogue(name) if message.id and texts.get(message.id) is None]
    assert not left, f"run `python console/build_assets.py messages`: {left}"


def test_the_chinese_is_chinese() -> None:
    han = re.compile(r"[\u4e00-\u9fff]")
    english = [
        message.id
        for message in catalogue("zh_Hans_CN")
        if message.id and not han.search(str(message.string))
    ]
    assert not english


class Texts(HTMLParser):
    """Collects what a reader would see or hear of a page: texts and speaking attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in {"title", "alt", "aria-label", "placeholder"} and value:
                self.found.append(value)


# The project's name is the same everywhere, as are "×", "→" and the like.
SAME_EVERYWHERE = re.compile(r"Looma")


def untranslated(source: str) -> list[str]:
    """Words in a template that no gettext call gave."""
    # Comments and code go; an expression leaves a gap, so what stays is what was written plainly.
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", source, flags=re.DOTALL)
    parser = Texts()
    parser.feed(plain)
    return [
        text.strip() for text in parser.found if re.search(r"[^\W\d_]{2,}", SAME_EVERYWHERE.sub("", text))
    ]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_templates_say_nothing_untranslated(path: Path) -> None:
    assert untranslated(path.read_text()) == []


def test_the_check_finds_plain_words() -> None:
    assert untranslated('<p title="Hello">{{ _("fine") }} there</p>{# no #}') == ["Hello", "there"]


@pytest.mark.parametrize(
    ("cookie", "wanted", "answer"),
    [
        ("zh-CN", ["en"], "zh-CN"),
        ("xx", ["en"], "en"),
        (None, ["zh-TW", "en"], "zh-CN"),
        (None, ["fr", "en-GB"], "en"),
        (None, ["fr"], "en"),
        (None, [], "en"),
    ],
)
def test_choose(cookie: str | None, wanted: list[str], answer: str) -> None:
    assert choose(cookie, wanted) == answer


def test_the_browser_chooses_until_the_person_does(app: Flask, visitor) -> None:
    chinese = {"Accept-Language": "zh-CN,zh;q=0.9"}
    page = visitor.get("/login", headers=chinese).get_data(as_text=True)
    assert '<html lang="zh-CN">' in page
    assert "登录" in page
    answer = visitor.post("/language", {"language": "en", "next": "/login?next=/people"}, page="/login")
    assert (answer.status_code, answer.location) == (303, "/login?next=/people")
    page = visitor.get("/login", headers=chinese).get_data(as_text=True)
    assert '<html lang="en">' in page
    assert "Sign in" in page


def test_the_switch_takes_known_languages_and_leads_nowhere_else(visitor) -> None:
    answer = visitor.post("/language", {"language": "tlh", "next": "//evil.example"}, page="/login")
    assert answer.location == "/"
    assert not [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("looma_language")]


def _strings(string: object) -> list[str]:
    return [string] if isinstance(string, str) else list(string)  # type: ignore[call-overload]
