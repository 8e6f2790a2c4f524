"""The cluster's API server by plain HTTP, for tests that measure when it took something."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.cluster import Cluster


def kubernetes_api(cluster: Cluster) -> httpx.Client:
    """A client of the API server with the rights of the cluster's kubeconfig."""
    document = yaml.safe_load(cluster.kubeconfig.read_text())
    server, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    with tempfile.TemporaryDirectory() as folder:

        def file(given: dict[str, Any], name: str) -> str:
            if name in given:
                return str(given[name])
            path = Path(folder) / name
            path.write_bytes(base64.b64decode(given[f"{name}-data"]))
            return str(path)

        context = ssl.create_default_context(cafile=file(server, "certificate-authority"))
        context.load_cert_chain(file(user, "client-certificate"), file(user, "client-key"))
    return httpx.Client(base_url=server["server"], verify=context, timeout=60)
