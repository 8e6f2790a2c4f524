"""docs/cluster.md names every command, option and variable of `looma`."""

from __future__ import annotations

import re

import pytest
import typer

from looma_cluster import paths
from looma_cluster.cli import app

PAGE = (paths.ROOT / "docs/cluster.md").read_text()
EVERYWHERE = {"--help", "--name"}


def commands():
    def walk(command, words):
        if hasattr(command, "commands"):
            for name, child in command.commands.items():
                yield from walk(child, [*words, name])
        else:
            yield " ".join(words), command

    return dict(walk(typer.main.get_command(app), ["looma"]))


@pytest.mark.parametrize("name", commands())
def test_a_command_is_documented(name):
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option)
        for name, command in commands().items()
        for parameter in command.params
        if not getattr(parameter, "hidden", False)
        for option in [*parameter.opts, *parameter.secondary_opts]
        if option.startswith("-") and option not in EVERYWHERE
    ],
)
def test_an_option_is_documented(name, option):
    row = next(line for line in PAGE.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert re.search(rf"`{option}\b", row), f"{name} {option} is not in its row"


def variables():
    sources = (paths.SOURCES / "looma_cluster").rglob("*.py")
    pattern = re.compile(r"environ[^\n]*\"((?:LOOMA|XDG)_[A-Z_]+)\"")
    return sorted({name for source in sources for name in pattern.findall(source.read_text())})


@pytest.mark.parametrize("name", variables())
def test_a_variable_is_documented(name):
    assert f"`{name}`" in PAGE
