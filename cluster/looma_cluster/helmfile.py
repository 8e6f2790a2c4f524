"""Proves that helmfile and `looma up` give the same release: `make helmfile-check`.

Builds helmfile from its Go module (minutes when nothing is cached; kept in the cache), renders every environment of
the Chartfile by both roads, and compares object by object. What is drawn by lot at each rendering, as passwords and
certificates are, is compared by its keys alone.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from looma_cluster import binaries, chartfile, gateway_api, paths, release
from looma_cluster.commands import run

Object = dict[str, Any]

VERSION = "v1.8.0"
MODULE = paths.SOURCES / "helmfile"

OVERLAY = {
    "image": {
        "registry": "registry.example.org/check",
        "tags": {
            "engine": "1",
            "operator": "2",
            "console": "3",
            "gateway": "4",
            "postgres": "5",
            "prometheus": "6",
            "registry": "7",
        },
    }
}
"""Images as `looma images push` would name them, so that the comparison covers how tags get in."""

CAPABILITIES = f"--api-versions={gateway_api.VERSION}"
"""Rendering asks no cluster; without it the chart would leave out what goes through Gateway API."""


def ensure(report: Callable[[str], None]) -> Path:
    """Return the helmfile program, built if it is not in the cache.

    Raises:
        CommandError: If Go is missing or the build fails.
    """
    sources = b"".join((MODULE / name).read_bytes() for name in ("go.mod", "go.sum"))
    program = paths.cache() / f"helmfile-{hashlib.sha256(sources).hexdigest()[:12]}"
    with FileLock(paths.cache() / "helmfile.lock"):
        if not program.is_file():
            report("building helmfile, which takes minutes the first time")
            partial = program.with_suffix(".partial")
            flags = f"-s -w -X go.szostok.io/version.version={VERSION}"
            run(
                [
                    "go",
                    "build",
                    "-trimpath",
                    "-ldflags",
                    flags,
                    "-o",
                    partial,
                    "github.com/helmfile/helmfile",
                ],
                environment={"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"},
                cwd=MODULE,
            )
            partial.rename(program)
    return program


def comparable(documents: Iterable[Object | None]) -> dict[str, Object]:
    """Objects by kind, namespace and name, with what is drawn by lot replaced by a mark."""
    found = {}
    for document in documents:
        if not document:
            continue
        metadata = document["metadata"]
        key = f"{document['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
        if document["kind"] == "Secret":
            document["data"] = dict.fromkeys(document.get("data", {}), "drawn by lot")
        for webhook in document.get("webhooks", []):
            webhook["clientConfig"]["caBundle"] = "drawn by lot"
        found[key] = document
    return found


def difference(ours: Mapping[str, Object], theirs: Mapping[str, Object]) -> list[str]:
    """Lines that say where two sets of objects differ; empty if they are the same."""
    lines = [f"only `looma up` makes {key}" for key in sorted(ours.keys() - theirs.keys())]
    lines += [f"only helmfile makes {key}" for key in sorted(theirs.keys() - ours.keys())]
    for key in sorted(ours.keys() & theirs.keys()):
        if ours[key] != theirs[key]:
            one, other = (yaml.safe_dump(side[key]).splitlines() for side in (ours, theirs))
            lines.append(f"{key} differs:")
            lines += difflib.unified_diff(one, other, "looma up", "helmfile", lineterm="", n=1)
    return lines


def check(environment: str, program: Path) -> list[str]:
    """Lines that say where the two roads differ for one environment; empty if they do not.

    Raises:
        CommandError: If helm or helmfile fails.
        ChartfileError: If the Chartfile cannot be read.
    """
    helm = binaries.path("helm")
    found = chartfile.read(paths.ROOT, environment)
    with tempfile.TemporaryDirectory(prefix="looma-") as folder:
        overlay = Path(folder) / "overlay.yaml"
        overlay.write_text(yaml.safe_dump(OVERLAY), encoding="utf-8")
        base: list[str | Path] = [program, "--file", paths.ROOT / "Chartfile", "--environment", environment]
        base += ["--helm-binary", helm, "--log-level", "error"]
        listed = json.loads(run([*base, "list", "--output", "json", "--skip-charts"]))
        theirs = run(
            [*base, "template", "--skip-deps", "--values", overlay, "--args", CAPABILITIES], cwd=paths.ROOT
        )
        words: list[str | Path] = [helm, "template", *release.identity(found, overlay), CAPABILITIES]
        ours = run([*words, "--namespace", found.namespace])
    names = [(item["name"], item["namespace"], Path(item["chart"]).name) for item in listed]
    expected = [(found.name, found.namespace, found.chart.name)]
    lines = [] if names == expected else [f"releases: `looma up` reads {expected}, helmfile {names}"]
    return lines + difference(comparable(yaml.safe_load_all(ours)), comparable(yaml.safe_load_all(theirs)))


def main() -> None:
    """Check every environment of the Chartfile; exit code 1 if any differs."""

    def report(text: str) -> None:
        sys.stdout.write(f"{text}\n")

    binaries.ensure(report)
    program = ensure(report)
    failed = False
    for environment in chartfile.environments(paths.ROOT):
        lines = check(environment, program)
        failed = failed or bool(lines)
        report(f"{environment}: " + ("\n".join(lines) if lines else "both roads give the same release"))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
