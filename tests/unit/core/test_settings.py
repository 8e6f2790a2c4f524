"""Settings: what is read, what is said about what is wrong, and that every variable is documented."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest
from msgspec import Struct
from msgspec.structs import fields

from looma_core.settings import (
    CoreSettings,
    EngineSettings,
    SettingsError,
    load,
    load_config,
    meta_of,
    variable,
)

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs" / "settings.md"
URL = "postgresql+psycopg://looma_app:hunter2@db:5432/looma"


def _all_settings() -> list[type[CoreSettings]]:
    """Every settings Struct of every deployable, found by its text so that nothing heavy is imported."""
    for root in ("core", "operator", "engines", "console", "cluster"):
        for file in sorted((ROOT / root).glob("looma_*/**/*.py")):
            if re.search(r"^class \w+\((Core|Engine)Settings", file.read_text(), re.MULTILINE):
                import_module(".".join(file.relative_to(ROOT / root).with_suffix("").parts))
    found: list[type[CoreSettings]] = [CoreSettings]
    for known in found:
        found += known.__subclasses__()
    return found


def _line(settings: type[CoreSettings], name: str) -> str:
    field = next(field for field in fields(settings) if field.name == name)
    default = "required" if field.required else f"`{field.default}`" if field.default != "" else "empty"
    return f"| `{variable(name)}` | {meta_of(settings, name).description} | {default} |"


@pytest.mark.parametrize("settings", _all_settings(), ids=lambda settings: settings.__name__)
def test_every_variable_is_documented(settings: type[CoreSettings]) -> None:
    inherited = {field.name for base in settings.__bases__ if base is not Struct for field in fields(base)}
    own = [field.name for field in fields(settings) if field.name not in inherited]
    lines = DOCS.read_text().splitlines()
    missing = [_line(settings, name) for name in own if _line(settings, name) not in lines]
    assert not missing, f"{DOCS.name} lacks these lines of {settings.__name__}:\n" + "\n".join(missing)


def test_documented_variables_exist() -> None:
    known = {variable(field.name) for settings in _all_settings() for field in fields(settings)}
    documented = set(re.findall(r"^\| `(LOOMA_\w+)`", DOCS.read_text(), re.MULTILINE))
    assert documented <= known, f"{DOCS.name} tells of variables that nothing reads"


def test_values_are_read_and_empty_ones_are_not_set() -> None:
    settings = load(EngineSettings, {"LOOMA_DATABASE_URL": URL, "LOOMA_PORT": "9000", "LOOMA_LOG_LEVEL": ""})
    assert (settings.database_url, settings.port, settings.log_level) == (URL, 9000, "info")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "LOOMA_DATABASE_URL is not set: SQLAlchemy URL"),
        ({"LOOMA_DATABASE_URL": "mysql://u:secret-word@h/d"}, "LOOMA_DATABASE_URL is wrong (its value)"),
        ({"LOOMA_DATABASE_URL": URL, "LOOMA_PORT": "http"}, "LOOMA_PORT is wrong ('http')"),
        ({"LOOMA_DATABASE_URL": URL, "LOOMA_PORT": "70000"}, "A whole number from 1 to 65535"),
        ({"LOOMA_DATABASE_URL": URL, "LOOMA_LOG_LEVEL": "loud"}, "One of: debug, info, warning, error"),
        ({"LOOMA_DATABASE_URL": URL, "LOOMA_API_URL": "http://looma/"}, "no slash at the end"),
        ({"LOOMA_DATABASE_URL": URL, "LOOMA_TENANT": "De Mo"}, "LOOMA_TENANT is wrong ('De Mo')"),
    ],
)
def test_what_is_wrong_is_said(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(EngineSettings, environ)
    assert said in str(caught.value)
    assert "secret-word" not in str(caught.value)


def test_all_wrong_variables_are_said_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load(EngineSettings, {"LOOMA_PORT": "x", "LOOMA_HOST": "::"})
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        "LOOMA_PORT",
        "LOOMA_DATABASE_URL",
    ]


class _Config(Struct, forbid_unknown_fields=True):
    pages: int = 10


def test_config_is_the_engines_own() -> None:
    assert load_config('{"pages": 3}', _Config).pages == 3
    for wrong in ('{"pages": "3"}', '{"page": 3}', "{", "[]"):
        with pytest.raises(SettingsError, match=r"LOOMA_CONFIG \(spec.config"):
            load_config(wrong, _Config)
