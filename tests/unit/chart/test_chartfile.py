"""The Chartfile: what is read of it, and what is refused because helmfile alone would follow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from looma_cluster import chartfile, paths
from looma_cluster.chartfile import ChartfileError

TEXT = """
environments:
  dev: {}
  production: {}
---
helmDefaults: {createNamespace: true, wait: true, timeout: 90}
releases:
  - name: mine
    namespace: there
    chart: ./chart
    missingFileHandler: Info
    values:
      - env/{{ .Environment.Name }}.yaml
      - images.yaml
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "dev.yaml").write_text("{}")
    return tmp_path


def test_name_namespace_chart_and_time(root: Path) -> None:
    found = chartfile.parse(TEXT, root=root, environment="dev")
    assert (found.name, found.namespace, found.timeout) == ("mine", "there", 90)
    assert found.chart == root / "chart"


def test_value_files_are_those_that_are_there_weakest_first(root: Path) -> None:
    assert chartfile.parse(TEXT, root=root, environment="dev").values == (root / "env" / "dev.yaml",)
    (root / "images.yaml").write_text("{}")
    assert [p.name for p in chartfile.parse(TEXT, root=root, environment="dev").values] == [
        "dev.yaml",
        "images.yaml",
    ]


def test_an_environment_without_its_file_is_an_error(root: Path) -> None:
    with pytest.raises(ChartfileError, match=r"production.yaml"):
        chartfile.parse(TEXT, root=root, environment="production")


def test_an_unknown_environment_names_those_there_are(root: Path) -> None:
    with pytest.raises(ChartfileError, match=r"'test'.*dev, production"):
        chartfile.parse(TEXT, root=root, environment="test")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        pytest.param("    namespace: there", "    namespace: there\n    set: []", "set", id="release key"),
        pytest.param("timeout: 90", "atomic: true", "atomic", id="default"),
        pytest.param("releases:", "bases: []\nreleases:", "bases", id="top level"),
        pytest.param("dev: {}", "dev: {values: [x.yaml]}", "no values under environments", id="state values"),
        pytest.param(
            "releases:", "releases:\n  - {name: b, namespace: c, chart: d}", "one release", id="two releases"
        ),
    ],
)
def test_what_looma_up_would_not_follow_is_refused(old: str, new: str, named: str, root: Path) -> None:
    with pytest.raises(ChartfileError, match=named):
        chartfile.parse(TEXT.replace(old, new), root=root, environment="dev")


def test_the_projects_own_chartfile_is_read_for_each_of_its_environments() -> None:
    names = chartfile.environments(paths.ROOT)
    assert names == ["dev", "staging", "production"]
    for name in names:
        found = chartfile.read(paths.ROOT, name)
        assert (found.name, found.namespace) == ("looma", "looma")
        assert found.values[0] == paths.ROOT / "charts/looma/environments" / f"{name}.yaml"
