"""What whoever runs `looma` by sudo gets afterwards, and what stays root's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from looma_cluster import binaries, paths, person

SOMEBODY = (41234, 41235)


@pytest.mark.parametrize(
    ("euid", "environ", "answer"),
    [
        pytest.param(0, {"SUDO_UID": "1000", "SUDO_GID": "100"}, (1000, 100), id="by sudo"),
        pytest.param(0, {"SUDO_UID": "0", "SUDO_GID": "0"}, None, id="root by sudo"),
        pytest.param(0, {}, None, id="root"),
        pytest.param(1000, {"SUDO_UID": "1000", "SUDO_GID": "100"}, None, id="not root"),
        pytest.param(0, {"SUDO_UID": "x", "SUDO_GID": "100"}, None, id="nonsense"),
    ],
)
def test_who_is_behind_sudo(euid: int, environ: dict[str, str], answer: tuple[int, int] | None) -> None:
    assert person.behind_sudo(environ, euid=euid) == answer


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which `looma up` ran as root."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    instance = paths.instance("one")
    (instance.state / "pki").mkdir(parents=True, mode=0o700)
    instance.state.chmod(0o700)
    for file in (instance.kubeconfig, instance.record, instance.state / "pki" / "ca.key"):
        file.write_text("")
    paths.cache()
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_the_way_in_is_theirs_and_keys_stay_roots(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    instance = paths.instance("one")
    checkout = home / "checkout"
    script = checkout / "console/looma_console/static/vendor/htmx.js"
    script.parent.mkdir(parents=True)
    script.write_text("")
    monkeypatch.setattr(paths, "ROOT", checkout)
    person.hand_over(instance, home=home, to=SOMEBODY)
    assert script.stat().st_uid == script.parent.stat().st_uid == SOMEBODY[0]
    theirs = [home / ".local", home / ".local/state", home / ".cache", paths.state_root(), paths.cache()]
    for path in (*theirs, instance.state, instance.kubeconfig, instance.record):
        assert (path.stat().st_uid, path.stat().st_gid) == SOMEBODY, path
    for path in (home, instance.state / "pki", instance.state / "pki" / "ca.key"):
        assert path.stat().st_uid == 0, path
    assert instance.state.stat().st_mode & 0o777 == 0o700


def test_without_sudo_all_stays_as_it_is(home: Path) -> None:
    before = {path: path.stat().st_uid for path in home.rglob("*")}
    person.hand_over(paths.instance("one"), home=home, to=None)
    assert {path: path.stat().st_uid for path in home.rglob("*")} == before


def test_what_kubectl_and_helm_remember_is_in_our_cache(home: Path) -> None:
    assert {Path(folder).is_relative_to(paths.cache()) for folder in person.tools_environment().values()} == {
        True
    }


def test_kubectl_lies_beside_looma_and_follows_the_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age in ("old", "new"):
        program = tmp_path / age / "kubectl"
        program.parent.mkdir()
        program.write_text(age)
        monkeypatch.setattr(binaries, "path", lambda _name, program=program: program)
        person.link_kubectl(folder=tmp_path)
        person.link_kubectl(folder=tmp_path)
        assert (tmp_path / "kubectl").read_text() == age


def test_the_kubeconfig_means_loomas_namespace(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[object]] = []
    monkeypatch.setattr(person, "run", asked.append)
    monkeypatch.setattr(binaries, "path", Path)
    instance = paths.instance("one")
    person.choose_namespace(instance)
    words = ["config", "set-context", "--current", "--namespace=looma"]
    assert asked == [[Path("kubectl"), "--kubeconfig", instance.kubeconfig, *words]]
