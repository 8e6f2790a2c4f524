"""The proof that helmfile and `looma up` give the same release, with stand-ins for the two programs."""

from __future__ import annotations

import json
import os

import pytest
import yaml

from looma_cluster import chartfile, helmfile, paths
from looma_cluster.commands import CommandError

GO = """#!/bin/sh
echo "$PWD $*" >> "$ASKED"
while [ "$1" != "-o" ]; do shift; done
if [ -n "$GO_FAILS" ]; then echo "no such module" >&2; exit 1; fi
echo built > "$2"
"""


@pytest.fixture
def go(instance, monkeypatch, tmp_path):
    """A compiler; the lines of what it was asked."""
    (tmp_path / "tools").mkdir()
    program = tmp_path / "tools" / "go"
    program.write_text(GO)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    return lambda: (tmp_path / "asked").read_text().splitlines()


def test_helmfile_is_built_from_its_module_once(go):
    told = []
    program = helmfile.ensure(told.append)
    assert program.read_text() == "built\n"
    assert helmfile.ensure(told.append) == program
    (line,) = go()
    assert line.startswith(f"{helmfile.MODULE} build")
    assert helmfile.VERSION in line
    assert len(told) == 1


def test_a_failed_build_is_not_taken_for_helmfile(go, monkeypatch):
    monkeypatch.setenv("GO_FAILS", "1")
    with pytest.raises(CommandError, match="no such module"):
        helmfile.ensure(lambda text: None)
    assert not list(paths.cache().glob("helmfile-*"))


def service(port):
    return {
        "kind": "Service",
        "metadata": {"name": "looma-console", "namespace": "looma"},
        "spec": {"port": port},
    }


class Roads:
    """Helm and helmfile: what each renders, and which release helmfile lists."""

    def __init__(self, monkeypatch):
        self.ours, self.theirs = [service(80)], [service(80)]
        release = chartfile.read(paths.ROOT, "dev")
        self.listed = {
            "name": release.name,
            "namespace": release.namespace,
            "chart": f"./charts/{release.chart.name}",
        }
        self.overlays = []
        monkeypatch.setattr(helmfile, "run", self)
        monkeypatch.setattr(helmfile.binaries, "path", lambda name: f"/bin-x/{name}")
        monkeypatch.setattr(helmfile.binaries, "ensure", lambda report: report("programs"))
        monkeypatch.setattr(helmfile, "ensure", lambda report: "helmfile")

    def __call__(self, words, **options):
        if "list" in words:
            return json.dumps([self.listed])
        # Neither asks a cluster, so both must be told that it has Gateway API.
        assert helmfile.CAPABILITIES in words
        overlay = next(word for word in reversed(words) if str(word).endswith("overlay.yaml"))
        self.overlays.append(yaml.safe_load(overlay.read_text()))
        return yaml.safe_dump_all(self.theirs if words[0] == "helmfile" else self.ours)


@pytest.fixture
def roads(monkeypatch):
    return Roads(monkeypatch)


def test_two_roads_to_one_release_differ_in_nothing(roads):
    assert helmfile.check("dev", "helmfile") == []
    # Both get the same images, or the comparison would not cover how they get in.
    assert roads.overlays == [helmfile.OVERLAY] * 2


def test_an_object_that_differs_is_told_line_by_line(roads):
    roads.theirs = [service(8080)]
    lines = helmfile.check("dev", "helmfile")
    assert lines[0] == "Service looma/looma-console differs:"
    assert {"-  port: 80", "+  port: 8080"} <= set(lines)


def test_a_release_of_another_name_is_told(roads):
    roads.listed["name"] = "looma-old"
    (line,) = helmfile.check("dev", "helmfile")
    assert "looma-old" in line


@pytest.mark.parametrize("differs", [False, True])
def test_every_environment_is_checked_and_the_exit_code_tells(roads, capsys, differs):
    if differs:
        roads.theirs = []
    with pytest.raises(SystemExit) as ended:
        helmfile.main()
    assert ended.value.code == (1 if differs else 0)
    told = capsys.readouterr().out
    for environment in chartfile.environments(paths.ROOT):
        line = next(line for line in told.splitlines() if line.startswith(f"{environment}: "))
        assert ("both roads" in line) is not differs
