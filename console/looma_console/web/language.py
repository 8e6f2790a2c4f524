"""Which language a page is in: the cookie of the switch, else what the browser asks for.

Catalogues are named as Babel names its locales (`zh_Hans_CN`), pages as HTML does (`zh-CN`).
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, request
from flask_babel import Babel, get_locale

COOKIE = "looma_language"
DEFAULT = "en"
CATALOGUES = {"en": "en", "zh-CN": "zh_Hans_CN"}
NAMES = {"en": "English", "zh-CN": "简体中文"}
TRANSLATIONS = Path(__file__).parents[1] / "translations"


def init_app(app: Flask) -> None:
    """Set Flask-Babel up and give templates `page_language` and `languages`."""
    Babel(
        app,
        default_locale=DEFAULT,
        default_translation_directories=str(TRANSLATIONS),
        default_timezone="UTC",
        locale_selector=lambda: CATALOGUES[choose(request.cookies.get(COOKIE), _wanted())],
    )

    @app.context_processor
    def languages() -> dict[str, object]:
        return {"page_language": page_language(), "languages": NAMES}


def choose(cookie: str | None, wanted: list[str]) -> str:
    """The page's language.

    | cookie | the browser wants  | answer |
    | ------ | ------------------ | ------ |
    | zh-CN  | en                 | zh-CN  |
    | xx     | en                 | en     |
    | none   | zh-TW, en          | zh-CN  |
    | none   | fr, en-GB          | en     |
    | none   | fr                 | en     |
    """
    if cookie in CATALOGUES:
        return cookie
    for tag in wanted:
        match tag.lower().split("-")[0]:
            case "zh":
                return "zh-CN"
            case "en":
                return "en"
    return DEFAULT


def page_language() -> str:
    """The language of this request's page as a BCP 47 tag."""
    locale = get_locale()
    return "zh-CN" if locale is not None and locale.language == "zh" else "en"


def _wanted() -> list[str]:
    return [tag for tag, _ in request.accept_languages]
