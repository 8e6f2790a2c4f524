"""Our own programs: what is built, when it is built again, and what is left when that fails."""

from __future__ import annotations

import os

import pytest

from looma_cluster import binaries
from looma_cluster.binaries import NotBuiltError, Program, SourcesMissingError
from looma_cluster.commands import CommandError

# Stands for the compiler: writes where `-o` says, tells a package per line, and what it was asked.
GO = """#!/bin/sh
echo "$*" >> "$ASKED"
echo "CGO_ENABLED=$CGO_ENABLED GOCACHE=$GOCACHE" >> "$ASKED.environment"
while [ "$1" != "-o" ]; do shift; done
if [ -n "$GO_FAILS" ]; then echo "syntax error" >&2; exit 1; fi
for number in 1 2 3 4 5 6 7 8 9 10; do echo "package/$number"; done
echo built > "$2"
"""


@pytest.fixture
def sources(instance, monkeypatch, tmp_path):
    """Sources of two small programs, and a compiler."""
    folder, tools = tmp_path / "cluster", tmp_path / "tools"
    for path in (folder / "pause", tools):
        path.mkdir(parents=True)
    (folder / "go.mod").write_text("module x")
    (folder / "main.go").write_text("package main")
    (folder / "pause" / "main.go").write_text("package main")
    (tools / "go").write_text(GO)
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    for name in ("SUDO_UID", "GOCACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(binaries.paths, "SOURCES", folder)
    programs = (
        Program(name="all-in-one", package=".", names=("etcd", "kubectl"), flags="-s"),
        Program(name="pause", package="./pause", names=("pause", "looma-init")),
    )
    monkeypatch.setattr(binaries, "PROGRAMS", programs)
    binaries.source_hash.cache_clear()
    yield folder
    binaries.source_hash.cache_clear()


def hash_now():
    binaries.source_hash.cache_clear()
    return binaries.source_hash()


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


def test_each_program_is_built_once_and_has_all_its_names(sources, tmp_path):
    told = []
    assert not binaries.built()
    folder = binaries.ensure(told.append, log=tmp_path / "log")
    assert binaries.built()
    assert sorted(file.name for file in folder.iterdir()) == [
        "all-in-one",
        "etcd",
        "kubectl",
        "looma-init",
        "pause",
    ]
    # One file under several names: they are more than 150 MB.
    assert (folder / "etcd").samefile(folder / "all-in-one")
    assert binaries.path("kubectl") == folder / "kubectl"
    assert told == ["all-in-one", "all-in-one: 10 packages", "pause", "pause: 10 packages"]
    assert "package/10" in (tmp_path / "log").read_text()
    assert [line.split()[-1] for line in asked(tmp_path)] == [".", "./pause"]
    assert "CGO_ENABLED=0 GOCACHE=\n" in (tmp_path / "asked.environment").read_text()
    assert binaries.ensure(told.append) == folder
    assert len(asked(tmp_path)) == 2


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        pytest.param("main.go", "package main // x", True, id="a source"),
        pytest.param("go.sum", "x", True, id="a dependency"),
        pytest.param("pause/more.go", "package main", True, id="a file more"),
        pytest.param("main_test.go", "package main", False, id="a test is not in the program"),
        pytest.param("README.md", "x", False, id="words"),
    ],
)
def test_programs_are_built_anew_when_what_goes_in_changes(sources, file, text, changes):
    before = hash_now()
    (sources / file).write_text(text)
    assert (hash_now() != before) is changes


def test_a_flag_changes_the_program_too(sources, monkeypatch):
    before = hash_now()
    monkeypatch.setattr(binaries, "PROGRAMS", binaries.PROGRAMS[:1])
    assert hash_now() != before


def test_a_failed_build_leaves_nothing_that_looks_built(sources, monkeypatch):
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(CommandError, match="syntax error"):
        binaries.ensure(lambda text: None)
    assert not binaries.built()
    assert not list(binaries.paths.cache().glob("building-*"))
    with pytest.raises(NotBuiltError, match="looma build"):
        binaries.path("kubectl")


def test_under_sudo_the_users_own_cache_of_go_is_left_alone(sources, monkeypatch, tmp_path):
    monkeypatch.setenv("SUDO_UID", "1000")
    binaries.ensure(lambda text: None)
    cache = binaries.paths.cache() / "go-build"
    assert f"GOCACHE={cache}" in (tmp_path / "asked.environment").read_text()


def test_the_newest_builds_of_before_are_kept_for_what_still_runs(sources):
    for age in (1, 2, 3, 4):
        old = binaries.paths.cache() / f"bin-{age}"
        old.mkdir()
        os.utime(old, (1_000_000 - age, 1_000_000 - age))
    folder = binaries.ensure(lambda text: None)
    kept = {build.name for build in binaries.paths.cache().glob("bin-*")}
    assert kept == {folder.name, "bin-1", "bin-2"}


def test_without_its_sources_looma_says_where_to_run_it_from(sources):
    (sources / "go.mod").unlink()
    with pytest.raises(SourcesMissingError, match="clone"):
        hash_now()
