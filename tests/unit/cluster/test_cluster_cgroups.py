"""Control groups under all three layouts, on folders that look like them."""

from __future__ import annotations

import errno

import pytest

from looma_cluster.builtin import cgroups


@pytest.fixture
def version_2(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpu memory")
    (tmp_path / "cgroup.procs").write_text("1\n")
    return tmp_path


@pytest.fixture
def hybrid(tmp_path):
    for name in ("cpu", "cpuset", "memory", "systemd", "unified"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").write_text("1\n")
    for name in ("cpuset.cpus", "cpuset.mems"):
        (tmp_path / "cpuset" / name).write_text("0-1\n")
    (tmp_path / "cpuacct").symlink_to("cpu")
    (tmp_path / "not-a-hierarchy").mkdir()
    return tmp_path


def test_version_2_is_one_hierarchy(version_2):
    assert cgroups.hierarchies(version_2) == [version_2]
    assert cgroups.make("one", version_2) == [version_2 / "looma-one" / "node" / "cgroup.procs"]


def test_version_1_is_one_per_controller_and_links_are_not_counted(hybrid):
    assert [folder.name for folder in cgroups.hierarchies(hybrid)] == [
        "cpu",
        "cpuset",
        "memory",
        "systemd",
        "unified",
    ]
    assert len(cgroups.make("one", hybrid)) == 5
    cgroups.make("one", hybrid)


def test_a_machine_without_groups_has_none(tmp_path):
    assert cgroups.hierarchies(tmp_path / "missing") == []
    cgroups.remove("one", tmp_path / "missing")


def test_an_empty_cpuset_takes_its_parents_cpus(hybrid):
    top = hybrid / "cpuset" / "looma-one"
    top.mkdir()
    (top / "cpuset.cpus").write_text("\n")
    cgroups._inherit_cpus(top)
    assert (top / "cpuset.cpus").read_text() == "0-1\n"


def test_members_are_those_of_all_groups_of_the_instance_alone(hybrid):
    for name in ("one", "two"):
        cgroups.make(name, hybrid)
    (hybrid / "cpu" / "looma-one" / "node" / "cgroup.procs").write_text("11\n12\n")
    (hybrid / "memory" / "looma-one" / "cgroup.procs").write_text("13\n")
    (hybrid / "memory" / "looma-two" / "cgroup.procs").write_text("21\n")
    assert cgroups.members("one", hybrid) == {11, 12, 13}


def test_removal_takes_the_tree_and_leaves_the_neighbours(hybrid):
    for name in ("one", "two"):
        cgroups.make(name, hybrid)
    (hybrid / "cpu" / "looma-one" / "kubepods" / "pod1").mkdir(parents=True)
    cgroups.remove("one", hybrid)
    assert not list(hybrid.glob("*/looma-one"))
    assert all((folder / "looma-two").is_dir() for folder in cgroups.hierarchies(hybrid))


def test_a_group_in_use_is_an_error_and_not_an_endless_wait(hybrid):
    cgroups.make("one", hybrid)
    (hybrid / "cpu" / "looma-one" / "node" / "a-process").write_text("")
    with pytest.raises(OSError, match="not empty") as caught:
        cgroups.remove("one", hybrid, seconds=0.1)
    assert caught.value.errno == errno.ENOTEMPTY
