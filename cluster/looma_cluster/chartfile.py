"""Reads the Chartfile: the release's name, namespace, chart and value files for one environment.

The Chartfile is a Helmfile. It is kept to plain YAML, so that `looma up` and `helmfile` read the same lines; the one
expression in it is `{{ .Environment.Name }}`. Whatever else a person adds there that this reader does not know is
refused, since the two roads would then give different releases.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ENVIRONMENT_NAME = "{{ .Environment.Name }}"
_KNOWN = {
    "": {"environments", "helmDefaults", "releases"},
    "helmDefaults": {"createNamespace", "wait", "waitForJobs", "timeout"},
    "releases": {"name", "namespace", "chart", "values", "missingFileHandler"},
}


class ChartfileError(ValueError):
    """The Chartfile holds something else than `looma up` can follow; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the Chartfile says about one environment.

    Attributes:
        name: Name of the Helm release.
        namespace: Its namespace.
        chart: Folder of the chart.
        values: Value files that are there, weakest first.
        timeout: Seconds that an installation may take.
    """

    name: str
    namespace: str
    chart: Path
    values: tuple[Path, ...]
    timeout: int


def parse(text: str, *, root: Path, environment: str) -> Release:
    """Read the release of `environment` from a Chartfile's text; paths are relative to `root`.

    Raises:
        ChartfileError: If the environment is not in it, or it has parts that only helmfile knows.
    """
    document: dict[str, Any] = {}
    for part in yaml.safe_load_all(text):
        document |= part or {}
    _refuse_unknown("", document)
    environments = document.get("environments") or {}
    if environment not in environments:
        known = ", ".join(sorted(environments))
        message = f"the Chartfile has no environment {environment!r}; it has {known}"
        raise ChartfileError(message)
    releases = document.get("releases") or []
    if len(releases) != 1 or any(environments.values()):
        message = (
            "the Chartfile must have one release, and no values under environments (use the value files)"
        )
        raise ChartfileError(message)
    release, defaults = releases[0], document.get("helmDefaults") or {}
    _refuse_unknown("releases", release)
    _refuse_unknown("helmDefaults", defaults)
    files = [root / str(path).replace(ENVIRONMENT_NAME, environment) for path in release.get("values", [])]
    own = next((path for path in files if path.stem == environment), None)
    # missingFileHandler lets images.yaml be absent; the environment's own file must be there all the same.
    if own is not None and not own.is_file():
        message = f"the environment {environment!r} has no value file {own}"
        raise ChartfileError(message)
    return Release(
        name=release["name"],
        namespace=release["namespace"],
        chart=root / release["chart"],
        values=tuple(path for path in files if path.is_file()),
        timeout=int(defaults.get("timeout", 300)),
    )


def read(root: Path, environment: str) -> Release:
    """Read the release of `environment` from the Chartfile in `root`.

    Raises:
        ChartfileError: As `parse` does.
        FileNotFoundError: If there is no Chartfile.
    """
    return parse((root / "Chartfile").read_text(encoding="utf-8"), root=root, environment=environment)


def environments(root: Path) -> list[str]:
    """Names of the environments in the Chartfile in `root`, as it lists them."""
    first: dict[str, Any] = next(yaml.safe_load_all((root / "Chartfile").read_text(encoding="utf-8")))
    return list(first["environments"])


def _refuse_unknown(place: str, found: dict[str, Any]) -> None:
    unknown = sorted(set(found) - _KNOWN[place])
    if unknown:
        where = f" under {place}" if place else ""
        message = f"the Chartfile has {', '.join(unknown)}{where}, which `looma up` does not follow"
        raise ChartfileError(message)
