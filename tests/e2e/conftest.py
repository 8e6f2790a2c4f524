"""Fixtures of the tests that look into the built-in cluster itself."""

from __future__ import annotations

import pytest

from looma_cluster import paths, record
from support.cluster import Cluster


@pytest.fixture
def builtin(cluster: Cluster) -> record.Record:
    chosen = record.require(paths.instance(cluster.name))
    if chosen.cluster != "builtin":
        pytest.skip("looks into the built-in cluster's own files")
    return chosen
