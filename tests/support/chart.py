"""The chart as Helm renders it, for tests: text in, objects out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml

from support.control_plane import binary

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "looma"
ENVIRONMENTS = ("dev", "staging", "production")
GATEWAY_API = "gateway.networking.k8s.io/v1"


class HelmRefusedError(Exception):
    """Helm did not render the chart; the message is Helm's."""


def helm(folder: Path, *arguments: str | Path) -> str:
    """Output of helm, without its notes on the definitions being a link.

    Raises:
        HelmRefusedError: if it ends with an error.
    """
    done = subprocess.run(
        [str(binary("helm", folder)), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise HelmRefusedError(done.stderr + done.stdout)
    return done.stdout


def render(
    folder: Path,
    *,
    environment: str | None = None,
    settings: Object | None = None,
    gateway_api: bool = True,
) -> list[Object]:
    """Objects of the release `looma` in the namespace `looma`, as `helm template` gives them.

    `gateway_api` says whether the cluster, which helm does not ask here, counts as one that has its definitions.
    """
    text = _template(folder, environment, yaml.safe_dump(settings) if settings else "", gateway_api)
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


# Each rendering makes RSA keys for its Secrets, which takes seconds; the same values need them once.
_rendered: dict[tuple[str | None, str, bool], str] = {}


def _template(folder: Path, environment: str | None, settings: str, gateway_api: bool) -> str:
    key = (environment, settings, gateway_api)
    if key not in _rendered:
        arguments: list[str | Path] = ["template", "looma", CHART, "--namespace", "looma"]
        if gateway_api:
            arguments += ["--api-versions", GATEWAY_API]
        if environment:
            arguments += ["--values", CHART / "environments" / f"{environment}.yaml"]
        if settings:
            file = folder / "settings.yaml"
            file.write_text(settings)
            arguments += ["--values", file]
        _rendered[key] = helm(folder, *arguments)
    return _rendered[key]


def pick(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of that kind and name; raises AssertionError with what there is instead."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(found) == 1, [(o["kind"], o["metadata"]["name"]) for o in objects]
    return found[0]


def pod_specs(objects: list[Object]) -> dict[str, Object]:
    """Pod specs of workloads, by `Kind/name`."""
    return {
        f"{o['kind']}/{o['metadata']['name']}": spec["template"]["spec"]
        for o in objects
        if o["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob"}
        for spec in [o["spec"]["jobTemplate"]["spec"] if o["kind"] == "CronJob" else o["spec"]]
    }
