"""The plan for one AIService with models: missing ones, other digests, retired ones."""

from __future__ import annotations

import json

from looma_operator.names import EventReason
from support.operator_world import reasons

MODEL = {
    "metadata": {"name": "ner-1", "namespace": "looma"},
    "spec": {
        "model": "ner",
        "version": "1.0.0",
        "format": "spacy",
        "artifact": {"uri": "oci://registry/ner@sha256:" + "a" * 64},
    },
}


def test_a_missing_model_holds_the_change_and_the_service_goes_on(running):
    running.change(image="looma-engine:2", modelRefs=[{"name": "ner-1"}])
    running.settle()
    assert running.counts == {"r1": 4}
    assert running.condition("ModelsReady") == ("False", "ModelMissing")
    assert running.status["phase"] == "Ready"
    running.models["ner-1"] = MODEL
    running.settle()
    assert running.counts == {"r1": 0, "r2": 4}
    assert running.condition("ModelsReady") == ("True", "ModelsFound")
    assert reasons(running).count(EventReason.MODEL_MISSING) == 1


def test_another_digest_is_another_revision(running):
    running.models["ner-1"] = MODEL
    running.change(modelRefs=[{"name": "ner-1"}])
    running.settle()
    other = json.loads(json.dumps(MODEL).replace("a" * 64, "b" * 64))
    running.models["ner-1"] = other
    running.settle()
    assert running.status["targetRevision"] == "r3"


def test_a_retired_model_stays_in_its_revisions_and_enters_no_new_one(running):
    running.models["ner-1"] = MODEL
    running.change(modelRefs=[{"name": "ner-1"}])
    running.settle()
    running.models["ner-1"] = {**MODEL, "spec": {**MODEL["spec"], "retire": True}}
    running.settle()
    assert running.condition("ModelsReady")[0] == "True"
    running.change(image="looma-engine:9")
    running.settle()
    assert running.condition("ModelsReady") == ("False", "ModelRetired")
    assert running.status["targetRevision"] == "r2"
