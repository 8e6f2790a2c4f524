"""The definitions of Gateway API: fetched once as the Go module pins them, and brought into a cluster.

`definitions` gives them as objects, from the cache if they are there; none is committed. `wanted` decides which of
them a cluster gets, and `step` is the step of `looma up` that brings them there. The chart leaves its Gateway and
routes out where they are missing, so they come before it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from looma_cluster import binaries, paths
from looma_cluster.commands import CommandError, run
from looma_cluster.steps import Report, Step

Object = dict[str, Any]

MODULE = paths.SOURCES / "gateway-api"
VERSION = "gateway.networking.k8s.io/v1"
"""What the chart's objects are of; helm leaves them out where the cluster does not serve it."""

CHANNEL = Path("config") / "crd" / "standard"
VERSION_ANNOTATION = "gateway.networking.k8s.io/bundle-version"
FETCHED = "Gateway API's definitions"
APPLIED = "Gateway API"
ESTABLISHED_SECONDS = 60


class NoDefinitionsError(RuntimeError):
    """The module that Go brought has no definitions where they should be."""


def definitions(cache: Path) -> list[Object]:
    """The CustomResourceDefinitions of Gateway API's standard channel, by name; fetched by Go if not in `cache`.

    Raises:
        CommandError: if Go is missing, the module cannot be fetched, or its hash is not the one in go.sum.
        NoDefinitionsError: if it has no definitions.
        SourcesMissingError: if Looma was installed without the sources of the cluster.
    """
    kept = _kept(cache)
    with FileLock(cache / "gateway-api.lock"):
        if not kept.is_file():
            partial = kept.with_suffix(".partial")
            partial.write_text(json.dumps(_fetched()), encoding="utf-8")
            partial.replace(kept)
    found: list[Object] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def version(definition: Object) -> tuple[int, ...] | None:
    """(1, 4, 1) of a definition of v1.4.1; None if it does not say so in this form, as builds of nobody's do not."""
    text = definition["metadata"].get("annotations", {}).get(VERSION_ANNOTATION, "")
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(part) for part in match.groups()) if match else None


def wanted(ours: Sequence[Object], *, present: Sequence[Object], may_replace: bool) -> list[Object]:
    """Which of our definitions a cluster should be given.

    | in the cluster                 | Looma's own cluster | somebody else's |
    | ------------------------------ | ------------------- | --------------- |
    | none                           | all                 | all             |
    | not all of them                | the missing ones    | none            |
    | older ones                     | those               | none            |
    | ones that are not served yet   | those               | none            |
    | the same or newer ones         | none                | none            |
    | ones that tell no version      | none                | none            |

    Args:
        ours: what we have.
        present: the cluster's definitions of the same names.
        may_replace: whether the cluster is Looma's own.
    """
    there = {found["metadata"]["name"]: found for found in present}
    if there and not may_replace:
        return []

    def is_wanted(definition: Object) -> bool:
        found = there.get(definition["metadata"]["name"])
        # One that an interrupted start applied a moment ago is waited for.
        if found is None or not established(found):
            return True
        theirs, our = version(found), version(definition)
        return theirs is not None and our is not None and theirs < our

    return [definition for definition in ours if is_wanted(definition)]


def established(found: Object) -> bool:
    """Whether the API server serves what the definition defines."""
    conditions = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions") or []}
    return conditions.get("Established") == "True"


def fetch_step() -> Step:
    """The step that fetches them into Looma's cache, so that nothing later needs a network for them."""
    return Step(
        name=FETCHED,
        done=lambda: _kept(paths.cache()).is_file(),
        action=lambda _: _ignore(definitions(paths.cache())),
        cure="Go 1.26 or newer must be in PATH, and its module proxy (GOPROXY) be reachable",
    )


def apply_step(
    *,
    kubeconfig: Path,
    present: Callable[[Sequence[str]], list[Object]],
    may_replace: bool,
    needs: tuple[str, ...],
) -> Step:
    """The step that brings them into a cluster.

    Args:
        kubeconfig: its administrator's.
        present: gives the cluster's definitions of some names, as far as they are there.
        may_replace: whether the cluster is Looma's own.
        needs: the steps after which the cluster answers; the one that fetches is added.
    """

    def lacking() -> list[Object]:
        ours = definitions(paths.cache())
        names = [definition["metadata"]["name"] for definition in ours]
        return wanted(ours, present=present(names), may_replace=may_replace)

    def action(report: Report) -> None:
        apply(lacking(), kubeconfig=kubeconfig, report=report)

    return Step(
        name=APPLIED,
        needs=(FETCHED, *needs),
        done=lambda: not lacking(),
        action=action,
        cure="only an administrator of the cluster may make CustomResourceDefinitions",
    )


def apply(objects: Sequence[Object], *, kubeconfig: Path, report: Report) -> None:
    """Apply definitions server-side, and wait until the API server serves them.

    Raises:
        CommandError: if one is refused, or not served within a minute.
    """
    if not objects:
        return
    report(f"{len(objects)} definitions")
    kubectl: list[str | Path] = [binaries.path("kubectl"), "--kubeconfig", kubeconfig]
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    words = ["apply", "--server-side", "--force-conflicts", "--field-manager=looma-cluster", "-f", "-"]
    run([*kubectl, *words], stdin=document)
    names = [f"customresourcedefinition/{definition['metadata']['name']}" for definition in objects]
    patience = f"--timeout={ESTABLISHED_SECONDS}s"
    _wait_until_served([*kubectl, "wait", "--for=condition=Established", patience, *names])


def _has_no_conditions_yet(error: BaseException) -> bool:
    """Whether `kubectl wait` gave up on one that the API server has not looked at: its conditions are null."""
    return isinstance(error, CommandError) and "conditions accessor error" in error.output


@retry(
    retry=retry_if_exception(_has_no_conditions_yet),
    wait=wait_fixed(0.5),
    stop=stop_after_delay(ESTABLISHED_SECONDS),
    reraise=True,
)
def _wait_until_served(command: Sequence[str | Path]) -> None:
    run(command)


def _kept(cache: Path) -> Path:
    """The file with the definitions of the module as it is pinned today."""
    if not (MODULE / "go.mod").exists():
        raise binaries.SourcesMissingError(
            "Gateway API's definitions are pinned in a clone of Looma: run it from there"
        )
    pinned = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    return cache / f"gateway-api-{hashlib.sha256(pinned).hexdigest()[:12]}.json"


def _fetched() -> list[Object]:
    """The definitions out of the module, which Go fetches and compares with go.sum."""
    answer = run(["go", "mod", "download", "-json"], cwd=MODULE, environment=binaries.go_environment())
    folder = Path(json.loads(answer)["Dir"]) / CHANNEL
    # What the generator leaves there as `status` is the API server's to write.
    documents = [
        {key: value for key, value in document.items() if key != "status"}
        for file in sorted(folder.glob("*.yaml"))
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
        if document and document["kind"] == "CustomResourceDefinition"
    ]
    if not documents:
        raise NoDefinitionsError(f"there are no definitions in {folder}")
    return documents


def _ignore(_: object) -> None:
    """For actions whose answer nobody needs."""
