"""A node in earnest: real namespaces and control groups, with programs that do nothing inside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster import processes
from looma_cluster.builtin import cgroups, facts, network, node, teardown
from looma_cluster.builtin.components import START_ORDER
from looma_cluster.builtin.node import NodeError, Started
from looma_cluster.commands import CommandError, run


@pytest.fixture
def made(node_instance, machine, stand_ins):
    """A node that runs; its programs are stand-ins."""
    stand_ins.program("looma-init")
    return machine(node.make, node_instance, programs=stand_ins.folder, layout="digest")


def inside(machine, init, *words):
    return machine(run, [*node.inside(init), *words])


def test_a_node_is_a_process_in_namespaces_of_its_own(node_instance, stand_ins, made):
    for kind in ("pid", "mnt", "net", "uts", "ipc"):
        own, its = (Path(f"/proc/{who}/ns/{kind}").readlink() for who in ("self", made.pid))
        assert own != its
    assert made.pid in cgroups.members(node_instance.name)
    assert node.started(node_instance) == Started(init=made, programs=str(stand_ins.folder), layout="digest")
    assert node.find_init(node_instance) == made
    assert not node.is_ready(node_instance)


def test_a_node_that_is_not_on_record_is_found_all_the_same(node_instance, made):
    node_instance.processes.unlink()
    assert node.find_init(node_instance) == made


def test_a_damaged_record_is_none(instance):
    instance.processes.write_text("{")
    assert node.started(instance) == Started()
    assert node.find_init(instance) is None


def test_a_furnished_node_keeps_its_folders_and_shares_no_other(node_instance, machine, made):
    node_instance.config.mkdir()
    (node_instance.config / "resolv.conf").write_text("nameserver 192.0.2.53\n")
    machine(node.furnish, node_instance, init=made)
    assert node.is_ready(node_instance)
    (node_instance.state / "volumes" / "kept").write_text("data")
    assert inside(machine, made, "cat", f"{facts.VOLUMES}/kept") == "data"
    assert inside(machine, made, "hostname").strip() == facts.NODE
    assert "192.0.2.53" in inside(machine, made, "cat", "/etc/resolv.conf")
    # The node's /sys shows its own network, and the machine's control groups.
    assert inside(machine, made, "ls", "/sys/class/net").split() == ["lo"]
    assert set(inside(machine, made, "ls", "/sys/fs/cgroup").split()) == {
        group.name for group in cgroups.MOUNT.iterdir()
    }
    inside(machine, made, "touch", f"{node.CNI}/lease", "/run/looma/inside")
    assert not list(node.CNI.iterdir())
    assert not Path("/run/looma/inside").exists()


def test_the_folder_of_a_nodes_mount_is_not_taken_away_by_mistake(monkeypatch, tmp_path):
    monkeypatch.setattr(node, "CNI", tmp_path / "cni")
    node.tidy()
    node.CNI.mkdir()
    (node.CNI / "somebody's").touch()
    node.tidy()
    assert (node.CNI / "somebody's").exists()
    (node.CNI / "somebody's").unlink()
    node.tidy()
    assert not node.CNI.exists()


def test_ending_the_node_ends_everything_in_it(node_instance, machine, stand_ins, made):
    etcd = stand_ins.component("etcd", "name=looma")
    machine(node.start, node_instance, etcd, init=made)
    known = node.running(made, etcd)
    assert known is not None
    machine(node.end, node_instance)
    assert not processes.alive(made)
    assert not processes.alive(known)
    assert not [group for group in cgroups.hierarchies() if (group / f"looma-{node_instance.name}").exists()]
    assert node.started(node_instance).init is None
    assert node.started(node_instance).programs == str(stand_ins.folder)
    machine(node.end, node_instance)


def test_a_process_that_does_not_end_is_named_and_not_waited_for_without_end(instance, monkeypatch):
    monkeypatch.setattr(node.cgroups, "members", lambda name: {1})
    clock = iter(range(0, 1000, 15))
    monkeypatch.setattr(node.time, "monotonic", lambda: next(clock))
    with pytest.raises(TimeoutError, match=r"\[1\]"):
        node.end(instance)


def test_a_component_runs_as_wanted_until_its_arguments_change(node_instance, machine, stand_ins, made):
    etcd, newer = (stand_ins.component("etcd", f"name={name}") for name in ("looma", "newer"))
    assert not node.as_wanted(made, etcd)
    assert not node.stop(made, etcd, grace=1)
    machine(node.start, node_instance, etcd, init=made)
    stand_ins.wait_for("etcd")
    assert node.as_wanted(made, etcd)
    assert not node.as_wanted(made, newer)
    # Stopping goes by the program, so that one with yesterday's arguments is found.
    assert node.stop(made, newer, grace=5)
    assert node.running(made, etcd) is None
    assert stand_ins.noted("ended") == ["etcd"]


def test_a_log_that_grew_large_is_set_aside(node_instance, machine, stand_ins, made):
    log = node_instance.logs / "etcd.log"
    with log.open("wb") as file:
        file.truncate(20_000_001)
    machine(node.start, node_instance, stand_ins.component("etcd"), init=made)
    assert log.stat().st_size < 1000
    assert log.with_suffix(".log.1").stat().st_size == 20_000_001


def test_a_component_whose_node_is_gone_is_an_error_that_names_the_command(node_instance, machine, stand_ins):
    gone = processes.Known(pid=2**22 + 1, ticks=1, boot="b")
    with pytest.raises(CommandError, match="No such file") as caught:
        machine(node.start, node_instance, stand_ins.component("etcd"), init=gone)
    assert str(stand_ins.folder / "etcd") in caught.value.command


def test_a_node_without_its_program_says_what_the_kernel_said(node_instance, machine, tmp_path):
    with pytest.raises(NodeError, match=r"unshare ended with \d+: .*looma-init"):
        machine(node.make, node_instance, programs=tmp_path / "nothing", layout="")
    assert node.started(node_instance).init is None


def test_components_end_from_the_top_down_and_pods_after_the_kubelet(node_instance, machine, stand_ins, made):
    parts = {name: stand_ins.component(name) for name in START_ORDER}
    asked = node_instance.state / "pods-asked"
    stop_pods = stand_ins.folder / "looma-stop-pods"
    stop_pods.write_text(f'#!/bin/sh\necho "$@" > {asked}\necho "ended pods" >> {stand_ins.notes}\n')
    stop_pods.chmod(0o755)
    for part in parts.values():
        machine(node.start, node_instance, part, init=made)
    stand_ins.wait_for(*parts)
    told = []
    machine(teardown.stop_all, node_instance, made, parts, programs=stand_ins.folder, report=told.append)
    ended = stand_ins.noted("ended")
    assert ended == ["kubelet", "pods", *(name for name in reversed(START_ORDER) if name != "kubelet")]
    assert told == ended
    assert asked.read_text().split() == [
        f"unix://{facts.CONTAINERD_SOCKET}",
        str(teardown.POD_GRACE_SECONDS),
    ]


def test_pods_are_left_to_the_nodes_end_where_nothing_can_stop_them(node_instance, machine, stand_ins, made):
    parts = {name: stand_ins.component(name) for name in ("containerd", "kubelet")}
    machine(node.start, node_instance, parts["containerd"], init=made)
    machine(
        teardown.stop_all, node_instance, made, parts, programs=stand_ins.folder, report=lambda text: None
    )
    assert node.running(made, parts["containerd"]) is None


# ---- the wire ----------------------------------------------------------------------------------------------


@pytest.fixture
def link():
    return network.choose_link("one", taken=[])


def rules(table="filter"):
    return run(["iptables", "-w", "10", "-t", table, "-S"])


def test_the_wire_reaches_the_node_and_the_node_no_service_outside(machine, made, link):
    machine(network.open_link, link, init=made.pid)
    assert f"default via {link.host} dev eth0" in inside(machine, made, "ip", "route")
    assert f"inet {link.node}/30" in inside(machine, made, "ip", "address", "show", "eth0")
    refused = inside(machine, made, "iptables", "-w", "-S")
    for chain in ("OUTPUT", "FORWARD"):
        assert f"-A {chain} -d {facts.SERVICE_RANGE} -o eth0 -j REJECT" in refused
    assert link.subnet in machine(network.networks_in_use)
    assert link.subnet not in machine(network.networks_in_use, but=link.interface)


def test_a_wire_is_laid_anew_where_one_is(machine, made, link):
    for _ in range(2):
        machine(network.open_link, link, init=made.pid)
    machine(network.close_interface, link)
    assert link.interface not in machine(run, ["ip", "link"])
    machine(network.close_interface, link)


def test_the_way_out_is_opened_once_and_closed_without_a_trace(machine, made, link, tmp_path):
    mark = tmp_path / "mark"
    before = machine(rules), machine(rules, "nat"), machine(forwarding, "up0")
    machine(network.open_link, link, init=made.pid)
    for _ in range(2):
        machine(network.open_outward, link, mark=mark)
    filtered = [line for line in machine(rules).splitlines() if line.startswith("-A")]
    assert [line.split()[-1] for line in filtered] == ["ACCEPT", "DROP", "ACCEPT"]
    assert all(f'"looma {link.interface}"' in line for line in filtered)
    assert machine(rules, "nat").count("MASQUERADE") == 1
    assert (machine(forwarding, link.interface), machine(forwarding, "up0")) == ("1", "1")
    assert mark.read_text() == "up0"
    machine(network.close_outward, link, mark=mark, others_run=False)
    machine(network.close_interface, link)
    assert (machine(rules), machine(rules, "nat"), machine(forwarding, "up0")) == before
    assert not mark.exists()


def forwarding(interface):
    return Path(f"/proc/sys/net/ipv4/conf/{interface}/forwarding").read_text().strip()


def switch_on(interface):
    Path(f"/proc/sys/net/ipv4/conf/{interface}/forwarding").write_text("1")


def test_forwarding_that_was_on_before_is_not_ours_to_switch_off(machine, made, link, tmp_path):
    mark = tmp_path / "mark"
    machine(switch_on, "up0")
    machine(network.open_link, link, init=made.pid)
    machine(network.open_outward, link, mark=mark)
    assert not mark.exists()
    machine(network.close_outward, link, mark=mark, others_run=False)
    assert machine(forwarding, "up0") == "1"


def test_forwarding_stays_while_another_instance_uses_it(machine, made, link, tmp_path):
    mark = tmp_path / "mark"
    machine(network.open_link, link, init=made.pid)
    machine(network.open_outward, link, mark=mark)
    machine(network.close_outward, link, mark=mark, others_run=True)
    assert machine(forwarding, "up0") == "1"
    assert mark.read_text() == "up0"


def test_forwarding_stays_while_an_instance_of_another_user_has_a_wire(machine, made, link, tmp_path):
    mark = tmp_path / "mark"
    machine(network.open_link, link, init=made.pid)
    machine(network.open_outward, link, mark=mark)
    machine(run, ["ip", "link", "add", network.interface_name("theirs"), "type", "veth", "peer", "theirs"])
    machine(network.close_outward, link, mark=mark, others_run=False)
    assert machine(forwarding, "up0") == "1"
    machine(run, ["ip", "link", "delete", network.interface_name("theirs")])
    machine(network.close_outward, link, mark=mark, others_run=False)
    assert machine(forwarding, "up0") == "0"


def test_a_machine_without_a_way_out_gives_pods_none(machine, link, tmp_path):
    machine(run, ["ip", "route", "delete", "default"])
    before = machine(rules)
    machine(network.open_outward, link, mark=tmp_path / "mark")
    assert machine(rules) == before


def test_a_machine_without_iptables_has_no_rules_to_take_away(monkeypatch, link, tmp_path):
    monkeypatch.setattr(network.shutil, "which", lambda name: None)
    monkeypatch.setattr(network, "run", lambda *words: pytest.fail("ran something"))
    network.open_outward(link, mark=tmp_path / "mark")
    network.close_outward(link, mark=tmp_path / "mark", others_run=False)


def test_a_table_that_the_kernel_lacks_has_no_rules_to_take_away(monkeypatch, link):
    asked = []

    def refuse(words):
        asked.append(words)
        raise CommandError(words, 3, "table does not exist")

    monkeypatch.setattr(network, "run", refuse)
    monkeypatch.setattr(network.shutil, "which", lambda name: "/usr/sbin/iptables")
    network.close_outward_rules(link)
    assert [words[words.index("-t") + 1] for words in asked] == ["nat", "filter"]
