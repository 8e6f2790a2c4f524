"""Fixtures of several tests: a service of the release, and the built-in cluster itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from looma_cluster import paths, record
from support.cluster import Cluster, Object, settled


@pytest.fixture
def builtin(cluster: Cluster) -> record.Record:
    chosen = record.require(paths.instance(cluster.name))
    if chosen.cluster != "builtin":
        pytest.skip("looks into the built-in cluster's own files")
    return chosen


@pytest.fixture
def resume_service(cluster: Cluster) -> Iterator[Object]:
    """The résumé engine's AIService, put back as it was found."""
    service = cluster.watch("aiservice", "resume", settled, sentence="the résumé engine is ready")
    before = service["spec"]
    yield service
    patch = [{"op": "replace", "path": "/spec", "value": before}]
    cluster.kubectl("patch", "aiservice", "resume", "--type", "json", "-p", json.dumps(patch))
    cluster.watch("aiservice", "resume", settled, sentence="the résumé engine is back as found")
