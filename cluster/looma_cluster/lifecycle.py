"""Bringing an instance up and taking it down, on whichever kind of cluster it has.

`up` and `down` are what the commands of the same name call. One lock per instance keeps two of them apart; the steps
come from the kind of cluster (`builtin`, `kind`, `context`), the images from `images`, Looma itself from `release`.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from filelock import FileLock, Timeout

from looma_cluster import binaries, choose, gateway_api, mounts, paths, person, prerequisites, record, status
from looma_cluster.builtin import image_store
from looma_cluster.builtin.cluster import BuiltIn
from looma_cluster.choose import Kind
from looma_cluster.context import ContextCluster
from looma_cluster.images import Image
from looma_cluster.images.catalog import GATEWAY, PROMETHEUS
from looma_cluster.kind import KindCluster
from looma_cluster.kubernetes import Kubectl, Object
from looma_cluster.paths import Instance
from looma_cluster.record import Record
from looma_cluster.steps import Display, Report, Step, run_steps

# A fresh database, its migrations, six images to start: 20 to 40 s on two cores, and ten times that on a bad day.
READY_SECONDS = 300
BUILDS = frozenset({"packages", "binaries", "images", "haproxy", "prometheus", "registry"})
"""What `build` can be asked for."""
_IMAGES = "Looma's images"


class BusyError(RuntimeError):
    """Another `looma up` or `looma down` works on the same instance."""


class NotRootError(RuntimeError):
    """The built-in cluster is made of things that only root may make."""


class NotReadyError(RuntimeError):
    """Everything was started, and something does not become ready."""


class Cluster(Protocol):
    """What all kinds of clusters can do."""

    def running(self) -> bool:
        """Whether it runs now."""
        ...

    def down(self, report: Report, *, purge: bool = False) -> None:
        """Stop it; with `purge`, remove its data too."""
        ...


class Importing(Protocol):
    """A cluster that takes images from this machine's disk."""

    def present_images(self) -> set[str]:
        """Full names of the images it has."""
        ...

    def import_image(self, archive: Path, report: Report) -> None:
        """Take the image of an archive."""
        ...


def cluster_of(instance: Instance, chosen: Record) -> BuiltIn | KindCluster | ContextCluster:
    """The cluster that the instance runs on."""
    match chosen.cluster:
        case "kind":
            return KindCluster(instance=instance)
        case "context":
            return ContextCluster(instance=instance)
        case _:
            return BuiltIn(instance=instance)


@contextmanager
def locked(instance: Instance) -> Iterator[None]:
    """Hold the instance's lock, which is beside its state so that `--purge` can remove that.

    Raises:
        BusyError: if another process holds it.
    """
    paths.state_root().mkdir(parents=True, exist_ok=True)
    lock = FileLock(paths.state_root() / f".{instance.name}.lock")
    try:
        with lock.acquire(timeout=1):
            yield
    except Timeout:
        raise BusyError(
            f"another `looma` works on the instance {instance.name}: wait for it to end"
        ) from None


def require_root() -> None:
    """Refuse early what would fail later.

    Raises:
        NotRootError: if we are not root.
    """
    if os.geteuid() != 0:
        raise NotRootError(
            "the built-in cluster needs root, for namespaces, mounts and network interfaces: use `make up`, which "
            "asks sudo, or `sudo --preserve-env=HOME,PATH .venv/bin/looma up`"
        )


def up(
    instance: Instance,
    *,
    wanted: Kind,
    environment: str | None,
    with_release: bool,
    display: Display | None = None,
) -> Record:
    """Bring the instance up, or to what the sources say now if it runs already; its record.

    Args:
        instance: which one.
        wanted: the kind of cluster.
        environment: `dev`, `staging` or `production`; None keeps what it has.
        with_release: whether Looma itself is installed, or the bare cluster alone.
        display: where progress is shown.

    Raises:
        StepError: if a step fails.
        ChoiceError, BusyError, NotRootError, NoRoomError, RegistryMissingError: before any step.
    """
    with locked(instance):
        chosen = _choose(instance, wanted, environment)
        cluster = cluster_of(instance, chosen)
        if isinstance(cluster, BuiltIn):
            require_root()
            os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{prerequisites.SYSTEM_PATH}"
            _install_prerequisites(display)
        record.save(instance, cluster.choose(chosen))
        images: list[Image] = []
        building = _images_step(images, builder_is_docker=isinstance(cluster, KindCluster))
        if not isinstance(cluster, BuiltIn):
            steps = cluster.steps(chosen)
        elif with_release:
            storing = _store_steps(instance, images, after=building.name)
            steps = storing + cluster.steps(before_runtime=tuple(step.name for step in storing))
        else:
            steps = cluster.steps()
        if with_release:
            after = tuple(step.name for step in steps)
            fetching = gateway_api.fetch_step()
            steps += [building, fetching, *_release_steps(instance, cluster, chosen, images, after=after)]
        run_steps(steps, display=display)
        person.link_kubectl()
        if with_release:
            person.choose_namespace(instance)
        person.hand_over(instance, home=Path.home(), to=person.behind_sudo(os.environ, euid=os.geteuid()))
        return record.require(instance)


def down(instance: Instance, report: Report, *, purge: bool) -> bool:
    """Take the instance down; whether there was one.

    Raises:
        BusyError: if another `looma` works on it.
        NotRootError: if it is a built-in one and we are not root.
        TimeoutError: if a process does not end.
    """
    with locked(instance):
        chosen = record.load(instance)
        if chosen is None:
            return False
        cluster = cluster_of(instance, chosen)
        if isinstance(cluster, BuiltIn):
            require_root()
            os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{prerequisites.SYSTEM_PATH}"
        cluster.down(report, purge=purge)
        if isinstance(cluster, BuiltIn):
            # Of a build that was killed before it could do so.
            mounts.release()
        if purge and instance.state.is_dir():
            shutil.rmtree(instance.state)
    if purge:
        (paths.state_root() / f".{instance.name}.lock").unlink(missing_ok=True)
    return True


def build(*, only: Sequence[str], display: Display | None = None) -> None:
    """Build some of BUILDS without starting anything: programs (with what Go fetches for them), images, single roots.

    Debian packages that the built-in cluster needs are installed first, but not for programs, which need none.

    Raises:
        StepError: if a build fails.
    """
    log = paths.cache() / "logs" / "build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if set(only) - {"binaries"}:
        _install_prerequisites(display)
    steps: list[Step] = []
    steps += [_root_step(name) for name in ("haproxy", "prometheus", "registry") if name in only]
    if "binaries" in only:
        steps += [binaries.step(log=log), gateway_api.fetch_step()]
    if "images" in only:
        steps.append(_images_step([], builder_is_docker=False))
    run_steps(steps, display=display)


def _root_step(name: str) -> Step:
    """The root file system that an image stands on: contract tests run the program in it."""
    from looma_cluster.images import rootfs
    from looma_cluster.images.catalog import MODEL_REGISTRY

    title, root = {
        "haproxy": ("HAProxy", GATEWAY),
        "prometheus": ("Prometheus", PROMETHEUS),
        "registry": ("registry", MODEL_REGISTRY),
    }[name]

    def action(_: Report) -> None:
        rootfs.make(root, cache=paths.cache() / "images")

    return Step(
        name=title,
        action=action,
        log=paths.cache() / "images" / "logs" / f"{root.name}.log",
        cure="Debian's package archive must be reachable; LOOMA_DEBIAN_MIRROR names another mirror",
    )


def _choose(instance: Instance, wanted: Kind, environment: str | None) -> Record:
    present = record.load(instance)
    context = choose.named_context()
    kind = choose.choose(
        wanted=wanted,
        recorded=present.cluster if present else None,
        context=context,
        docker_answers=wanted is Kind.AUTO and present is None and choose.docker_answers(),
    )
    chosen = present or Record(cluster=kind.value, context=context)
    chosen.environment = environment or chosen.environment
    chosen.registry = os.environ.get("LOOMA_REGISTRY", chosen.registry).rstrip("/")
    return chosen


def _install_prerequisites(display: Display | None) -> None:
    log = paths.cache() / "logs" / "apt.log"
    step = Step(
        name="Debian packages",
        done=lambda: not prerequisites.missing_packages(),
        action=lambda report: prerequisites.install(report, log=log),
        log=log,
        cure="`apt-get update` must work, with Debian 12's or 13's main archive among the sources",
    )
    run_steps([step], display=display)


def _release_steps(
    instance: Instance,
    cluster: BuiltIn | KindCluster | ContextCluster,
    chosen: Record,
    images: list[Image],
    *,
    after: tuple[str, ...],
) -> list[Step]:
    """From built images to a console that answers; `images` is filled by the step that builds them."""
    # The node's containerd takes images while the control plane is still starting.
    takes_images = ("container runtime",) if isinstance(cluster, BuiltIn) else after
    answers = ("control plane", "loopback address") if isinstance(cluster, BuiltIn) else after

    def deliver(report: Report) -> None:
        if isinstance(cluster, ContextCluster):
            from looma_cluster.images import push

            images[:] = push(images, chosen.registry, cache=paths.cache(), report=report)
            return
        present = cluster.present_images()
        missing = [image.archive for image in images if image.reference not in present]
        # Two at once: one unpacks while the other's layers are read and hashed.
        with ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda archive: cluster.import_image(archive, report), missing))

    def install(report: Report) -> None:
        from looma_cluster import release

        release.install(
            kubeconfig=instance.kubeconfig,
            environment=chosen.environment,
            images=images,
            settings={},
            report=report,
        )

    def definitions(names: Sequence[str]) -> list[Object]:
        asked = cluster.api() if isinstance(cluster, BuiltIn) else Kubectl(instance=instance)
        return asked.definitions(names)

    return [
        gateway_api.apply_step(
            kubeconfig=instance.kubeconfig,
            present=definitions,
            may_replace=not isinstance(cluster, ContextCluster),
            needs=answers,
        ),
        Step(
            name="Looma's images in the cluster",
            needs=(_IMAGES, *takes_images),
            action=deliver,
            cure="the disk of the state folder may be full: `df -h`; a registry may want `buildah login`",
        ),
        Step(
            name="Looma",
            needs=("Looma's images in the cluster", gateway_api.APPLIED, *after),
            action=install,
            cure=f"`looma status` and `looma logs` (--name {instance.name}) tell what it waits for",
        ),
        Step(
            name="services ready",
            needs=("Looma",),
            action=lambda report: wait_until_ready(instance, report),
            cure=f"`looma logs --name {instance.name}` tells what they wait for",
        ),
    ]


def _store_steps(instance: Instance, images: Sequence[Image], *, after: str) -> list[Step]:
    """Unpacked images for a node that never had any, instead of an import of a minute into each new instance."""
    target = instance.state / "containerd"
    log = paths.cache() / "logs" / "image-store.log"
    log.parent.mkdir(parents=True, exist_ok=True)

    def archives() -> dict[str, Path]:
        return {image.reference: image.archive for image in images}

    return [
        Step(
            name="image store",
            needs=(after,),
            done=lambda: not image_store.is_new(target) or image_store.current(archives()),
            action=lambda report: image_store.ensure(archives(), report, log=log),
            log=log,
            cure=f"the disk of the cache folder may be full: `df -h`; else remove {image_store.folder()}",
        ),
        Step(
            name="images for the node",
            needs=("image store", "node"),
            done=lambda: not image_store.is_new(target),
            action=lambda _: _ignore(image_store.plant(target)),
            cure="the disk of the state folder may be full: `df -h`",
        ),
    ]


def _images_step(into: list[Image], *, builder_is_docker: bool) -> Step:
    def action(report: Report) -> None:
        from looma_cluster.images import build as build_images

        builder: Literal["buildah", "docker"] = "docker" if builder_is_docker else "buildah"
        try:
            into[:] = build_images(cache=paths.cache(), report=report, builder=builder)
        finally:
            if os.geteuid() == 0:
                mounts.release()

    return Step(
        name=_IMAGES,
        action=action,
        log=paths.cache() / "images" / "logs",
        cure="Debian's, PyPI's and npm's packages must be reachable, and 5 GB free in the cache folder",
    )


def wait_until_ready(instance: Instance, report: Report, *, seconds: float = READY_SECONDS) -> None:
    """Wait until the instance says of itself that it is ready.

    Raises:
        NotReadyError: if it is not within `seconds`; the message has every reason.
    """
    deadline = time.monotonic() + seconds
    while True:
        document = read_status(instance)
        if document.ready:
            return
        if time.monotonic() > deadline:
            raise NotReadyError("; ".join(document.problems))
        report(document.problems[0] if document.problems else "waiting")
        time.sleep(0.5)


def read_status(instance: Instance) -> status.Status:
    """What the instance does now.

    Raises:
        NoInstanceError: if there is none.
    """
    chosen = record.require(instance)
    cluster = cluster_of(instance, chosen)
    processes = cluster.states() if isinstance(cluster, BuiltIn) else {}
    # kubectl costs half a second of a core each time, which on one machine is taken from those we wait for.
    kubectl = Kubectl(instance=instance)
    objects = cluster.api().objects if isinstance(cluster, BuiltIn) and cluster.running() else kubectl.objects
    return status.read(instance, chosen, objects=objects, processes=processes, running=cluster.running())


def _ignore(_: object) -> None:
    """For actions whose answer nobody needs."""
