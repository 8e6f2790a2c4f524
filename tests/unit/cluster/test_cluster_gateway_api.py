"""Gateway API's definitions: fetched once, as they are pinned; and which of them a cluster gets."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from looma_cluster import gateway_api
from looma_cluster.binaries import SourcesMissingError
from looma_cluster.commands import CommandError
from looma_cluster.gateway_api import NoDefinitionsError, definitions, version, wanted

# Stands for Go: answers with the module's folder, and writes down what it was asked and where.
GO = """#!/bin/sh
echo "$PWD $*" >> "$ASKED"
if [ -n "$GO_FAILS" ]; then echo "checksum mismatch" >&2; exit 1; fi
printf '{"Path": "sigs.k8s.io/gateway-api", "Dir": "%s"}' "$BROUGHT"
"""


def defined(name: str, text: str | None = "v1.4.1", *, served: bool = True) -> dict:
    condition = {"type": "Established", "status": "True" if served else "False"}
    annotations = {} if text is None else {gateway_api.VERSION_ANNOTATION: text}
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "annotations": annotations},
        "status": {"conditions": [condition]},
    }


@pytest.fixture
def module(instance, monkeypatch, tmp_path):
    """The folder that Go brings, with two files of definitions; and a cache."""
    pinned, brought, tools = tmp_path / "gateway-api", tmp_path / "brought", tmp_path / "tools"
    channel = brought / gateway_api.CHANNEL
    for folder in (pinned, channel, tools):
        folder.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        shutil.copy(gateway_api.MODULE / name, pinned / name)
    (channel / "b.yaml").write_text(yaml.safe_dump(defined("routes")))
    (channel / "a.yaml").write_text(f"# licence\n---\n{yaml.safe_dump(defined('gateways'))}")
    (channel / "kustomization.yaml").write_text(yaml.safe_dump({"kind": "Kustomization"}))
    (tools / "go").write_text(GO)
    (tools / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("BROUGHT", str(brought))
    monkeypatch.setattr(gateway_api, "MODULE", pinned)
    return pinned


def asked(tmp_path):
    return (tmp_path / "asked").read_text().splitlines()


def test_they_are_fetched_once_and_then_read_from_the_cache(module, tmp_path, monkeypatch):
    found = definitions(gateway_api.paths.cache())
    assert [one["metadata"]["name"] for one in found] == ["gateways", "routes"]
    assert all("status" not in one for one in found)
    # Neither Go nor a network from here on.
    monkeypatch.setenv("GO_FAILS", "1")
    assert definitions(gateway_api.paths.cache()) == found
    assert asked(tmp_path) == [f"{module} mod download -json"]


def test_another_pin_is_fetched_anew(module, tmp_path):
    definitions(gateway_api.paths.cache())
    (module / "go.sum").write_text("another")
    definitions(gateway_api.paths.cache())
    assert len(asked(tmp_path)) == 2


def test_what_go_refuses_is_not_kept(module, monkeypatch):
    monkeypatch.setenv("GO_FAILS", "1")
    step = gateway_api.fetch_step()
    assert not step.done()
    with pytest.raises(CommandError, match="checksum mismatch"):
        step.action(lambda text: None)
    monkeypatch.delenv("GO_FAILS")
    step.action(lambda text: None)
    assert step.done()


def test_a_module_without_definitions_is_an_error(module, tmp_path):
    shutil.rmtree(tmp_path / "brought" / gateway_api.CHANNEL)
    with pytest.raises(NoDefinitionsError, match="standard"):
        definitions(gateway_api.paths.cache())


def test_an_installed_looma_says_where_to_run_it_from(module):
    (module / "go.mod").unlink()
    with pytest.raises(SourcesMissingError, match="clone"):
        definitions(gateway_api.paths.cache())


def test_the_module_is_pinned_by_its_hash():
    (line,) = [
        line
        for line in (gateway_api.MODULE / "go.mod").read_text().splitlines()
        if line.startswith("require")
    ]
    _, path, tag = line.split()
    sums = (gateway_api.MODULE / "go.sum").read_text().splitlines()
    assert [entry.split()[:2] for entry in sums] == [[path, tag], [path, f"{tag}/go.mod"]]
    assert all(entry.split()[2].startswith("h1:") for entry in sums)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("v1.4.1", (1, 4, 1)),
        ("v1.5.0-rc.2", (1, 5, 0)),
        ("v1.10.0", (1, 10, 0)),
        ("main", None),
        ("", None),
        (None, None),
    ],
)
def test_a_definition_tells_its_version(text, read):
    assert version(defined("routes", text)) == read


OURS = [defined("gateways"), defined("routes")]


@pytest.mark.parametrize(
    ("present", "own", "others"),
    [
        pytest.param([], ["gateways", "routes"], ["gateways", "routes"], id="none"),
        pytest.param([defined("routes")], ["gateways"], [], id="not all of them"),
        pytest.param([defined("gateways", "v1.3.0"), OURS[1]], ["gateways"], [], id="older ones"),
        pytest.param([defined("gateways", served=False), OURS[1]], ["gateways"], [], id="not served yet"),
        pytest.param(OURS, [], [], id="the same"),
        pytest.param([defined("gateways", "v1.10.0"), defined("routes", "v2.0.0")], [], [], id="newer ones"),
        pytest.param([defined("gateways", None), defined("routes", "main")], [], [], id="no version"),
    ],
)
def test_which_definitions_a_cluster_gets(present, own, others):
    for may_replace, names in ((True, own), (False, others)):
        given_now = wanted(OURS, present=present, may_replace=may_replace)
        assert [one["metadata"]["name"] for one in given_now] == names


states = st.dictionaries(
    st.sampled_from(["gateways", "routes", "grants"]),
    st.tuples(st.sampled_from(["v1.3.9", "v1.4.1", "v1.5.0", "main"]), st.booleans()),
)


@given(states)
def test_a_second_look_finds_nothing_to_do_in_loomas_own_cluster(before):
    ours = [defined(name) for name in ("gateways", "grants", "routes")]
    present = {name: defined(name, text, served=served) for name, (text, served) in before.items()}
    for one in wanted(ours, present=list(present.values()), may_replace=True):
        present[one["metadata"]["name"]] = one
    assert wanted(ours, present=list(present.values()), may_replace=True) == []


def test_they_are_applied_and_waited_for(monkeypatch, tmp_path):
    lines, documents = [], []

    def run(command, *, stdin=None, **options):
        lines.append(" ".join(str(word) for word in command))
        documents.append(stdin)
        return ""

    monkeypatch.setattr(gateway_api, "run", run)
    monkeypatch.setattr(gateway_api.binaries, "path", lambda name: name)
    gateway_api.apply(OURS, kubeconfig=tmp_path / "k", report=lambda text: None)
    assert lines[0].startswith(f"kubectl --kubeconfig {tmp_path / 'k'} apply --server-side")
    assert json.loads(documents[0])["items"] == OURS
    assert lines[1].endswith("customresourcedefinition/gateways customresourcedefinition/routes")
    assert "--for=condition=Established" in lines[1]


def test_one_without_conditions_is_waited_for_again_and_any_other_error_is_told(monkeypatch, tmp_path):
    answers = ["error: .status.conditions accessor error: <nil> is of the type <nil>", "", "error: timed out"]
    asked = []

    def run(command, *, stdin=None, **options):
        if "wait" in command:
            asked.append(command)
            if said := answers[len(asked) - 1]:
                raise CommandError([str(word) for word in command], 1, said)
        return ""

    monkeypatch.setattr(gateway_api, "run", run)
    monkeypatch.setattr(gateway_api.binaries, "path", lambda name: name)
    gateway_api.apply(OURS, kubeconfig=tmp_path / "k", report=lambda text: None)
    assert len(asked) == 2
    with pytest.raises(CommandError, match="timed out"):
        gateway_api.apply(OURS, kubeconfig=tmp_path / "k", report=lambda text: None)
    assert len(asked) == 3


def test_without_any_to_apply_nothing_is_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(gateway_api, "run", lambda *words, **options: pytest.fail("ran"))
    gateway_api.apply([], kubeconfig=tmp_path / "k", report=lambda text: None)
