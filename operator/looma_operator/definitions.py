"""The three definitions, packaged with the operator, and applying them by server-side apply.

helm leaves a chart's crds/ alone on upgrade, so a hook of the chart runs `looma-operator definitions apply` instead.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import yaml

from looma_core.kube import KubeError

from .kube.client import Kube
from .names import FIELD_MANAGER
from .resources import Json

_log = logging.getLogger(__name__)
_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ESTABLISHED_SECONDS = 60.0


def load() -> list[Json]:
    """The definitions, from the package or, in a checkout, from crds/.

    Raises:
        FileNotFoundError: if there are none in either place.
    """
    packaged = files(__package__ or "looma_operator").joinpath("definitions")
    folder = Path(str(packaged)) if packaged.is_dir() else Path(__file__).resolve().parents[2] / "crds"
    documents: list[Json] = [
        yaml.safe_load(path.read_text("utf-8")) for path in sorted(folder.glob("*.yaml"))
    ]
    if not documents:
        raise FileNotFoundError(f"no definitions in {folder}")
    return documents


def _established(definition: Json) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


async def apply(kube: Kube, definitions: Sequence[Json]) -> None:
    """Apply the definitions and wait until the API server serves them.

    Raises:
        KubeError: if one is refused.
        TimeoutError: if one is not served in time.
    """
    for definition in definitions:
        name = definition["metadata"]["name"]
        await kube.request(
            "PATCH",
            f"{_PATH}/{name}",
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=definition,
            content_type="application/apply-patch+yaml",
            seconds=30,
        )
        _log.info("definition %s applied", name)
    async with asyncio.timeout(ESTABLISHED_SECONDS):
        for definition in definitions:
            name = definition["metadata"]["name"]
            while not _established(await kube.request("GET", f"{_PATH}/{name}")):  # noqa: ASYNC110 - theirs to tell
                await asyncio.sleep(0.2)
            _log.info("definition %s is served", name)


async def wait_served(kube: Kube, plurals: Sequence[str], *, group_version: str) -> None:
    """Wait until the API server serves the resources: Kopf looks for them only once, at its start."""
    warned = False
    while True:
        try:
            answer = await kube.request("GET", f"/apis/{group_version}")
            served = {resource["name"] for resource in answer.get("resources", [])}
        except KubeError as error:
            served = set()
            if error.code not in (0, 404):
                raise
        if served.issuperset(plurals):
            return
        if not warned:
            _log.warning("waiting for the definitions of %s", group_version)
            warned = True
        await asyncio.sleep(1)
