"""`looma model push`: what is refused before anything is sent, and the ModelVersion that is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from looma_cluster import cli, models, record
from looma_cluster.kubernetes import Kubectl
from looma_cluster.models import (
    Evaluation,
    Model,
    ModelError,
    Repository,
    check,
    manifest_of,
    parse_evaluation,
)
from looma_cluster.record import Record

OWN = Repository(address="looma-registry.looma.svc:5000/models", service="looma-registry")
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ner.json"
    path.write_text('{"skills": []}')
    return path


def model(file: Path, /, **changes) -> Model:
    return Model(**{"file": file, "name": "resume-ner", "version": "1.4.0", "format": "json", **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "Resume NER"}, "--model Resume NER: write lower-case letters"),
        ({"version": "v1"}, "--version v1: write a semantic version"),
        ({"version": "1.0"}, "--version 1.0: write a semantic version"),
        ({"version": "1.0.0-" + "a" * 60}, "is longer than 63 letters"),
        ({"min_evaluation": 0.8}, "--min-evaluation: write --evaluation as well"),
        ({"file": Path("nowhere.json")}, "there is no file nowhere.json"),
        ({"format": "onnx"}, "ner.json: the file of a model in the format onnx ends in .onnx"),
        ({"format": "spacy"}, "ends in .tar.gz or .tgz"),
    ],
)
def test_what_cannot_be_pushed_is_said_before_anything_is_sent(file, changes, says):
    with pytest.raises(ModelError) as caught:
        check(model(file, **changes))
    assert says in str(caught.value)


def test_a_json_that_is_none_is_refused(file):
    file.write_text("{")
    with pytest.raises(ModelError, match=r"ner\.json is not in the format json: it is no JSON"):
        check(model(file))


def test_a_folder_is_no_file(file):
    with pytest.raises(ModelError, match="is no file"):
        check(model(file.parent))


@pytest.mark.parametrize("text", ["f1=0.9", "held-out:f1", "held-out:f1=good", ":f1=1", ""])
def test_an_evaluation_has_dataset_metric_and_value(text):
    with pytest.raises(ModelError, match="write DATASET:METRIC=VALUE"):
        parse_evaluation(text)
    assert parse_evaluation("held-out:f1=0.91") == Evaluation(dataset="held-out", metric="f1", value=0.91)


def test_the_manifest_pins_what_was_pushed(file):
    described = model(
        file,
        version="1.4.0-rc.1+b5",
        evaluation=parse_evaluation("held-out:f1=0.91"),
        min_evaluation=0.85,
        channel="stable",
    )
    made = manifest_of(described, OWN, DIGEST)
    assert made["metadata"] == {
        "name": "resume-ner-1.4.0-rc.1-b5",
        "labels": {"looma.dev/channel": "stable"},
    }
    assert made["spec"]["artifact"] == {
        "uri": f"oci://looma-registry.looma.svc:5000/models/resume-ner@{DIGEST}",
        "sizeBytes": 14,
    }
    assert made["spec"]["gates"] == {"minEvaluation": 0.85}
    assert made["spec"]["evaluation"] == {"dataset": "held-out", "metric": "f1", "value": 0.91}
    assert described.tag == "1.4.0-rc.1_b5"


@pytest.mark.parametrize("data", [None, {}, {"repository": ""}])
def test_a_release_without_a_registry_is_told_what_to_set(data, instance, monkeypatch):
    found = [] if data is None else [{"data": data}]
    monkeypatch.setattr(Kubectl, "objects", lambda self, *words: found)
    with pytest.raises(LookupError, match=r"set registry\.enabled or registry\.url"):
        models.repository(Kubectl(instance=instance))


def test_another_registry_is_asked_at_its_own_address(instance, monkeypatch):
    data = {"repository": "registry.example.com/looma/models", "service": ""}
    monkeypatch.setattr(Kubectl, "objects", lambda self, *words: [{"data": data}])
    place = models.repository(Kubectl(instance=instance))
    with models.reached(Kubectl(instance=instance), place) as address:
        assert address == "registry.example.com/looma/models"


def test_a_port_that_cannot_be_forwarded_is_said(instance, monkeypatch):
    monkeypatch.setattr(Kubectl, "words", lambda self, *words: ["sh", "-c", "echo no pods >&2; exit 1"])
    with (
        pytest.raises(ModelError, match="cannot be reached: no pods"),
        models.reached(Kubectl(instance=instance), OWN),
    ):
        pytest.fail("nothing was forwarded")


def test_the_command_writes_the_manifest_and_says_what_is_wrong(instance, monkeypatch, file, tmp_path):
    record.save(instance, Record(cluster="builtin"))
    monkeypatch.setattr(models, "repository", lambda kubectl: OWN)
    sent = []

    def send(described, address, *, plain_http):
        sent.append((described.name, address, plain_http))
        return DIGEST

    monkeypatch.setattr(models, "send", send)
    monkeypatch.setattr(
        Kubectl, "words", lambda self, *words: ["echo", "Forwarding from 127.0.0.1:41 -> 5000"]
    )
    words = ["model", "push", str(file), "--model", "ner", "--version", "1.0.0", "--format", "json"]
    told = CliRunner().invoke(cli.app, [*words, "--name", "one"], catch_exceptions=False)
    assert yaml.safe_load(told.stdout)["spec"]["artifact"]["uri"].endswith(f"/models/ner@{DIGEST}")
    assert sent == [("ner", "127.0.0.1:41/models", True)]
    target = tmp_path / "mv.yaml"
    CliRunner().invoke(cli.app, [*words, "--name", "one", "-o", str(target)], catch_exceptions=False)
    assert yaml.safe_load(target.read_text())["metadata"]["name"] == "ner-1.0.0"
    with pytest.raises(ModelError, match="--version x"):
        CliRunner().invoke(cli.app, [*words[:6], "x", *words[7:], "--name", "one"], catch_exceptions=False)
