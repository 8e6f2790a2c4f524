"""The built-in cluster, brought up and taken down: the steps, in the terms of `node`, `network` and `components`.

`steps` is what `looma up` runs; each can be interrupted and repeated. After a kill of everything, the node is gone
and the steps find nothing done, so `up` after a crash is the same road as the first one, with the data of before.
"""

from __future__ import annotations

import base64
import ipaddress
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from looma_cluster import binaries, certificates, paths, processes, record
from looma_cluster.builtin import (
    addons,
    cgroups,
    facts,
    forwarder,
    layout,
    network,
    node,
    system_images,
    teardown,
)
from looma_cluster.builtin.api import Api
from looma_cluster.builtin.components import Component, Places, components
from looma_cluster.builtin.network import Link
from looma_cluster.commands import CommandError, run
from looma_cluster.paths import Instance
from looma_cluster.processes import Known
from looma_cluster.record import Record
from looma_cluster.steps import Report, Step

CONSOLE_PORT = 8080
HTTPS_PORT = 8443
API_PORT = 6443
# From its first start the API server takes 4 to 12 s on two busy cores; it is given ten times that.
API_SECONDS = 120
NODE_SECONDS = 120


class ClusterError(RuntimeError):
    """The cluster does not do what it should; the message says what, and which log knows more."""


@dataclass(frozen=True, kw_only=True)
class BuiltIn:
    """One built-in cluster; holds no state but the instance's."""

    instance: Instance

    # ---- the state as it is ------------------------------------------------------------------------------

    def init(self) -> Known | None:
        """The node's first process, if it runs."""
        return node.find_init(self.instance)

    def link(self) -> Link:
        """The wire that was chosen.

        Raises:
            ClusterError: if none was.
        """
        link = record.require(self.instance).link
        if link is None:
            raise ClusterError("no network was chosen for the node yet")
        return link

    def programs(self) -> Path:
        """The folder of the programs that run, which the sources of today may have left behind; else today's."""
        kept = node.started(self.instance).programs
        return Path(kept) if kept and self.init() is not None else binaries.folder()

    def components(self) -> dict[str, Component]:
        """What runs in the node, by name."""
        places = Places(
            programs=self.programs(),
            pki=self.instance.pki,
            config=self.instance.config,
            etcd=self.instance.state / "etcd",
            node_address=self.link().node,
            cgroup=cgroups.group(self.instance.name),
        )
        return components(places)

    def states(self) -> dict[str, bool]:
        """Whether each process of the cluster runs: the components, the node and the forwarder."""
        init = self.init()
        found = {"node": init is not None}
        chosen = record.load(self.instance)
        if chosen is None or chosen.link is None:
            return found
        for name, component in self.components().items():
            found[name] = init is not None and node.as_wanted(init, component)
        found["forwarder"] = forwarder.runs(self.instance, self._forwards())
        return found

    def running(self) -> bool:
        """Whether its node runs."""
        return self.init() is not None

    # ---- up ----------------------------------------------------------------------------------------------

    def choose(self, chosen: Record) -> Record:
        """Fill in the ports and the network that are not chosen yet, or that something else has taken meanwhile."""
        others = [record.load(other) for other in paths.known_instances() if other.name != self.instance.name]
        taken = [port for other in others if other for port in other.ports()]
        # Ours holds the ports on record, even one of an earlier version that forwards fewer.
        forwarding = chosen.link is not None and forwarder.find(self.instance, _forwards(chosen)) is not None

        def port(before: int, usual: int) -> int:
            keeps = before and (forwarding or network.port_is_free(before))
            found = before if keeps else network.free_port(usual, taken=taken)
            taken.append(found)
            return found

        chosen.console_port = port(chosen.console_port, CONSOLE_PORT)
        chosen.https_port = port(chosen.https_port, HTTPS_PORT)
        chosen.api_port = port(chosen.api_port, API_PORT)
        if self.init() is None:
            used = network.networks_in_use(but=network.interface_name(self.instance.name))
            used += [other.link.subnet for other in others if other and other.link]
            if chosen.link is None or _overlaps(chosen.link.subnet, used):
                chosen.link = network.choose_link(self.instance.name, taken=used)
        return chosen

    def steps(self, *, before_runtime: tuple[str, ...] = ()) -> list[Step]:
        """From nothing to a node that is Ready, with DNS and metrics on their way.

        Args:
            before_runtime: steps that a fresh container runtime waits for, since they prepare its data.
        """
        logs = self.instance.logs
        build_log = paths.cache() / "logs" / "build.log"
        build_log.parent.mkdir(parents=True, exist_ok=True)
        system = [self._system_image_step(name, build_log) for name in system_images.images()]
        imports = [self._import_step(name) for name in system_images.images()]
        return [
            binaries.step(log=build_log),
            *system,
            Step(
                name="node",
                needs=("programs",),
                done=self._node_made,
                action=self._make_node,
                log=logs / "node.log",
                cure="namespaces need root and a kernel that allows them; inside a container, run it privileged",
            ),
            Step(
                name="control plane",
                needs=("node",),
                done=lambda: self._all_run(_CONTROL_PLANE) and self.api().ready(),
                action=self._start_control_plane,
                log=logs / "kube-apiserver.log",
                cure="etcd.log beside it tells of a full disk or damaged data; `looma down --purge` starts anew",
            ),
            Step(
                name="loopback address",
                needs=("node",),
                done=lambda: forwarder.runs(self.instance, self._forwards()),
                action=self._start_forwarder,
                log=logs / "looma-forward.log",
                cure="another program took the port meanwhile: run `looma up` again, which chooses another",
            ),
            Step(
                name="container runtime",
                needs=("node", *before_runtime),
                done=lambda: self._all_run(("containerd",)) and self._containerd_answers(),
                action=self._start_containerd,
                log=logs / "containerd.log",
                cure="`containerd --version` must say 1.6 or 1.7, and /usr/sbin/runc be there",
            ),
            *imports,
            Step(
                name="node ready",
                needs=("control plane", "import looma-pause"),
                done=lambda: self._all_run(("kube-proxy", "kubelet")) and self._node_ready(),
                action=self._start_node_agents,
                log=logs / "kubelet.log",
                cure="the kubelet's last lines name what it misses",
            ),
            Step(
                name="DNS, metrics, storage",
                needs=("node ready", "loopback address", *(step.name for step in imports)),
                done=self._addons_ready,
                action=self._apply_addons,
                log=logs / "kubelet.log",
                cure="`looma logs coredns` and `looma logs metrics-server` tell what they wait for",
            ),
        ]

    def _system_image_step(self, name: str, log: Path) -> Step:
        return Step(
            name=f"image {name}",
            needs=("programs",),
            done=system_images.images()[name].archive.exists,
            action=lambda report: _ignore(system_images.build(name, report, log=log)),
            log=log,
            cure="buildah needs room in the cache folder: `df -h`",
        )

    def _import_step(self, name: str) -> Step:
        image = system_images.images()[name]
        return Step(
            name=f"import {name}",
            needs=("container runtime", f"image {name}"),
            done=lambda: image.reference in self.present_images(),
            action=lambda report: self.import_image(image.archive, report),
            log=self.instance.logs / "containerd.log",
            cure=f"remove {image.archive} and run `looma up` again: it may be damaged",
        )

    def _make_node(self, report: Report) -> None:
        """A fresh node; a half-made or half-dead one is ended first."""
        if (old := self.init()) is not None:
            self._stop_components(old, report)
        report("namespaces")
        node.end(self.instance)
        forwarder.stop(self.instance, self._forwards())
        link, api_port = self.link(), record.require(self.instance).api_port
        layout.write(self.instance, link, files=self._files(), api_port=api_port)
        init = node.make(self.instance, programs=binaries.folder(), layout=layout.digest(self._files()))
        report("network")
        network.open_link(link, init=init.pid)
        network.open_outward(link, mark=paths.forwarding_mark())
        report("mounts")
        node.furnish(self.instance, init=init)

    def _files(self) -> dict[str, str]:
        return layout.files(self.instance, pause=system_images.images()["looma-pause"].reference)

    def _node_made(self) -> bool:
        """Whether the node is whole, and has the programs, files and certificates that it should have today."""
        if not node.is_ready(self.instance):
            return False
        wired = Path(f"/sys/class/net/{self.link().interface}").exists()
        return (
            wired
            and self.programs() == binaries.folder()
            and node.started(self.instance).layout == layout.digest(self._files())
            and not certificates.unfit(self.instance.pki, layout.leaves(self.link()))
        )

    def api(self) -> Api:
        """The API server."""
        return Api(address=self.link().node, pki=self.instance.pki)

    def _node_ready(self) -> bool:
        init = self.init()
        kubelet = node.running(init, self.components()["kubelet"]) if init is not None else None
        # The boot's time is known in whole seconds, and so is a heartbeat's.
        return kubelet is not None and self.api().node_ready(since=processes.started_at(kubelet) - 2)

    def _addons(self) -> list[addons.Object]:
        images, pki = system_images.images(), self.instance.pki

        def encoded(name: str) -> str:
            return base64.b64encode((pki / name).read_bytes()).decode()

        return addons.objects(
            coredns=images["looma-cluster"].reference,
            metrics_server=images["looma-metrics-server"].reference,
            name_servers=layout.host_name_servers(),
            serving={
                "tls.crt": encoded("metrics-server.crt"),
                "tls.key": encoded("metrics-server.key"),
                "ca.crt": encoded("ca.crt"),
            },
        )

    def _addons_ready(self) -> bool:
        wanted, mark = addons.digest(self._addons()), self._addons_mark()
        return mark.exists() and mark.read_text() == wanted and self.api().dns_ready()

    def _addons_mark(self) -> Path:
        """Says which additions were applied; gone with the data, as they are."""
        return self.instance.state / "addons.digest"

    def _apply(self, objects: Sequence[addons.Object]) -> None:
        kubectl, kubeconfig = binaries.path("kubectl"), self.instance.config / "apply.kubeconfig"
        self.api().apply(objects, kubectl=kubectl, kubeconfig=kubeconfig)

    def _all_run(self, names: Iterable[str]) -> bool:
        states = self.states()
        return all(states.get(name) for name in names)

    def _start(self, name: str) -> None:
        init = self._require_init()
        component = self.components()[name]
        if not node.as_wanted(init, component):
            teardown.stop(init, component)
            node.start(self.instance, component, init=init)

    def _start_control_plane(self, report: Report) -> None:
        for name in ("etcd", "kube-apiserver"):
            report(name)
            self._start(name)
        self._wait(self.api().ready, API_SECONDS, "the API server does not answer", "etcd", "kube-apiserver")
        for name in ("kube-controller-manager", "kube-scheduler"):
            self._start(name)

    def _start_containerd(self, _: Report) -> None:
        self._start("containerd")
        self._wait(self._containerd_answers, 30, "containerd does not answer", "containerd")

    def _start_node_agents(self, report: Report) -> None:
        # Rights first: the API server may not ask the kubelet for logs, nor the provisioner for claims, without.
        self._apply(addons.rights())
        if not self._all_run(("kubelet",)):
            self.api().distrust_pods()
        for name in ("looma-provisioner", "kube-proxy", "kubelet"):
            report(name)
            self._start(name)
        self._wait(self._node_ready, NODE_SECONDS, "the node is not Ready", "kubelet", "kube-proxy")

    def _apply_addons(self, _: Report) -> None:
        objects = self._addons()
        self._apply(objects)
        self._addons_mark().write_text(addons.digest(objects))
        self._wait(self.api().dns_ready, 90, "CoreDNS is not available", "kubelet")

    def _start_forwarder(self, _: Report) -> None:
        forwarder.stop(self.instance, self._forwards())
        chosen = record.require(self.instance)
        forwarder.start(self.instance, self._forwards(), ports=chosen.ports())

    def _forwards(self) -> list[str]:
        return _forwards(record.require(self.instance))

    # ---- images ------------------------------------------------------------------------------------------

    def present_images(self) -> set[str]:
        """Full names of the images in the node."""
        return set(self._ctr("images", "list", "-q").split())

    def import_image(self, archive: Path, report: Report) -> None:
        """Bring an OCI archive's image into the node.

        Raises:
            CommandError: if the archive is damaged or the disk full.
        """
        report(archive.name)
        self._ctr("images", "import", str(archive))

    def _ctr(self, *arguments: str) -> str:
        control = ["ctr", "--address", facts.CONTAINERD_SOCKET, "--namespace", "k8s.io"]
        return run([*node.inside(self._require_init()), *control, *arguments])

    def _containerd_answers(self) -> bool:
        try:
            # The CRI plugin is the last to come up, and the kubelet exits when it is not there.
            return "cri" in self._ctr("plugins", "list", "id==cri") and bool(self._ctr("version"))
        except CommandError:
            return False

    def _require_init(self) -> Known:
        init = self.init()
        if init is None:
            raise ClusterError("the node does not run")
        return init

    def _wait(self, until: Callable[[], bool], seconds: float, sentence: str, *needed: str) -> None:
        """Poll, and give up at once when a process that is needed has ended."""
        deadline = time.monotonic() + seconds
        while not until():
            states = self.states()
            for name in needed:
                if not states.get(name):
                    raise ClusterError(f"{sentence}: {name} has ended. {self.last_words(name)}")
            if time.monotonic() > deadline:
                raise ClusterError(f"{sentence} within {seconds:g} s")
            time.sleep(0.1)

    def last_words(self, name: str, lines: int = 5) -> str:
        """The end of a component's log."""
        log = self.instance.logs / f"{name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    # ---- down --------------------------------------------------------------------------------------------

    def down(self, report: Report, *, purge: bool = False) -> None:
        """Stop it all in order, and leave nothing but the data; not even that with `purge`.

        Raises:
            TimeoutError: if a process does not end even when killed.
        """
        init = self.init()
        chosen = record.load(self.instance)
        if init is not None and chosen is not None and chosen.link is not None:
            self._stop_components(init, report)
        report("node")
        node.end(self.instance)
        others_run = any(
            BuiltIn(instance=other).running()
            for other in paths.known_instances()
            if other.name != self.instance.name
        )
        if chosen is not None and chosen.link is not None:
            forwarder.stop(self.instance, self._forwards())
            network.close_interface(chosen.link)
            network.close_outward(chosen.link, mark=paths.forwarding_mark(), others_run=others_run)
        if not others_run:
            node.tidy()
        if purge:
            shutil.rmtree(self.instance.state)

    def _stop_components(self, init: Known, report: Report) -> None:
        programs = self.programs()
        teardown.stop_all(self.instance, init, self.components(), programs=programs, report=report)


_CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def _forwards(chosen: Record) -> list[str]:
    if chosen.link is None:
        raise ClusterError("no network was chosen for the node yet")
    return forwarder.arguments(
        link=chosen.link,
        console_port=chosen.console_port,
        https_port=chosen.https_port,
        api_port=chosen.api_port,
    )


def _overlaps(subnet: str, networks: Iterable[str]) -> bool:
    wanted = ipaddress.ip_network(subnet)
    return any(wanted.overlaps(ipaddress.ip_network(other, strict=False)) for other in networks)


def _ignore(_: object) -> None:
    """For actions whose answer nobody needs."""
