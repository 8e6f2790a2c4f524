"""`looma-engine NAME`: which engine it starts, and what it says where it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

import looma_core.http.serve  # noqa: F401 - replaced below, by its name: the package has a function of that name
from looma_core.settings import SettingsError
from looma_engines import main


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An engine's settings and none of this machine's; whatever the command sets is taken back."""
    for name in [name for name in os.environ if name.startswith("LOOMA_")]:
        monkeypatch.delenv(name)
    for name in ("LOOMA_SERVICE", main._NAME_VARIABLE):
        # Setting and deleting makes monkeypatch remember that it was not there.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("LOOMA_DATABASE_URL", "postgresql+psycopg://looma_app:hidden-word@127.0.0.1:1/looma")
    monkeypatch.setattr(main.logging, "configure", lambda **_named: None)
    return monkeypatch


@pytest.fixture
def served(environment: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """What was served, instead of serving it."""
    asked: list[tuple[str, Any]] = []
    environment.setattr(
        sys.modules["looma_core.http.serve"],
        "serve",
        lambda target, *, settings: asked.append((target, settings)),
    )
    return asked


def looma_engine(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["looma-engine", *words])
    main.main()


def test_a_sync_worker_begins_without_what_it_does_not_need() -> None:
    asked = """
import sys
import looma_engines.talent_sync.syncing.main
print(*sorted({"litestar", "obstore", "pymongo", "sqlalchemy"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", main.ENGINES)
def test_the_worker_learns_which_engine_it_is_from_the_environment(
    environment: pytest.MonkeyPatch, served: list[tuple[str, Any]], name: str
) -> None:
    looma_engine(environment, name)
    ((target, settings),) = served
    assert target == "looma_engines.main:application"
    assert os.environ[main._NAME_VARIABLE] == name
    # Without an operator the engine's own name is the service's.
    assert settings.service == name


def test_the_service_is_called_as_the_operator_says(
    environment: pytest.MonkeyPatch, served: list[tuple[str, Any]]
) -> None:
    environment.setenv("LOOMA_SERVICE", "resume-in-blue")
    looma_engine(environment, "resume")
    assert served[0][1].service == "resume-in-blue"


@pytest.mark.parametrize("words", [(), ("cheese",), ("resume", "talent-sync")])
def test_a_name_that_is_no_engine_ends_with_those_that_are(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit) as ended:
        looma_engine(environment, *words)
    assert ended.value.code == 2
    assert "resume, skills-import, sync-worker, talent-sync" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["-h", "--help"])
def test_help_is_an_answer(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    looma_engine(environment, word)
    assert "usage: looma-engine NAME" in capsys.readouterr().out


def test_wrong_settings_end_it_before_anything_is_served(
    environment: pytest.MonkeyPatch, served: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    environment.delenv("LOOMA_DATABASE_URL")
    with pytest.raises(SystemExit) as ended:
        looma_engine(environment, "resume")
    assert ended.value.code == 2
    assert "LOOMA_DATABASE_URL is not set" in capsys.readouterr().err
    assert served == []


def test_a_worker_builds_the_engine_that_was_named(environment: pytest.MonkeyPatch) -> None:
    built = []
    environment.setenv(main._NAME_VARIABLE, "resume")
    environment.setattr(main, "create", lambda name, settings: built.append(name) or "application")
    assert main.application() == "application"
    assert built == ["resume"]


def test_a_worker_whose_config_is_wrong_says_so_in_one_line(environment: pytest.MonkeyPatch) -> None:
    told = []

    class Log:
        def error(self, event: str, *, error: str) -> None:
            told.append((event, error))

    def refuse(name: str, settings: object) -> None:
        raise SettingsError("workers: at most 8")

    environment.setenv(main._NAME_VARIABLE, "resume")
    environment.setattr(main, "create", refuse)
    environment.setattr(main, "log", Log())
    with pytest.raises(SystemExit) as ended:
        main.application()
    assert ended.value.code == 2
    assert told == [("cannot start", "workers: at most 8")]


def test_each_engine_has_a_module_that_makes_it() -> None:
    from importlib import import_module

    for module in main.ENGINES.values():
        assert callable(import_module(module).create)
    with pytest.raises(KeyError):
        main.create("cheese", None)  # type: ignore[arg-type]
