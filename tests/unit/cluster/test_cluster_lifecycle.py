"""`up`, `down` and `build`: what each kind of cluster is asked for, in which order, and who is refused before."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from looma_cluster import gateway_api, lifecycle, paths, record, release, status
from looma_cluster import images as images_module
from looma_cluster.builtin.cluster import BuiltIn
from looma_cluster.choose import Kind
from looma_cluster.context import ContextCluster, RegistryMissingError
from looma_cluster.images import Image, rootfs
from looma_cluster.kind import KindCluster
from looma_cluster.lifecycle import NotReadyError, NotRootError
from looma_cluster.record import NoInstanceError, Record
from looma_cluster.status import Status
from looma_cluster.steps import Display, Step, StepError

IMAGES = [
    Image(name="engine", reference="localhost/engine:1", archive=Path("engine.tar")),
    Image(name="console", reference="localhost/console:1", archive=Path("console.tar")),
]
ROUTES = {"metadata": {"name": "httproutes"}}
GATEWAYS = {"metadata": {"name": "gateways"}}
READY = Status(name="one", cluster="builtin", environment="dev", running=True, ready=True)


SERVED = ROUTES | {"status": {"conditions": [{"type": "Established", "status": "True"}]}}


class World:
    """What `up` and `down` act on, written down in the order in which it is asked for."""

    def __init__(self, monkeypatch):
        self.did = []
        self.missing = []
        self.present = {IMAGES[0].reference}
        self.fails = ""
        for kind in (BuiltIn, KindCluster, ContextCluster):
            monkeypatch.setattr(kind, "steps", lambda cluster, *given, **named: self._steps(cluster))
            monkeypatch.setattr(kind, "down", lambda cluster, report, *, purge: self.note(f"down {purge}"))
            monkeypatch.setattr(kind, "running", lambda cluster: True)
        for kind in (BuiltIn, KindCluster):
            monkeypatch.setattr(kind, "present_images", lambda cluster: self.present)
            monkeypatch.setattr(
                kind, "import_image", lambda cluster, archive, report: self.note(f"import {archive}")
            )
        monkeypatch.setattr(lifecycle.prerequisites, "missing_packages", lambda: self.missing)
        monkeypatch.setattr(lifecycle.prerequisites, "install", self._install)
        monkeypatch.setattr(lifecycle.mounts, "release", lambda: self.note("release mounts"))
        monkeypatch.setattr(lifecycle.binaries, "built", lambda: False)
        monkeypatch.setattr(lifecycle.binaries, "ensure", lambda report, *, log: self.note("programs"))
        monkeypatch.setattr(gateway_api, "definitions", self._fetch)
        monkeypatch.setattr(gateway_api, "_kept", lambda cache: cache / "fetched")
        monkeypatch.setattr(gateway_api, "apply", self._apply)
        self.defined = []
        monkeypatch.setattr(BuiltIn, "api", lambda cluster: self)
        monkeypatch.setattr(lifecycle.Kubectl, "definitions", lambda kubectl, names: self.definitions(names))
        monkeypatch.setattr(lifecycle.person, "link_kubectl", lambda: None)
        monkeypatch.setattr(lifecycle.person, "choose_namespace", lambda _instance: None)
        monkeypatch.setattr(images_module, "build", self._build)
        monkeypatch.setattr(images_module, "push", self._push)
        monkeypatch.setattr(rootfs, "make", lambda base, *, cache: self.note(f"make {base.name}"))
        monkeypatch.setattr(release, "install", self._release)
        monkeypatch.setattr(lifecycle, "read_status", lambda instance: READY)

    def note(self, what):
        self.did.append(what)
        if what == self.fails:
            raise OSError("no space left")

    def _steps(self, cluster):
        builtin = ("node", "control plane", "loopback address", "container runtime", "node ready")
        names = builtin if isinstance(cluster, BuiltIn) else ("cluster",)
        needs = [(), *((name,) for name in names)]
        return [
            Step(name=name, needs=need, action=lambda report, name=name: self.note(name))
            for name, need in zip(names, needs, strict=False)
        ]

    def _fetch(self, cache):
        if not (cache / "fetched").exists():
            self.note("fetch definitions")
            (cache / "fetched").touch()
        return [ROUTES, GATEWAYS]

    def definitions(self, names):
        return [found for found in self.defined if found["metadata"]["name"] in names]

    def _apply(self, objects, *, kubeconfig, report):
        self.note(f"define {[found['metadata']['name'] for found in objects]}")

    def _install(self, report, *, log):
        self.note("install packages")

    def _build(self, *, cache, report, builder):
        self.note(f"build with {builder}")
        return list(IMAGES)

    def _push(self, built, registry, *, cache, report):
        self.note(f"push to {registry}")
        return [
            Image(name=one.name, reference=f"{registry}/{one.name}", archive=one.archive) for one in built
        ]

    def _release(self, *, kubeconfig, environment, images, settings, report):
        self.note(f"release {environment} {[one.reference for one in images]}")


@pytest.fixture
def world(instance, monkeypatch):
    # `up` adds the folders of root's programs to it.
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setattr(lifecycle.os, "geteuid", lambda: 0)
    # A node whose containerd has run before: it takes the images that it lacks, one by one.
    database = instance.state / "containerd" / "io.containerd.metadata.v1.bolt" / "meta.db"
    database.parent.mkdir(parents=True)
    database.touch()
    return World(monkeypatch)


@pytest.fixture
def display():
    return Display(Console(file=io.StringIO()))


@pytest.fixture
def up(instance, display):
    def bring(wanted=Kind.BUILTIN, environment=None, *, with_release=True):
        return lifecycle.up(
            instance, wanted=wanted, environment=environment, with_release=with_release, display=display
        )

    return bring


def test_up_goes_from_sources_to_a_console_that_answers(world, up, instance):
    chosen = up(environment="staging")
    assert record.require(instance) == chosen
    assert (chosen.cluster, chosen.environment) == ("builtin", "staging")
    after_build = world.did[world.did.index("build with buildah") :]
    assert "release mounts" in after_build
    # The image that the node has already is not brought again.
    assert [what for what in world.did if what.startswith("import")] == ["import console.tar"]
    assert world.did.index("container runtime") < world.did.index("import console.tar")
    assert world.did[-1] == "release staging ['localhost/engine:1', 'localhost/console:1']"
    assert world.did.index("node ready") < len(world.did) - 1


@pytest.mark.parametrize(
    ("kind", "defined", "define"),
    [
        pytest.param("builtin", [], "define ['httproutes', 'gateways']", id="a new cluster gets all"),
        pytest.param("builtin", [SERVED], "define ['gateways']", id="ours gets what it lacks"),
        pytest.param("kind", [SERVED], "define ['gateways']", id="kind's is ours too"),
        pytest.param("context", [], "define ['httproutes', 'gateways']", id="somebody's that has none"),
        pytest.param("context", [SERVED], None, id="somebody's is left as it is"),
    ],
)
def test_gateway_api_is_there_before_the_release(world, up, monkeypatch, *, kind, defined, define):
    monkeypatch.setenv("LOOMA_REGISTRY", "registry.example.org")
    if kind == "context":
        monkeypatch.setenv("LOOMA_CONTEXT", "prod")
    world.defined = defined
    up(Kind(kind))
    assert [what for what in world.did if what.startswith("define")] == ([define] if define else [])
    if define:
        assert world.did.index(define) < len(world.did) - 1
    assert world.did[-1].startswith("release dev")


def test_the_bare_cluster_is_the_cluster_alone(world, up):
    up(with_release=False)
    assert world.did == ["node", "control plane", "loopback address", "container runtime", "node ready"]


def test_an_environment_stays_until_another_is_named(world, up):
    up(environment="staging", with_release=False)
    assert up(with_release=False).environment == "staging"
    assert up(environment="dev", with_release=False).environment == "dev"


def test_missing_packages_are_installed_before_anything_else(world, up):
    world.missing = ["runc"]
    up(with_release=False)
    assert world.did[0] == "install packages"


def test_programs_of_root_are_found_by_whoever_became_root(world, up, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin")
    up(with_release=False)
    assert "/usr/sbin" in os.environ["PATH"].split(":")


def test_without_root_nothing_begins(world, up, instance, monkeypatch):
    monkeypatch.setattr(lifecycle.os, "geteuid", lambda: 1000)
    with pytest.raises(NotRootError, match="sudo"):
        up()
    assert world.did == []
    assert record.load(instance) is None


def test_kind_builds_with_docker_and_needs_no_root(world, up, monkeypatch):
    monkeypatch.setattr(lifecycle.os, "geteuid", lambda: 1000)
    up(Kind.KIND)
    assert "build with docker" in world.did
    assert "release mounts" not in world.did
    assert world.did.index("cluster") < world.did.index("import console.tar")


def test_an_existing_cluster_gets_its_images_through_its_registry(world, up, monkeypatch):
    monkeypatch.setenv("LOOMA_CONTEXT", "prod")
    monkeypatch.setenv("LOOMA_REGISTRY", "registry.example.org/looma/")
    chosen = up(Kind.AUTO)
    assert (chosen.cluster, chosen.context, chosen.registry) == (
        "context",
        "prod",
        "registry.example.org/looma",
    )
    assert "push to registry.example.org/looma" in world.did
    assert not [what for what in world.did if what.startswith("import")]
    assert "registry.example.org/looma/engine" in world.did[-1]


def test_an_existing_cluster_without_a_registry_is_refused_before_anything(world, up, instance, monkeypatch):
    monkeypatch.setenv("LOOMA_CONTEXT", "prod")
    with pytest.raises(RegistryMissingError):
        up(Kind.CONTEXT)
    assert world.did == []


def test_a_failed_build_lets_go_of_its_mounts(world, up):
    world.fails = "build with buildah"
    with pytest.raises(StepError, match="no space left"):
        up()
    assert "release mounts" in world.did
    assert not [what for what in world.did if what.startswith("release dev")]


@pytest.mark.parametrize("purge", [False, True], ids=["keeps the data", "takes the data"])
@pytest.mark.parametrize("kind", ["builtin", "kind", "context"])
def test_down(world, instance, kind, purge):
    record.save(instance, Record(cluster=kind))
    assert lifecycle.down(instance, lambda text: None, purge=purge)
    assert world.did == [f"down {purge}", *(["release mounts"] if kind == "builtin" else [])]
    assert instance.state.exists() is not purge
    # Beside the state, so purging would leave it.
    assert (paths.state_root() / ".one.lock").exists() is not purge


def test_down_of_a_built_in_cluster_wants_root_too(world, instance, monkeypatch):
    record.save(instance, Record(cluster="builtin"))
    monkeypatch.setattr(lifecycle.os, "geteuid", lambda: 1000)
    with pytest.raises(NotRootError):
        lifecycle.down(instance, lambda text: None, purge=True)
    assert instance.state.exists()


@pytest.mark.parametrize(
    ("only", "did"),
    [
        (["binaries"], ["fetch definitions", "programs"]),
        (["packages"], ["install packages"]),
        (["images"], ["build with buildah", "install packages", "release mounts"]),
        (["haproxy"], ["install packages", "make looma-base-gateway"]),
        (["prometheus"], ["install packages", "make looma-base-prometheus"]),
        ([], []),
    ],
)
def test_build_makes_what_it_is_told_with_the_packages_that_it_needs(world, display, only, did):
    world.missing = ["mmdebstrap"]
    lifecycle.build(only=only, display=display)
    # Programs and definitions come side by side.
    assert sorted(world.did) == did
    if "install packages" in did:
        assert world.did[0] == "install packages"


def test_ready_is_waited_for_and_what_is_missing_told(world, instance, monkeypatch):
    waiting = Status(name="one", cluster="builtin", environment="dev", running=True, problems=["no service"])
    unsaid = Status(name="one", cluster="builtin", environment="dev", running=True)
    answers = [waiting, unsaid, READY]
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: answers.pop(0))
    monkeypatch.setattr(lifecycle.time, "sleep", lambda seconds: None)
    told = []
    lifecycle.wait_until_ready(instance, told.append)
    assert told == ["no service", "waiting"]
    assert answers == []


def test_waiting_ends_with_every_reason(world, instance, monkeypatch):
    problems = ["etcd does not run", "no service"]
    document = Status(name="one", cluster="builtin", environment="dev", running=True, problems=problems)
    monkeypatch.setattr(lifecycle, "read_status", lambda instance: document)
    with pytest.raises(NotReadyError, match="etcd does not run; no service"):
        lifecycle.wait_until_ready(instance, lambda text: None, seconds=0)


@pytest.mark.parametrize(
    ("kind", "running", "answer"),
    [
        pytest.param("builtin", True, ("api", {"node": True}), id="its API server itself"),
        pytest.param("builtin", False, ("kubectl", {"node": False}), id="nobody answers there"),
        pytest.param("kind", True, ("kubectl", {}), id="kubectl, and no processes of ours"),
    ],
)
def test_the_status_is_asked_of(instance, monkeypatch, kind, running, answer):
    record.save(instance, Record(cluster=kind))
    for cluster in (BuiltIn, KindCluster):
        monkeypatch.setattr(cluster, "running", lambda cluster: running)
    monkeypatch.setattr(BuiltIn, "states", lambda cluster: {"node": running})
    monkeypatch.setattr(BuiltIn, "api", lambda cluster: type("Api", (), {"objects": "api"}))
    monkeypatch.setattr(lifecycle.Kubectl, "objects", "kubectl")
    monkeypatch.setattr(status, "read", lambda instance, chosen, **named: named)
    told = lifecycle.read_status(instance)
    assert (told["objects"], told["processes"]) == answer
    assert told["running"] is running


def test_the_status_of_nothing_is_an_error_that_says_how_to_begin(instance):
    with pytest.raises(NoInstanceError, match="looma up"):
        lifecycle.read_status(instance)
