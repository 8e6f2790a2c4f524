"""The built-in cluster's steps: in which order it acts on its node, when it leaves things alone, when it gives up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from looma_cluster import certificates, paths, record
from looma_cluster.builtin import addons, cluster, layout, network
from looma_cluster.builtin.api import Api
from looma_cluster.builtin.cluster import BuiltIn, ClusterError
from looma_cluster.builtin.components import START_ORDER
from looma_cluster.builtin.node import Started
from looma_cluster.commands import CommandError
from looma_cluster.processes import Known, know
from looma_cluster.record import Record

INIT = Known(pid=2**22 + 1, ticks=1, boot="b")


class World:
    """The machine as `cluster` sees it: notes what is done to it, in order, and which parts run."""

    def __init__(self, instance, monkeypatch, tmp_path):
        self.did = []
        self.instance = instance
        self.inits = {}
        self.runs = {}
        self.forwards = False
        self.api_ready = True
        self.started = Started()
        self.built = tmp_path / "bin-new"
        self.ctr = {}
        self.name_servers = ["192.0.2.1"]
        for name in ("bin-new", "bin-old"):
            (tmp_path / name).mkdir()
        node = cluster.node
        monkeypatch.setattr(node, "find_init", lambda other: self.inits.get(other.name))
        monkeypatch.setattr(node, "started", lambda other: self.started)
        monkeypatch.setattr(node, "as_wanted", lambda init, part: self.runs.get(part.name) == part.command)
        monkeypatch.setattr(node, "is_ready", lambda other: self.inits.get(other.name) is not None)
        monkeypatch.setattr(node, "end", self._end)
        monkeypatch.setattr(node, "make", self._make)
        monkeypatch.setattr(node, "furnish", lambda other, *, init: self.note("furnish"))
        monkeypatch.setattr(node, "start", self._start)
        monkeypatch.setattr(node, "tidy", lambda: self.note("tidy"))
        monkeypatch.setattr(node, "running", lambda init, part: self.runs.get(part.name) and know(1))
        monkeypatch.setattr(cluster.teardown, "stop", self._stop)
        monkeypatch.setattr(cluster.teardown, "stop_all", self._stop_all)
        monkeypatch.setattr(cluster.binaries, "folder", lambda: self.built)
        monkeypatch.setattr(cluster.binaries, "path", lambda name: self.built / name)
        monkeypatch.setattr(cluster.binaries, "source_hash", lambda: "0123")
        for name in ("open_link", "open_outward", "close_interface", "close_outward"):
            monkeypatch.setattr(network, name, self._network(name))
        monkeypatch.setattr(network, "networks_in_use", lambda *, but: ["192.0.2.0/24"])
        for name in ("start", "stop"):
            monkeypatch.setattr(cluster.forwarder, name, self._forwarder(name))
        monkeypatch.setattr(cluster.forwarder, "runs", lambda other, wanted: self.forwards)
        monkeypatch.setattr(cluster.forwarder, "find", lambda other, wanted: INIT if self.forwards else None)
        monkeypatch.setattr(cluster, "run", self._run)
        monkeypatch.setattr(Api, "ready", lambda api: self.api_ready)
        monkeypatch.setattr(Api, "node_ready", lambda api, *, since: "kubelet" in self.runs)
        monkeypatch.setattr(Api, "dns_ready", lambda api: True)
        monkeypatch.setattr(Api, "distrust_pods", lambda api: self.note("distrust pods"))
        monkeypatch.setattr(Api, "apply", lambda api, objects, **named: self._apply(objects))
        monkeypatch.setattr(layout, "host_name_servers", lambda: self.name_servers)

    def note(self, what):
        self.did.append(what)

    def _end(self, instance):
        self.note("end node")
        self.inits.pop(instance.name, None)

    def _make(self, instance, *, programs, layout):
        self.note("make node")
        self.inits[instance.name] = INIT
        self.started = Started(init=INIT, programs=str(programs), layout=layout)
        return INIT

    def _start(self, instance, part, *, init):
        self.note(f"start {part.name}")
        self.runs[part.name] = part.command

    def _stop(self, init, part):
        if self.runs.pop(part.name, None):
            self.note(f"stop {part.name}")

    def _stop_all(self, instance, init, parts, *, programs, report):
        self.note(f"stop all of {Path(programs).name}")
        self.runs.clear()

    def _network(self, name):
        return lambda link, **named: self.note((name, named) if name == "close_outward" else name)

    def _forwarder(self, name):
        def act(instance, wanted, **named):
            self.note(f"{name} forwarder")
            self.forwards = name == "start"

        return act

    def _run(self, words):
        line = " ".join(map(str, words))
        answer = next((found for part, found in self.ctr.items() if part in line), "")
        self.note(line)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _apply(self, objects):
        self.note("apply rights" if list(objects) == addons.rights() else "apply")


LINK = network.choose_link("one", taken=[])


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """The certificates of a node at `LINK`, made once: each test's instance gets a copy."""
    folder = tmp_path_factory.mktemp("pki")
    certificates.ensure_pki(folder, layout.leaves(LINK))
    return folder


@pytest.fixture
def world(instance, monkeypatch, tmp_path, pki):
    shutil.copytree(pki, instance.pki)
    made = World(instance, monkeypatch, tmp_path)
    record.save(
        instance,
        Record(
            cluster="builtin", console_port=8099, api_port=7443, link=network.choose_link("one", taken=[])
        ),
    )
    return made


@pytest.fixture
def builtin(instance):
    return BuiltIn(instance=instance)


@pytest.fixture
def steps(world, builtin):
    return {step.name: step for step in builtin.steps()}


def act(step):
    """Run a step's action; what it told."""
    told = []
    step.action(told.append)
    return told


@pytest.fixture
def made(world, steps):
    """The node is made, and nothing runs in it yet."""
    act(steps["node"])
    world.did.clear()


def test_a_node_is_made_from_its_files_outward(world, steps, instance):
    assert not steps["node"].done()
    act(steps["node"])
    assert world.did == ["end node", "stop forwarder", "make node", "open_link", "open_outward", "furnish"]
    assert (instance.config / "kubelet.yaml").exists()
    assert instance.kubeconfig.exists()


def test_what_runs_in_an_old_node_is_stopped_with_the_programs_that_it_runs(world, steps, tmp_path):
    world.inits["one"] = INIT
    world.started = Started(init=INIT, programs=str(tmp_path / "bin-old"))
    act(steps["node"])
    assert world.did[:2] == ["stop all of bin-old", "end node"]


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        pytest.param(None, True, id="as it should be"),
        pytest.param("gone", False, id="it does not run"),
        pytest.param("wire", False, id="its wire is gone"),
        pytest.param("programs", False, id="the programs are newer"),
        pytest.param("files", False, id="its files are others now"),
        pytest.param("address", False, id="its certificates are for another address"),
    ],
)
@pytest.mark.usefixtures("made")
def test_a_node_is_whole(world, steps, instance, change, whole):
    chosen = record.require(instance)
    # The wire itself is not laid here, so one that is always there stands for it.
    wire = {"interface": "none" if change == "wire" else "lo"}
    address = {"node": "10.213.255.254"} if change == "address" else {}
    link = {name: getattr(chosen.link, name) for name in ("host", "node", "interface")}
    chosen.link = network.Link(**(link | wire | address))
    record.save(instance, chosen)
    if change == "gone":
        world.inits.clear()
    if change == "programs":
        world.built = world.built.with_name("bin-newer")
    if change == "files":
        world.name_servers = ["192.0.2.53"]
    assert steps["node"].done() is whole


def test_the_control_plane_waits_for_the_api_server_before_its_clients(world, steps, made, monkeypatch):
    asked = []
    monkeypatch.setattr(Api, "ready", lambda api: asked.append(list(world.did)) or len(asked) > 1)
    monkeypatch.setattr(cluster.time, "sleep", lambda seconds: None)
    act(steps["control plane"])
    assert asked[0] == ["start etcd", "start kube-apiserver"]
    assert world.did[2:] == ["start kube-controller-manager", "start kube-scheduler"]
    assert steps["control plane"].done()


def test_what_runs_as_wanted_is_not_started_again(world, steps, builtin, made):
    act(steps["control plane"])
    world.did.clear()
    world.runs["kube-scheduler"] = ("kube-scheduler", "--of-yesterday")
    assert not steps["control plane"].done()
    act(steps["control plane"])
    assert world.did == ["stop kube-scheduler", "start kube-scheduler"]


@pytest.mark.usefixtures("made")
def test_waiting_ends_with_the_process_that_is_waited_for(world, steps, instance, monkeypatch):
    world.api_ready = False
    # etcd ends as soon as it began.
    monkeypatch.setattr(cluster.node, "start", lambda instance, part, *, init: world.note(part.name))
    (instance.logs / "etcd.log").write_text("".join(f"line {n}\n" for n in range(9)))
    with pytest.raises(ClusterError, match=r"(?s)etcd has ended\. line 4\n.*line 8") as caught:
        act(steps["control plane"])
    assert "line 3" not in str(caught.value)
    assert world.did == ["etcd", "kube-apiserver"]


def test_waiting_ends_with_its_time(world, builtin, made):
    with pytest.raises(ClusterError, match="it hangs within 0 s"):
        builtin._wait(lambda: False, 0, "it hangs")
    assert builtin.last_words("nothing") == ""


def test_nothing_is_started_in_a_node_that_does_not_run(world, builtin):
    with pytest.raises(ClusterError, match="does not run"):
        builtin._start("etcd")


@pytest.mark.parametrize(
    ("plugins", "version", "answers"),
    [
        pytest.param("io.containerd.grpc.v1 cri ok", "1.6", True, id="it answers"),
        pytest.param("", "1.6", False, id="without the plugin that the kubelet needs"),
        pytest.param(CommandError(["ctr"], 1, "refused"), "", False, id="not yet there"),
    ],
)
@pytest.mark.usefixtures("made")
def test_the_container_runtime_is_done_when_it_answers(world, steps, plugins, version, answers):
    assert not steps["container runtime"].done()
    world.ctr = {"plugins list": "cri", "version": "1.6"}
    act(steps["container runtime"])
    assert world.did[0] == "start containerd"
    world.ctr = {"plugins list": plugins, "version": version}
    assert steps["container runtime"].done() is answers


def test_images_are_imported_once_and_into_the_node(world, steps, builtin, made):
    image = cluster.system_images.images()["looma-pause"]
    step = steps["import looma-pause"]
    assert not step.done()
    assert act(step) == [image.archive.name]
    assert f"-t {INIT.pid}" in world.did[-1]
    assert world.did[-1].endswith(f"images import {image.archive}")
    world.ctr = {"images list": f"{image.reference}\nother:1\n"}
    assert builtin.present_images() == {image.reference, "other:1"}
    assert step.done()


def test_rights_come_before_the_agents_that_need_them(world, steps, made):
    assert not steps["node ready"].done()
    act(steps["node ready"])
    agents = ["start looma-provisioner", "start kube-proxy", "start kubelet"]
    assert world.did == ["apply rights", "distrust pods", *agents]


def test_pods_are_distrusted_only_where_no_kubelet_has_looked(world, steps, made):
    act(steps["node ready"])
    world.did.clear()
    act(steps["node ready"])
    assert world.did == ["apply rights"]


def test_additions_are_applied_when_they_change_and_not_otherwise(world, steps, made):
    step = steps["DNS, metrics, storage"]
    assert not step.done()
    act(step)
    assert world.did == ["apply"]
    assert step.done()
    world.name_servers = ["192.0.2.53"]
    assert not step.done()


def test_the_forwarder_is_replaced_and_not_joined(world, steps):
    assert not steps["loopback address"].done()
    act(steps["loopback address"])
    assert world.did == ["stop forwarder", "start forwarder"]
    assert steps["loopback address"].done()


def test_steps_need_only_steps_that_are_there(steps):
    assert {need for step in steps.values() for need in step.needs} <= set(steps)


def test_what_runs_is_told_by_name(world, builtin, steps, made):
    world.runs["etcd"] = builtin.components()["etcd"].command
    states = builtin.states()
    assert set(states) == {"node", "forwarder", *START_ORDER}
    assert {name for name, runs in states.items() if runs} == {"node", "etcd"}
    assert builtin.running()


def test_an_instance_without_a_network_yet_has_no_parts(world, builtin, instance):
    record.save(instance, Record(cluster="builtin"))
    assert builtin.states() == {"node": False}
    for ask in (builtin.link, builtin._forwards):
        with pytest.raises(ClusterError, match="no network was chosen"):
            ask()


# ---- what is chosen ----------------------------------------------------------------------------------------


def test_a_port_that_somebody_took_is_chosen_anew_unless_our_forwarder_has_it(
    world, builtin, instance, monkeypatch
):
    chosen = record.require(instance)
    monkeypatch.setattr(network, "port_is_free", lambda port: port not in {8099, 7443})
    world.forwards = True
    again = builtin.choose(chosen)
    assert (again.console_port, again.api_port) == (8099, 7443)
    world.forwards = False
    again = builtin.choose(record.require(instance))
    assert again.ports() == (cluster.CONSOLE_PORT, cluster.HTTPS_PORT, cluster.API_PORT)


def test_an_instance_of_before_there_was_a_port_with_tls_keeps_its_others(
    world, builtin, instance, monkeypatch
):
    chosen = record.require(instance)
    assert not chosen.https_port
    monkeypatch.setattr(network, "port_is_free", lambda port: port not in {8099, 7443})
    world.forwards = True
    assert builtin.choose(chosen).ports() == (8099, cluster.HTTPS_PORT, 7443)


def test_a_network_that_something_else_uses_is_chosen_anew_unless_the_node_runs(
    world, builtin, instance, monkeypatch
):
    chosen = record.require(instance)
    before = chosen.link
    monkeypatch.setattr(network, "networks_in_use", lambda *, but: [before.subnet])
    world.inits["one"] = INIT
    assert builtin.choose(chosen).link == before
    world.inits.clear()
    assert builtin.choose(chosen).link.subnet != before.subnet


# ---- down --------------------------------------------------------------------------------------------------


def test_down_stops_what_runs_before_the_node_and_takes_the_wire_last(world, builtin, instance, made):
    told = []
    builtin.down(told.append)
    closed = ("close_outward", {"mark": paths.forwarding_mark(), "others_run": False})
    assert world.did == [
        "stop all of bin-new",
        "end node",
        "stop forwarder",
        "close_interface",
        closed,
        "tidy",
    ]
    assert instance.state.is_dir()


def test_after_a_kill_of_everything_down_takes_away_what_is_left(world, builtin):
    builtin.down(lambda text: None)
    assert world.did[:3] == ["end node", "stop forwarder", "close_interface"]


def test_down_takes_nothing_from_an_instance_that_still_runs(world, builtin):
    other = paths.instance("two")
    record.save(other, Record(cluster="builtin"))
    world.inits["two"] = INIT
    builtin.down(lambda text: None)
    assert ("close_outward", {"mark": paths.forwarding_mark(), "others_run": True}) in world.did
    # The other's node has a mount over the folder, which would go with it.
    assert "tidy" not in world.did


def test_purge_takes_the_data(world, builtin, instance):
    builtin.down(lambda text: None, purge=True)
    assert not instance.state.exists()
