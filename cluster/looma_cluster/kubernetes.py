"""A few questions to an instance's cluster, asked by kubectl with the instance's own kubeconfig."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from looma_cluster import binaries
from looma_cluster.commands import CommandError, run
from looma_cluster.paths import Instance

Object = dict[str, Any]
NAMESPACE = "looma"


@dataclass(frozen=True, kw_only=True)
class Kubectl:
    """kubectl for one instance, in Looma's namespace unless an argument says otherwise."""

    instance: Instance

    def words(self, *arguments: str) -> list[str]:
        """The whole command."""
        reach = ["--kubeconfig", str(self.instance.kubeconfig), "--namespace", NAMESPACE]
        return [str(binaries.path("kubectl")), *reach, *arguments]

    def text(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        """What it printed.

        Raises:
            CommandError: if it fails.
        """
        return run(self.words(*arguments), stdin=stdin, seconds=seconds)

    def objects(self, *kinds_and_options: str) -> list[Object]:
        """Objects as `get -o json` lists them; none if the cluster does not know the kind yet."""
        try:
            text = self.text("get", *kinds_and_options, "-o", "json", "--request-timeout=10s")
        except CommandError as error:
            if "the server doesn't have a resource type" in error.output or "NotFound" in error.output:
                return []
            raise
        # With --ignore-not-found nothing is said of nothing.
        answer = json.loads(text) if text.strip() else {"items": []}
        items: list[Object] = (
            answer["items"] if answer.get("kind") == "List" or "items" in answer else [answer]
        )
        return items

    def definitions(self, names: Sequence[str]) -> list[Object]:
        """The cluster's CustomResourceDefinitions of these names, as far as they are there."""
        kind = "customresourcedefinitions.apiextensions.k8s.io"
        return self.objects(kind, *names, "--ignore-not-found")

    def secret(self, name: str) -> Mapping[str, bytes]:
        """The decoded values of a Secret; empty if there is none."""
        found = self.objects("secret", name)
        data = found[0].get("data", {}) if found else {}
        return {key: base64.b64decode(value) for key, value in data.items()}
