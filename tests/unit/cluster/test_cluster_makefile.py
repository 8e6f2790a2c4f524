"""What `make` hands on to a `looma` that runs by sudo, and where its downloads look for whom to trust."""

from __future__ import annotations

import re
import subprocess

import pytest

from looma_cluster import paths


def kept() -> set[str]:
    """Variables that sudo is told to keep."""
    database = subprocess.run(
        ["make", "--print-data-base", "--question", "help"],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = re.search(r"^KEPT := (.*)$", database, re.MULTILINE)
    assert found is not None
    return set(found[1].split())


def test_every_variable_of_the_clusters_page_survives_sudo() -> None:
    page = (paths.ROOT / "docs" / "cluster.md").read_text()
    documented = {
        name
        for row in re.findall(r"^\| (`[A-Z_`, ]+) \|", page, re.MULTILINE)
        for name in re.findall(r"\w+", row)
    }
    assert {"LOOMA_REGISTRY", "LOOMA_NO_INSTALL", "XDG_STATE_HOME"} <= documented
    assert documented <= kept()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "SSL_CERT_FILE", "UV_DEFAULT_INDEX", "GOPROXY"])
def test_the_way_to_the_registries_survives_sudo(name: str) -> None:
    assert name in kept()
