"""What Looma looks at and changes on the machine itself: packages, leftovers of builds, and what the doctor finds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest
from filelock import FileLock

from looma_cluster import choose, doctor, lifecycle, mounts, paths, prerequisites, record
from looma_cluster.builtin.cluster import BuiltIn
from looma_cluster.commands import CommandError, run
from looma_cluster.prerequisites import PrerequisiteError
from looma_cluster.record import Record
from looma_cluster.status import Status

# ---- packages ----------------------------------------------------------------------------------------------


class Apt:
    """Stands for apt-get, on a machine that lacks runc."""

    def __init__(self, monkeypatch, *, works=True):
        self.asked = []
        self.works = works
        self.missing = ["runc"]
        monkeypatch.setattr(prerequisites, "missing_packages", lambda: self.missing)
        monkeypatch.setattr(prerequisites, "is_present", lambda probe: probe == "apt-get")
        monkeypatch.setattr(prerequisites, "run", self)

    def __call__(self, words, *, environment, log):
        self.asked.append((words[1], words[-1], environment))
        if self.works and words[1] == "install":
            self.missing = []


def test_what_is_missing_is_installed_without_a_question(instance, monkeypatch, tmp_path):
    apt, told = Apt(monkeypatch), []
    prerequisites.install(told.append, log=tmp_path / "logs" / "apt.log")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    assert apt.asked == [("update", "--quiet", quiet), ("install", "runc", quiet)]
    assert told[-1] == "installing runc"
    assert (tmp_path / "logs").is_dir()


def test_what_is_missing_still_is_named(instance, monkeypatch, tmp_path):
    Apt(monkeypatch, works=False)
    with pytest.raises(PrerequisiteError, match="still not there: runc"):
        prerequisites.install(lambda text: None, log=tmp_path / "apt.log")


@pytest.mark.parametrize(
    ("probe", "present"), [("/proc/self", True), ("/no/such", False), ("sh", True), ("no-such", False)]
)
def test_a_program_is_there_by_name_and_a_file_by_path(monkeypatch, probe, present):
    monkeypatch.setenv("PATH", "/nowhere")
    assert prerequisites.is_present(probe) is present


# ---- what builds leave -------------------------------------------------------------------------------------


def overmount(folder):
    """As buildah does: a folder bound onto itself, which nobody lets go."""
    folder.mkdir(parents=True)
    run(["mount", "--bind", folder, folder])


def test_mounts_of_builds_are_released_and_no_others(instance, machine, monkeypatch, tmp_path):
    # /proc/self is the whole process; the mounts of this machine are one thread's.
    monkeypatch.setattr(mounts, "Path", lambda text: Path(text.replace("/proc/self", "/proc/thread-self")))
    storage = paths.cache() / "images" / "storage" / "root"
    other = tmp_path / "somebody's"
    for folder in (storage, storage / "inner folder", other):
        machine(overmount, folder)
    machine(mounts.release)
    left = machine(run, ["cat", "/proc/self/mountinfo"])
    assert mounts.below(paths.cache(), left) == []
    assert mounts.below(other, left) == [other]


def test_a_build_under_way_keeps_its_mounts(instance, monkeypatch):
    images = paths.cache() / "images"
    images.mkdir()
    monkeypatch.setattr(mounts, "run", lambda words: pytest.fail(f"ran {words}"))
    monkeypatch.setattr(mounts, "below", lambda folder, text: [images])
    with FileLock(images / "lock"):
        mounts.release()


def test_where_nothing_was_built_nothing_is_looked_at(instance):
    mounts.release()
    assert not (paths.cache() / "images").exists()


# ---- which cluster is there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("programs", "answer", "answers"),
    [
        pytest.param({"kind", "docker"}, "27.0", True, id="both, and it answers"),
        pytest.param({"kind", "docker"}, "", False, id="it says nothing"),
        pytest.param({"kind", "docker"}, CommandError(["docker"], 1, "no daemon"), False, id="no daemon"),
        pytest.param({"docker"}, "27.0", False, id="kind is not there"),
        pytest.param({"kind"}, "27.0", False, id="Docker is not there"),
    ],
)
def test_kind_is_chosen_only_where_docker_answers(monkeypatch, programs, answer, answers):
    def asked(words, *, seconds):
        assert words[0] in programs
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(choose.shutil, "which", lambda name: name if name in programs else None)
    monkeypatch.setattr(choose, "run", asked)
    assert choose.docker_answers() is answers


# ---- the doctor --------------------------------------------------------------------------------------------


class Usage(NamedTuple):
    free: int


@pytest.mark.parametrize(("answer", "good"), [("go1.26.0", True), ("go1.25.9", False), ("gcc 12", False)])
def test_a_go_that_is_too_old_is_told(monkeypatch, answer, good):
    monkeypatch.setattr(doctor, "run", lambda words, **named: f"go version {answer} linux/amd64\n")
    assert doctor.check_go().good is good


def test_no_go_at_all_is_told(monkeypatch):
    def missing(words, **named):
        raise CommandError(words, 127, "not found")

    monkeypatch.setattr(doctor, "run", missing)
    finding = doctor.check_go()
    assert (finding.good, finding.found) == (False, "not in PATH")
    assert "1.26" in finding.help


@pytest.mark.parametrize(("gigabytes", "good"), [(7, False), (8, True)])
def test_room_is_measured_where_state_and_builds_will_be(instance, monkeypatch, gigabytes, good):
    measured = []
    monkeypatch.setattr(
        doctor.shutil, "disk_usage", lambda folder: measured.append(folder) or Usage(gigabytes * 10**9)
    )
    assert doctor.check_disk().good is good
    assert measured[0] == paths.cache()
    # The state's own folder may not be there yet, so the nearest one that is tells for it.
    assert paths.state_root().is_relative_to(measured[1])


@pytest.mark.parametrize(
    ("check", "where", "name", "answer"),
    [
        pytest.param(doctor.check_root, os, "geteuid", 1000, id="not root"),
        pytest.param(doctor.check_packages, prerequisites, "missing_packages", ["runc"], id="a package"),
        pytest.param(doctor.check_cgroups, doctor.cgroups, "hierarchies", [], id="no control groups"),
        pytest.param(doctor.check_names, doctor.layout, "host_name_servers", [], id="no name server"),
    ],
)
def test_each_thing_wrong_has_its_help(monkeypatch, check, where, name, answer):
    monkeypatch.setattr(where, name, lambda: answer)
    finding = check()
    assert not finding.good
    assert finding.help


@pytest.mark.parametrize("ready", [True, False])
def test_every_process_is_looked_at_and_then_looma_itself(instance, monkeypatch, ready):
    record.save(instance, Record(cluster="builtin"))
    monkeypatch.setattr(BuiltIn, "states", lambda cluster: {"node": True, "etcd": False})
    document = Status(
        name="one",
        cluster="builtin",
        environment="dev",
        running=True,
        ready=ready,
        address="http://127.0.0.1:8099",
        problems=[] if ready else ["etcd does not run", "no service"],
    )
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: document)
    node, etcd, looma = doctor.check_instance(instance)
    assert (node.good, etcd.good, looma.good) == (True, False, ready)
    assert str(instance.logs / "etcd.log") in etcd.found
    assert looma.found == ("http://127.0.0.1:8099" if ready else "etcd does not run; no service")


def test_a_cluster_of_others_has_no_processes_to_look_at(instance, monkeypatch):
    record.save(instance, Record(cluster="kind"))
    document = Status(name="one", cluster="kind", environment="dev", running=True, ready=True)
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: document)
    assert [finding.check for finding in doctor.check_instance(instance)] == ["Looma"]
