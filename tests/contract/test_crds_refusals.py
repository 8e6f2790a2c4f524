"""What the definitions refuse and what they say: each row is a mistake that a person makes, and the words that help.

The messages are those of the real API server. What one object alone cannot show (a path that another service has, a
model that does not exist) is in test_operator_admission.py.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from support.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane
Object = dict[str, Any]

SERVICE: Object = {
    "apiVersion": "looma.dev/v1alpha1",
    "kind": "AIService",
    "metadata": {"name": "resume"},
    "spec": {
        "engine": "resume",
        "image": "registry.example/looma-engine:1.0",
        "replicas": 2,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"cpu": 1, "memory": "1Gi"}},
        "config": {"maxPages": 20},
        "route": {"pathPrefixes": ["/api/v1/resumes"]},
    },
}
MODEL: Object = {
    "apiVersion": "looma.dev/v1alpha1",
    "kind": "ModelVersion",
    "metadata": {"name": "ner-1.0.0"},
    "spec": {
        "model": "resume-ner",
        "version": "1.0.0",
        "artifact": {"uri": "oci://registry/models/ner@sha256:" + "a" * 64, "sizeBytes": 1024},
        "format": "spacy",
        "evaluation": {"dataset": "held-out", "metric": "f1", "value": 0.91},
    },
}
JOB: Object = {
    "apiVersion": "looma.dev/v1alpha1",
    "kind": "SyncJob",
    "metadata": {"name": "people"},
    "spec": {"source": {"type": "jsonl", "path": "imports/people.jsonl"}},
}
CRM: Object = {
    "type": "postgresql",
    "url": "postgresql://crm.example:5432/crm",
    "table": "crm.people",
    "credentials": {"secretRef": {"name": "crm"}},
}
WEB: Object = {"type": "http", "url": "https://crm.example/export/people.jsonl", "format": "jsonl"}
STORE: Object = {
    "type": "s3",
    "url": "s3://imports/people.csv",
    "format": "csv",
    "endpoint": "https://s3.example",
}
PLATFORM: Object = {
    "type": "zervigo",
    "url": "https://zervigo.example",
    "tokenUrl": "https://zervigo.example/oauth/token",
    "requestsPerSecond": 5,
    "credentials": {"secretRef": {"name": "zervigo"}},
    "incremental": {"overlap": "10m", "fullEvery": 24},
}
PLURALS = {"AIService": "aiservices", "ModelVersion": "modelversions", "SyncJob": "syncjobs"}
ABSENT = object()


def changed(base: Object, path: str, value: Any) -> Object:
    """A copy with one field set, or removed with ABSENT."""
    result = copy.deepcopy(base)
    *parents, last = path.split(".")
    place = result
    for part in parents:
        place = place.setdefault(part, {})
    if value is ABSENT:
        place.pop(last, None)
    else:
        place[last] = value
    return result


def asked(query: str) -> Object:
    """A source that is a query."""
    return {**{name: value for name, value in CRM.items() if name != "table"}, "query": query}


def path(kind: str, namespace: str, name: str = "") -> str:
    base = f"/apis/looma.dev/v1alpha1/namespaces/{namespace}/{PLURALS[kind]}"
    return f"{base}/{name}" if name else base


WELL = {"name": "errors", "builtIn": "errorRate", "max": 5}
ANALYSIS = {"metrics": [WELL]}
IN_A_STEP = {"strategy": "Canary", "steps": [{"analysis": ANALYSIS}]}


def in_a_step(**changes: Any) -> Object:
    """A rollout with an analysis that has something wrong."""
    return {"strategy": "Canary", "steps": [{"analysis": ANALYSIS | changes}]}


def measuring(**changes: Any) -> Object:
    """A rollout with a metric that has something wrong, or lacks what is None."""
    metric = {name: value for name, value in (WELL | changes).items() if value is not None}
    return in_a_step(metrics=[metric])


def asking(**changes: Any) -> Object:
    """A rollout that asks an HTTP address, with something wrong about it."""
    return measuring(builtIn=None, http={"url": "http://quality/score"} | changes)


ASKS = {"containers": [{"name": "ask", "image": "checker:1"}]}


def job(**changes: Any) -> Object:
    """A rollout that asks a Job, with something wrong about it."""
    limits = {name: changes.pop(name, None) for name in ("max", "min")}
    made = {name: value for name, value in ({"podSpec": ASKS} | changes).items() if value is not None}
    return measuring(builtIn=None, job=made, **limits)


REFUSED = [
    # what was written, where, and words of the answer
    (SERVICE, "spec.engine", "resumee", 'supported values: "resume", "talent-sync", "gateway", "custom"'),
    (SERVICE, "spec.engine", ABSENT, "spec.engine: Required value"),
    (SERVICE, "spec.image", ABSENT, "spec.image: Required value"),
    (SERVICE, "spec.image", "", "spec.image"),
    (SERVICE, "spec.image", "two words", "write REGISTRY/NAME:TAG or NAME@sha256:DIGEST, without spaces"),
    (SERVICE, "spec.replicas", -1, "greater than or equal to 0"),
    (SERVICE, "spec.replicas", "two", "must be of type integer"),
    (SERVICE, "spec.replicas", 5000, "less than or equal to 1000"),
    (SERVICE, "spec.resources.requests.cpu", "much", "write a quantity of 0 or more"),
    (SERVICE, "spec.resources.requests.memory", "256 MB", "write a quantity of 0 or more"),
    (SERVICE, "spec.resources.limits.memory", "-1Gi", "write a quantity of 0 or more"),
    (SERVICE, "spec.resources.requests.cpu", "2", "requests.cpu is more than resources.limits.cpu"),
    (
        SERVICE,
        "spec.resources.requests.memory",
        "2Gi",
        "requests.memory is more than resources.limits.memory",
    ),
    (
        SERVICE,
        "spec.config",
        {"maxPagez": 3},
        "config of engine resume: write only maxFileBytes, maxPages,",
    ),
    (
        SERVICE,
        "spec.config",
        {"maxPages": "many"},
        "write whole numbers without quotes: maxFileBytes 1024 to",
    ),
    (SERVICE, "spec.config", {"maxPages": 0}, "maxPages 1 to 500"),
    (SERVICE, "spec.config", {"maxPages": True}, "spec.config.maxPages"),
    (
        SERVICE,
        "spec.route.pathPrefixes",
        ["api/v1/resumes"],
        "write a path below /api/v1/, as /api/v1/talents",
    ),
    (SERVICE, "spec.route.pathPrefixes", ["/metrics"], "write a path below /api/v1/"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1/resumes/"], "without a last '/'"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1//resumes"], "write the path normalised"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1/../admin"], "write the path normalised"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1/a%2fb"], "write the path normalised"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1/openapi.json"], "is the merged API document"),
    (SERVICE, "spec.route.pathPrefixes", ["/api/v1/a", "/api/v1/a"], "Duplicate value"),
    (SERVICE, "spec.rollout", {"strategy": "Canary"}, "a Canary needs steps"),
    (
        SERVICE,
        "spec.rollout",
        {"steps": [{"setWeight": 10}]},
        "only a Canary has steps: write strategy Canary",
    ),
    (
        SERVICE,
        "spec.rollout",
        {"strategy": "BlueGreen", "steps": [{"setWeight": 10}]},
        "only a Canary has steps",
    ),
    (SERVICE, "spec.rollout", {"autoPromote": True}, "only BlueGreen has autoPromote"),
    (SERVICE, "spec.rollout", {"preview": {"header": "X-Preview"}}, "are of Canary and BlueGreen"),
    (SERVICE, "spec.rollout", {"scaleDownDelaySeconds": 5}, "are of Canary and BlueGreen"),
    *(
        (SERVICE, "spec.rollout", {"strategy": "BlueGreen", "preview": {"header": header}}, words)
        for header, words in (
            ("X Preview", "write the name of a header"),
            ("X-Looma-Preview", "another header"),
        )
    ),
    *(
        (SERVICE, "spec.rollout", {"strategy": "Canary", "steps": [step]}, words)
        for step, words in (
            ({}, "a step has one field: write setWeight, pause or analysis"),
            ({"setWeight": 10, "analysis": ANALYSIS}, "a step has one field"),
            ({"setWeight": 10, "pause": {}}, "a step has one field"),
            ({"setWeight": 101}, "less than or equal to 100"),
            ({"setWeight": "10%"}, "must be of type integer"),
            ({"pause": {"seconds": 0}}, "greater than or equal to 1"),
        )
    ),
    *(
        (SERVICE, "spec.rollout", rollout, words)
        for rollout, words in (
            ({"analysis": ANALYSIS}, "only a Canary has an analysis in the background"),
            ({"strategy": "BlueGreen", "analysis": ANALYSIS}, "or for BlueGreen prePromotionAnalysis"),
            (
                IN_A_STEP | {"analysis": ANALYSIS | {"count": 3}},
                'unknown field "spec.rollout.analysis.count"',
            ),
            (IN_A_STEP | {"prePromotionAnalysis": ANALYSIS}, "are of BlueGreen: write that strategy"),
            (IN_A_STEP | {"postPromotionAnalysis": ANALYSIS}, "for a Canary a step with an analysis"),
            (in_a_step(metrics=None), "analysis.metrics: Required value"),
            (in_a_step(metrics=[]), "should have at least 1 items"),
            (in_a_step(metrics=[WELL, WELL]), "Duplicate value"),
            (in_a_step(metrics=[WELL | {"name": f"m{n}"} for n in range(9)]), "must have at most 8 items"),
            (in_a_step(intervalSeconds=1), "greater than or equal to 2"),
            (in_a_step(initialDelaySeconds=-1), "greater than or equal to 0"),
            (in_a_step(windowSeconds=9), "greater than or equal to 10"),
            (in_a_step(minSamples=0), "greater than or equal to 1"),
            (in_a_step(count=0), "greater than or equal to 1"),
            (in_a_step(failureLimit=-1), "greater than or equal to 0"),
            (in_a_step(inconclusiveLimit=-1), "greater than or equal to 0"),
            (in_a_step(suspicionLimit=1001), "less than or equal to 1000"),
            (in_a_step(consecutiveErrorLimit=101), "less than or equal to 100"),
            (measuring(name="error rate"), "write letters, digits and '-', beginning with a letter"),
            (
                measuring(builtIn=None),
                "a metric has one source: write builtIn, compare, prometheus, http, probes or job",
            ),
            (measuring(compare="errorRate", max=None), "a metric has one source"),
            (measuring(builtIn="latency"), '"latencyP99", "saturation", "shadowDifference"'),
            (measuring(max=None), "write max or min, or both: without a limit nothing would fail"),
            (measuring(max="5%"), "must be of type number"),
            (measuring(min=6), "min is more than max: no value would do"),
            (measuring(falseAlarmPercent=1), "only compare has falseAlarmPercent"),
            (measuring(builtIn=None, compare="errorRate"), "compare has no max and no min"),
            (measuring(builtIn=None, max=None, compare="p95"), 'supported values: "errorRate", "latency"'),
            (
                measuring(builtIn=None, max=None, compare="latency", falseAlarmPercent=0),
                "falseAlarmPercent: write a number from 0.001",
            ),
            (measuring(builtIn=None, prometheus={}), "prometheus.query: Required value"),
            (measuring(builtIn=None, prometheus={"query": ""}), "should be at least 1 chars long"),
            (measuring(builtIn=None, probes={}), "probes.set: Required value"),
            (measuring(builtIn=None, probes={"set": "a b"}), "write a key of the ConfigMap looma-probes"),
            (job(max=5), "job has no max and no min: it succeeds or fails"),
            (job(podSpec=None), "job.podSpec: Required value"),
            (job(podSpec={}), "podSpec.containers: Required value"),
            (job(podSpec={"containers": []}), "should have at least 1 items"),
            (job(podSpec={"containers": [{"name": "ask"}]}), "containers[0].image: Required value"),
            (job(podSpec={"containers": [{"image": "a"}]}), "containers[0].name: Required value"),
            (job(podSpec={**ASKS, "initContainers": [{"name": "get"}]}), "initContainers[0].image: Required"),
            (job(podSpec={**ASKS, "restartPolicy": "Always"}), 'supported values: "Never"'),
            (job(backoffLimit=-1), "greater than or equal to 0"),
            (job(backoffLimit=11), "less than or equal to 10"),
            (job(activeDeadlineSeconds=4), "greater than or equal to 5"),
            (job(activeDeadlineSeconds=86401), "less than or equal to 86400"),
            (job(suspend=True), "job.suspend"),
            (asking(url="quality/score"), "write an address as http://quality.looma.svc/scores/"),
            (asking(url="http://ada:secret@quality/"), "without a user or password"),
            (asking(pointer="score"), "write a JSON pointer with a leading /"),
            (asking(header={"name": "Authorization"}), "http.header.secretKey: Required value"),
            (asking(header={"name": "X Token", "secretKey": "a"}), "write the name of a header"),
            (
                asking(header={"name": "X-Token", "secretKey": "a/b"}),
                "write a key of the Secret looma-analysis",
            ),
        )
    ),
    (SERVICE, "spec.route.timeoutSeconds", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.maxRequestBytes", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.maxRequestBytes", 10 * 2**30 + 1, "less than or equal to 10737418240"),
    (SERVICE, "spec.route.maxRequestBytes", "10Mi", "must be of type integer"),
    (SERVICE, "spec.route.maxResponseBytes", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.maxResponseBytes", 10 * 2**30 + 1, "less than or equal to 10737418240"),
    (SERVICE, "spec.route.retries", -1, "greater than or equal to 0"),
    (SERVICE, "spec.route.retries", 6, "less than or equal to 5"),
    (SERVICE, "spec.route.auth", "none", "must be of type object"),
    (SERVICE, "spec.route.auth.required", "no", "must be of type boolean"),
    (SERVICE, "spec.route.auth.roles", ["Admin"], "beginning with a letter, as recruiter"),
    (SERVICE, "spec.route.auth.roles", ["a b"], "write at most 63 lower-case letters, digits and '-'"),
    (SERVICE, "spec.route.auth.roles", ["a" * 64], "write at most 63 lower-case letters"),
    (SERVICE, "spec.route.auth.roles", ["admin", "admin"], "Duplicate value"),
    (SERVICE, "spec.route.auth.roles", [f"r{n}" for n in range(17)], "must have at most 16 items"),
    (SERVICE, "spec.route.auth", {"required": False, "roles": ["admin"]}, "leave roles out"),
    (SERVICE, "spec.route.rateLimit", {}, "requestsPerSecond: Required value"),
    (SERVICE, "spec.route.rateLimit", {"requestsPerSecond": 0}, "greater than or equal to 1"),
    (SERVICE, "spec.route.rateLimit", {"requestsPerSecond": 100001}, "less than or equal to 100000"),
    (SERVICE, "spec.route.rateLimit", {"requestsPerSecond": 0.5}, "must be of type integer"),
    (SERVICE, "spec.route.rateLimit", {"requestsPerSecond": 1, "burst": 0}, "greater than or equal to 1"),
    (SERVICE, "spec.route.rateLimit", {"requestsPerSecond": 1, "burst": 100001}, "less than or equal to"),
    (
        SERVICE,
        "spec.route.rateLimit",
        {"requestsPerSecond": 1, "per": "pod"},
        'supported values: "address", "subject", "service"',
    ),
    (
        SERVICE,
        "spec.route",
        {"auth": {"required": False}, "rateLimit": {"requestsPerSecond": 1, "per": "subject"}},
        "route.rateLimit.per: write address or service",
    ),
    (SERVICE, "spec.route.budget", {}, "spec.route.budget.units: Required value"),
    (SERVICE, "spec.route.budget", {"units": 0}, "greater than or equal to 1"),
    (SERVICE, "spec.route.budget", {"units": 100_000_001}, "less than or equal to 100000000"),
    (SERVICE, "spec.route.budget", {"units": 1, "windowSeconds": 0}, "greater than or equal to 1"),
    (SERVICE, "spec.route.budget", {"units": 1, "windowSeconds": 86401}, "less than or equal to 86400"),
    (SERVICE, "spec.route.budget", {"units": 1, "per": "pod"}, 'supported values: "address", "subject",'),
    (SERVICE, "spec.route.budget", {"units": 1, "costHeader": ""}, "write the name of a header, as X-Looma"),
    (SERVICE, "spec.route.budget", {"units": 1, "costHeader": "a b"}, "write the name of a header"),
    (SERVICE, "spec.route.budget", {"units": 1, "costHeader": "x)"}, "write the name of a header"),
    (
        SERVICE,
        "spec.route",
        {"auth": {"required": False}, "budget": {"units": 1, "per": "subject"}},
        "route.budget.per: write address or service",
    ),
    (SERVICE, "spec.route.circuitBreaker.windowSeconds", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.circuitBreaker.windowSeconds", 301, "less than or equal to 300"),
    (SERVICE, "spec.route.circuitBreaker.minRequests", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.circuitBreaker.minRequests", 10001, "less than or equal to 10000"),
    (SERVICE, "spec.route.circuitBreaker.errorPercent", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.circuitBreaker.errorPercent", 101, "less than or equal to 100"),
    (SERVICE, "spec.route.circuitBreaker.openSeconds", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.circuitBreaker.openSeconds", 301, "less than or equal to 300"),
    (SERVICE, "spec.route.circuitBreaker.trialRequests", 0, "greater than or equal to 1"),
    (SERVICE, "spec.route.circuitBreaker.trialRequests", 101, "less than or equal to 100"),
    (SERVICE, "spec.route.circuitBreaker.opens", 1, 'unknown field "spec.route.circuitBreaker.opens"'),
    (SERVICE, "spec.route.fallback", {}, "spec.route.fallback.service: Required value"),
    (SERVICE, "spec.route.fallback", {"service": "resume"}, "write another service; this one is what"),
    (SERVICE, "spec.route.fallback", {"service": "Talents"}, "write the name of an AIService"),
    (SERVICE, "spec.route.fallback", {"service": "http://x"}, "write the name of an AIService"),
    (SERVICE, "spec.route.fallback", {"service": ""}, "write the name of an AIService"),
    (SERVICE, "spec.route.shadow", {"percent": 1}, "route.shadow: write service, or canary: true"),
    (
        SERVICE,
        "spec.route.shadow",
        {"percent": 1, "canary": False},
        "route.shadow: write service, or canary: true",
    ),
    (
        SERVICE,
        "spec.route.shadow",
        {"percent": 1, "canary": True, "service": "chat"},
        "route.shadow: write service, or canary: true",
    ),
    (SERVICE, "spec.route.shadow", {"percent": 1, "canary": "yes"}, "must be of type boolean"),
    (SERVICE, "spec.route.shadow", {"service": "chat"}, "spec.route.shadow.percent: Required value"),
    (SERVICE, "spec.route.shadow", {"service": "resume", "percent": 1}, "this one has the requests already"),
    (SERVICE, "spec.route.shadow", {"service": "a.b", "percent": 1}, "write the name of an AIService"),
    (SERVICE, "spec.route.shadow", {"service": "", "percent": 1}, "write the name of an AIService"),
    (SERVICE, "spec.route.shadow", {"service": "chat", "percent": 0}, "greater than or equal to 1"),
    (SERVICE, "spec.route.shadow", {"service": "chat", "percent": 101}, "less than or equal to 100"),
    (SERVICE, "spec.route.shadow", {"service": "chat", "percent": 1, "methods": []}, "at least 1 items"),
    (SERVICE, "spec.route.shadow", {"service": "chat", "percent": 1, "methods": ["get"]}, '"GET", "HEAD",'),
    (SERVICE, "spec.route.shadow", {"service": "chat", "percent": 1, "methods": ["TRACE"]}, '"GET", "HEAD",'),
    (
        SERVICE,
        "spec.route.shadow",
        {"service": "chat", "percent": 1, "ignore": ["id"]},
        "write a JSON pointer",
    ),
    (
        SERVICE,
        "spec.route.shadow",
        {"service": "chat", "percent": 1, "ignore": ["/a,/b"]},
        "write a JSON pointer",
    ),
    (
        SERVICE,
        "spec.route.shadow",
        {"service": "chat", "percent": 1, "ignore": ["/"]},
        "write a JSON pointer",
    ),
    (
        SERVICE,
        "spec.route.shadow",
        {"service": "chat", "percent": 1, "ignore": ["/a"] * 2},
        "Duplicate value",
    ),
    (SERVICE, "spec.rollout.strategy", "Blue", 'supported values: "Rolling", "Canary", "BlueGreen"'),
    (SERVICE, "spec.rollout.progressDeadlineSeconds", 1, "greater than or equal to 5"),
    (SERVICE, "spec.revisionHistoryLimit", 0, "greater than or equal to 1"),
    (SERVICE, "spec.rollbackWindow", -1, "greater than or equal to 0"),
    (SERVICE, "spec.paused", "yes", "must be of type boolean"),
    (SERVICE, "spec.modelRefs", [{"name": "a"}, {"name": "a"}], "write each ModelVersion once"),
    (SERVICE, "spec.modelRefs", [{}], "write either name, or model and channel"),
    (SERVICE, "spec.modelRefs", [{"model": "a"}], "write either name, or model and channel"),
    (SERVICE, "spec.modelRefs", [{"channel": "a"}], "write either name, or model and channel"),
    (SERVICE, "spec.modelRefs", [{"name": "a", "channel": "b"}], "write either name, or model and channel"),
    (
        SERVICE,
        "spec.modelRefs",
        [{"model": "a", "channel": "b"}, {"model": "a", "channel": "c"}],
        "write each model once; a service follows one channel of a model",
    ),
    (SERVICE, "spec.modelRefs", [{"model": "", "channel": "b"}], "should be at least 1 chars long"),
    (SERVICE, "spec.modelRefs", [{"model": "a", "channel": "b" * 64}], "Too long"),
    (SERVICE, "spec.modelRefs", ["a"], "must be of type object"),
    (SERVICE, "spec.podTemplate", "nginx", "must be of type object"),
    (SERVICE, "metadata.name", "1resume", "beginning with a letter"),
    (SERVICE, "metadata.name", "a" * 41, "write at most 40 lower-case letters"),
    (SERVICE, "spec.gateway", {"weight": 3}, 'unknown field "spec.gateway"'),
    (MODEL, "spec.version", "v1", "write a semantic version without a leading v, as 1.4.0"),
    (MODEL, "spec.version", "1.0", "write a semantic version"),
    (MODEL, "spec.model", "Resume NER", "write lower-case letters, digits and '-', as resume-ner"),
    (MODEL, "spec.artifact.uri", "oci://registry/ner:latest", "a tag alone could change"),
    (MODEL, "spec.artifact.uri", "https://host/ner@sha256:" + "a" * 64, "write oci://REGISTRY/NAME@sha256:"),
    (MODEL, "spec.artifact.sizeBytes", 0, "greater than or equal to 1"),
    (MODEL, "spec.format", "pickle", 'supported values: "onnx", "spacy", "lightgbm", "json"'),
    (MODEL, "spec.evaluation", {"metric": "f1"}, "spec.evaluation.dataset: Required value"),
    (MODEL, "spec.gates.minEvaluation", "high", "must be of type number"),
    (
        changed(MODEL, "spec.evaluation", ABSENT),
        "spec.gates",
        {"minEvaluation": 0.8},
        "gates.minEvaluation: write evaluation as well",
    ),
    (JOB, "spec.source.type", "ldap", 'supported values: "jsonl", "csv"'),
    (JOB, "spec.source", {"type": "csv"}, "write a file whose ending is the source's type"),
    (JOB, "spec.source.url", "postgresql://crm.example/crm", "for type postgresql"),
    (JOB, "spec.source.credentials", {"secretRef": {"name": "crm"}}, "are for sources with a url"),
    (JOB, "spec.source.incremental", {}, "are for sources with a url"),
    (JOB, "spec.source", {**CRM, "url": "crm.example"}, "write postgresql://HOST:PORT/DATABASE"),
    (
        JOB,
        "spec.source",
        {**CRM, "url": "postgresql://ada:secret@crm.example/crm"},
        "without name and password",
    ),
    (
        JOB,
        "spec.source",
        {**CRM, "url": "postgresql://crm.example/crm?password=x"},
        "without name and password",
    ),
    (JOB, "spec.source", {**CRM, "query": "SELECT 1"}, "write either table or query"),
    (JOB, "spec.source", {**CRM, "path": "people.jsonl"}, "other types have none"),
    (JOB, "spec.source", {**CRM, "table": "people; DROP TABLE people"}, "should match"),
    (JOB, "spec.source", changed(CRM, "table", ABSENT), "write either table or query"),
    (JOB, "spec.source", asked("DELETE FROM people"), "write one SELECT without a semicolon"),
    (JOB, "spec.source", asked("SELECT 1; SELECT 2"), "write one SELECT without a semicolon"),
    (JOB, "spec.source", {**CRM, "collection": "people"}, "and neither it nor filter for others"),
    (JOB, "spec.source", {**CRM, "incremental": {"overlap": "soon"}}, "should match"),
    (JOB, "spec.source", {**CRM, "incremental": {"fullEvery": 0}}, "greater than or equal to 1"),
    (JOB, "spec.source", {**CRM, "credentials": {}}, "spec.source.credentials.secretRef: Required value"),
    (
        JOB,
        "spec.source",
        {"type": "mongodb", "url": "mongodb://old.example/crm"},
        "write it for type mongodb",
    ),
    (JOB, "spec.source", {**CRM, "type": "mongodb"}, "write mongodb://HOST:PORT/DATABASE"),
    (JOB, "spec.source.url", "https://crm.example/people.jsonl", "files elsewhere are of type http or s3"),
    (JOB, "spec.source", changed(WEB, "url", "ftp://crm.example/people.jsonl"), "write https://HOST/PATH"),
    (JOB, "spec.source", changed(WEB, "url", "https://ada:x@crm.example/p"), "without name and password"),
    (JOB, "spec.source", changed(WEB, "format", ABSENT), "write jsonl or csv for types http and s3"),
    (JOB, "spec.source", {**WEB, "incremental": {}}, "which are read whole"),
    (JOB, "spec.source", {**WEB, "format": "xml"}, 'supported values: "jsonl", "csv"'),
    (JOB, "spec.source", {**WEB, "region": "eu-west-1"}, "endpoint and region are for type s3"),
    (JOB, "spec.source", {**WEB, "pageSize": 10}, "are for type zervigo"),
    (JOB, "spec.source", changed(STORE, "url", "https://imports/people.csv"), "write s3://BUCKET/KEY"),
    (JOB, "spec.source", changed(STORE, "url", "s3://imports"), "write s3://BUCKET/KEY"),
    (JOB, "spec.source", {**STORE, "endpoint": "s3.example"}, "should match"),
    (JOB, "spec.source", {**PLATFORM, "format": "jsonl"}, "other types have no format"),
    (JOB, "spec.source", changed(PLATFORM, "credentials", ABSENT), "client_id and client_secret"),
    (JOB, "spec.source", {**PLATFORM, "requestsPerSecond": 0}, "greater than or equal to 1"),
    (JOB, "spec.source", {**CRM, "format": "csv"}, "other types have no format"),
    (JOB, "spec.source.path", "/etc/passwd", "write a relative path without"),
    (JOB, "spec.source.path", "a/../../b.jsonl", "write a relative path without"),
    (JOB, "spec.source.path", "people.csv", "write a file whose ending is the source's type"),
    (JOB, "spec.mode", "full", 'unknown field "spec.mode"'),
    (JOB, "metadata.name", "a" * 41, "metadata.name: write at most 40 lower-case letters"),
    (JOB, "metadata.name", "1st", "beginning with a letter"),
    (JOB, "spec.source.name", "Our CRM", "should match"),
    (JOB, "spec.target", {"tenant": "demo"}, "spec.target.entity: Required value"),
    (JOB, "spec.target", {"tenant": "Demo Ltd", "entity": "talent"}, "should match"),
    (
        JOB,
        "spec.target",
        {"tenant": "demo", "entity": "person"},
        'supported values: "talent", "company", "job", "relation"',
    ),
    (
        JOB,
        "spec.references",
        {"company_id": "crm-companies"},
        "references: are for a target, and for direction: oneWay",
    ),
    (
        JOB,
        "spec.references",
        {"manager": "crm"},
        "references: write talent_id, other_talent_id, company_id or job_id",
    ),
    (JOB, "spec.references", {"company_id": "Our CRM"}, "should match"),
    (
        JOB,
        "spec",
        {
            "source": {"type": "zervigo", "url": "https://z.example"},
            "target": {"tenant": "demo", "entity": "relation"},
        },
        "target.entity: relations come one way, and from other sources than zervigo",
    ),
    (
        JOB,
        "spec",
        {
            "source": {"type": "jsonl", "path": "people.jsonl"},
            "target": {"tenant": "demo", "entity": "talent"},
            "references": {"company_id": "crm-companies"},
        },
        "references: of a job it is company_id alone that names another record",
    ),
    (JOB, "spec.conflictPolicy", {"default": "ours"}, 'supported values: "newest", "source"'),
    (JOB, "spec.conflictPolicy", {"fields": {"skills": "union"}}, 'supported values: "newest", "source"'),
    (JOB, "spec.validation", {"minQuality": 101}, "less than or equal to 100"),
    (JOB, "spec.validation", {"onInvalid": "ignore"}, 'supported values: "quarantine", "skip", "fail"'),
    (JOB, "spec.onMissing", "archive", 'supported values: "keep", "delete"'),
    (JOB, "spec.direction", "both", 'supported values: "oneWay", "twoWay"'),
    (
        JOB,
        "spec.direction",
        "twoWay",
        "direction: twoWay needs a target, and a source that can be written to",
    ),
    (JOB, "spec.writeBack", {"creations": True}, "writeBack: write direction: twoWay too, or leave it out"),
    (JOB, "spec.writeBack", {"deletions": "archive"}, 'supported values: "keep", "delete", "mark"'),
    (JOB, "spec.writeBack", {"deletions": "mark"}, "writeBack.mark: write it with deletions: mark"),
    (JOB, "spec.writeBack", {"mark": "gone"}, "writeBack.mark: write it with deletions: mark"),
    (
        JOB,
        "spec.writeBack",
        {"creations": True, "externalId": "looma_id"},
        "writeBack.externalId: is for creations in a table of postgresql",
    ),
    (JOB, "spec.image", "two words", "write REGISTRY/NAME:TAG or NAME@sha256:DIGEST, without spaces"),
    *(
        (JOB, f"spec.{field}", value, words)
        for field, value, words in (
            ("parallelism", 0, "greater than or equal to 1"),
            ("parallelism", 65, "less than or equal to 64"),
            ("batchSize", 0, "greater than or equal to 1"),
            ("batchSize", 10001, "less than or equal to 10000"),
            ("suspend", "yes", "must be of type boolean"),
            ("backoffLimit", -1, "greater than or equal to 0"),
            ("backoffLimit", 101, "less than or equal to 100"),
            ("activeDeadlineSeconds", 0, "greater than or equal to 1"),
            ("activeDeadlineSeconds", 604801, "less than or equal to 604800"),
            ("historyLimit", 0, "greater than or equal to 1"),
            ("historyLimit", 21, "less than or equal to 20"),
            ("ttlSecondsAfterFinished", 59, "greater than or equal to 60"),
            ("ttlSecondsAfterFinished", 2592001, "less than or equal to 2592000"),
            ("schedule", "* * * * *", "must be of type object"),
            ("schedule", {}, "spec.schedule.cron: Required value"),
            ("schedule", {"cron": "0 3 * *"}, "write five fields (minute hour day month weekday)"),
            ("schedule", {"cron": "TZ=UTC 0 3 * * *"}, "the time zone has a field of its own"),
            ("schedule", {"cron": "@every 5m"}, "write five fields"),
            ("schedule", {"cron": "@daily", "timeZone": "Local"}, "write a name of the time zone database"),
            ("schedule", {"cron": "@daily", "timeZone": "../etc"}, "write a name of the time zone database"),
            ("resources", {"requests": {"cpu": "much"}}, "write a quantity of 0 or more"),
            ("resources", {"limits": {"memory": "-1Gi"}}, "write a quantity of 0 or more"),
            ("podTemplate", "none", "must be of type object"),
        )
    ),
]


def _row_name(row: tuple[Object, str, Any, str]) -> str:
    base, field, value, _ = row
    return f"{base['kind']}-{field}-{'absent' if value is ABSENT else value}"[:80]


@pytest.mark.parametrize("row", REFUSED, ids=map(_row_name, REFUSED))
def test_a_mistake_is_refused_with_words_that_help(control_plane: ControlPlane, namespace, row):
    base, field, value, words = row
    code, answer = control_plane.request(
        "POST", path(base["kind"], namespace) + "?fieldValidation=Strict", changed(base, field, value)
    )
    assert code in (400, 422), answer
    assert words in answer["message"]


@pytest.mark.parametrize("base", [SERVICE, MODEL, JOB], ids=lambda base: base["kind"])
def test_what_is_right_is_taken(control_plane: ControlPlane, namespace, base):
    code, answer = control_plane.request(
        "POST", path(base["kind"], namespace) + "?fieldValidation=Strict", base
    )
    assert code == 201, answer


GATEWAY = changed(
    changed(changed(SERVICE, "spec.engine", "gateway"), "spec.route", {}),
    "spec.config",
    {"maxConnections": 5000, "hardStopSeconds": 60, "threads": 4},
)
FULL_ROUTE: Object = {
    "pathPrefixes": ["/api/v1/resumes"],
    "maxRequestBytes": 10 * 2**30,
    "maxResponseBytes": 10 * 2**30,
    "retries": 0,
    "auth": {"required": True, "roles": ["recruiter", "admin"]},
    "rateLimit": {"requestsPerSecond": 10, "burst": 100000, "per": "subject"},
    "budget": {"units": 100_000_000, "windowSeconds": 86400, "per": "subject", "costHeader": "X-Tokens-Used"},
    "circuitBreaker": {"errorPercent": 100},
    "fallback": {"service": "talent-sync"},
    "shadow": {
        "service": "talent-sync",
        "percent": 100,
        "methods": ["GET", "POST"],
        "ignore": ["/items/*/id"],
    },
}


FULL_ANALYSIS = in_a_step(
    metrics=[
        WELL,
        {"name": "fails-more", "compare": "errorRate", "falseAlarmPercent": 0.5},
        {"name": "slower", "compare": "latency"},
        {"name": "slow", "builtIn": "latencyP99", "max": 0.5},
        {"name": "own", "prometheus": {"query": 'sum(x{revision="$(REVISION)"})'}, "min": 0, "max": 1.5},
        {
            "name": "quality",
            "http": {
                "url": "https://quality.looma.svc:8443/scores/$(REVISION)?of=last",
                "pointer": "/scores/0/f1",
                "header": {"name": "Authorization", "secretKey": "quality.token"},
            },
            "min": 0.9,
        },
        {
            "name": "answers",
            "job": {
                "podSpec": {
                    **ASKS,
                    "restartPolicy": "Never",
                    "initContainers": [{"name": "get", "image": "a", "args": ["$(LOOMA_URL)"]}],
                    "nodeSelector": {"kind": "quiet"},
                },
                "backoffLimit": 2,
                "activeDeadlineSeconds": 60,
            },
        },
    ],
    intervalSeconds=10,
    initialDelaySeconds=0,
    windowSeconds=60,
    minSamples=100,
    count=3,
    failureLimit=1,
    inconclusiveLimit=0,
    suspicionLimit=0,
    consecutiveErrorLimit=0,
) | {"analysis": ANALYSIS | {"failureLimit": 2}}
MORE_SOURCES = [
    {"name": "probes", "probes": {"set": "people.json"}, "min": 95},
    {"name": "full", "builtIn": "saturation", "max": 80},
    {"name": "otherwise", "builtIn": "shadowDifference", "max": 2},
]
ANALYSED_BLUE_GREEN = {
    "strategy": "BlueGreen",
    "prePromotionAnalysis": ANALYSIS | {"count": 1},
    "postPromotionAnalysis": ANALYSIS | {"count": 10},
}


@pytest.mark.parametrize(
    ("base", "field", "value"),
    [
        (GATEWAY, "spec.replicas", 2),
        (SERVICE, "spec.rollout", FULL_ANALYSIS),
        (SERVICE, "spec.rollout", ANALYSED_BLUE_GREEN),
        (GATEWAY, "spec.route.pathPrefixes", []),
        (SERVICE, "spec.route", FULL_ROUTE),
        (SERVICE, "spec.route", FULL_ROUTE | {"shadow": {"canary": True, "percent": 20}}),
        (SERVICE, "spec.rollout", in_a_step(metrics=MORE_SOURCES)),
        (SERVICE, "spec.route.auth", {"required": False, "roles": []}),
        (
            SERVICE,
            "spec.route",
            {"auth": {"required": False}, "rateLimit": {"requestsPerSecond": 1, "per": "address"}},
        ),
    ],
)
def test_a_gateway_and_its_policy_are_taken(control_plane: ControlPlane, namespace, base, field, value):
    code, answer = control_plane.request(
        "POST", path("AIService", namespace) + "?fieldValidation=Strict", changed(base, field, value)
    )
    assert code == 201, answer


def test_defaults_of_what_a_route_asks_for_are_filled_in(control_plane: ControlPlane, namespace):
    route = {
        "circuitBreaker": {},
        "rateLimit": {"requestsPerSecond": 7},
        "budget": {"units": 9},
        "shadow": {"service": "chat", "percent": 5},
    }
    _, answer = control_plane.request(
        "POST", path("AIService", namespace), changed(SERVICE, "spec.route", route)
    )
    assert answer["spec"]["route"] == {
        "timeoutSeconds": 60,
        "retries": 1,
        "auth": {"required": True},
        # Without a burst it is as many as requestsPerSecond, which a default cannot say.
        "rateLimit": {"requestsPerSecond": 7, "per": "service"},
        "budget": {"units": 9, "windowSeconds": 60, "per": "service", "costHeader": "X-Looma-Cost"},
        "circuitBreaker": {
            "windowSeconds": 10,
            "minRequests": 20,
            "errorPercent": 50,
            "openSeconds": 5,
            "trialRequests": 3,
        },
        "shadow": {"service": "chat", "percent": 5, "methods": ["GET", "HEAD"]},
    }


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (
            "spec.config",
            {"maxPages": 3},
            "config of engine gateway: write only maxConnections, hardStopSeconds or threads",
        ),
        ("spec.config", {"maxConnections": 99}, "maxConnections 100 to 1000000"),
        ("spec.config", {"maxConnections": "5000"}, "write whole numbers without quotes"),
        ("spec.config", {"hardStopSeconds": 3601}, "hardStopSeconds 1 to 3600"),
        ("spec.config", {"threads": 0}, "threads 1 to 64"),
        ("spec.route.pathPrefixes", ["/api/v1/all"], "route.pathPrefixes of engine gateway: leave it out"),
    ],
)
def test_mistakes_about_a_gateway(control_plane: ControlPlane, namespace, field, value, words):
    code, answer = control_plane.request("POST", path("AIService", namespace), changed(GATEWAY, field, value))
    assert code == 422, answer
    assert words in answer["message"]


def test_each_gateway_pod_owns_its_entries_of_the_traffic(control_plane: ControlPlane, namespace):
    control_plane.request("POST", path("AIService", namespace), SERVICE)
    place = path("AIService", namespace, "resume") + "/status"

    def say(pod: str, weight: Any) -> tuple[int, Object]:
        entry = {"gateway": pod, "revision": "r1", "weight": weight, "observedAt": "2026-01-01T12:00:00Z"}
        body = {
            "apiVersion": "looma.dev/v1alpha1",
            "kind": "AIService",
            "metadata": {"name": "resume"},
            "status": {"traffic": [entry]},
        }
        return control_plane.apply(place, body, manager=f"looma-gateway-{pod}", force=False)

    assert say("a", 99.9)[0] == 200
    assert say("b", 0.1)[0] == 200
    code, answer = say("a", 50)
    assert code == 200, answer
    assert {entry["gateway"]: entry["weight"] for entry in answer["status"]["traffic"]} == {"a": 50, "b": 0.1}
    assert say("a", 101)[0] == 422
    assert say("a", -1)[0] == 422


TALENTS = changed(changed(SERVICE, "spec.engine", "talent-sync"), "spec.config", {})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"maxPages": 3}, "config of engine talent-sync: write only maxPageSize"),
        ({"maxPageSize": 501}, "write whole numbers without quotes: maxPageSize 1 to 500"),
        ({"maxBatchItems": 1001}, "maxBatchItems 1 to 1000"),
        ({"maxImportRows": "5"}, "maxImportRows 1 to 20000"),
    ],
)
def test_config_is_judged_for_the_engine_that_runs(control_plane: ControlPlane, namespace, config, words):
    code, answer = control_plane.request(
        "POST", path("AIService", namespace), changed(TALENTS, "spec.config", config)
    )
    assert code == 422, answer
    assert words in answer["message"]


def test_a_custom_engine_takes_any_config(control_plane: ControlPlane, namespace):
    custom = changed(changed(SERVICE, "spec.engine", "custom"), "spec.config", {"ANY": "thing", "n": 3})
    code, answer = control_plane.request("POST", path("AIService", namespace), custom)
    assert code == 201, answer


IMMUTABLE = [
    (SERVICE, "spec.engine", "custom", "engine cannot be changed"),
    (MODEL, "spec.version", "1.0.1", "cannot be changed, only retired"),
    (
        MODEL,
        "spec.artifact.uri",
        "oci://registry/models/ner@sha256:" + "b" * 64,
        "cannot be changed, only retired",
    ),
    (MODEL, "spec.evaluation.value", 0.99, "the evaluation of a ModelVersion cannot be changed"),
    (MODEL, "spec.evaluation", None, "the evaluation of a ModelVersion cannot be changed"),
    (MODEL, "spec.gates", {"minEvaluation": 0.8}, "the gates of a ModelVersion cannot be changed"),
    (JOB, "spec.source.path", "imports/other.jsonl", "source cannot be changed"),
    (JOB, "spec.source.key", "number", "source cannot be changed"),
    (JOB, "spec.source.name", "crm", "source cannot be changed"),
]


@pytest.mark.parametrize("row", IMMUTABLE, ids=map(_row_name, IMMUTABLE))
def test_what_must_not_change_is_refused(control_plane: ControlPlane, namespace, row):
    base, field, value, words = row
    kind, name = base["kind"], base["metadata"]["name"]
    assert control_plane.request("POST", path(kind, namespace), base)[0] == 201
    patch = changed({}, field, value)
    code, answer = control_plane.request(
        "PATCH", path(kind, namespace, name), patch, content_type="application/merge-patch+json"
    )
    assert code == 422, answer
    assert words in answer["message"]


def test_a_model_can_be_retired_and_labelled_but_not_brought_back(control_plane: ControlPlane, namespace):
    control_plane.request("POST", path("ModelVersion", namespace), MODEL)
    place = path("ModelVersion", namespace, "ner-1.0.0")

    def patch(body: Object) -> tuple[int, Object]:
        return control_plane.request("PATCH", place, body, content_type="application/merge-patch+json")

    assert patch({"metadata": {"labels": {"team": "search"}}})[0] == 200
    assert patch({"spec": {"retire": True}})[0] == 200
    code, answer = patch({"spec": {"retire": False}})
    assert code == 422
    assert "stays retired" in answer["message"]


def test_defaults_are_filled_in(control_plane: ControlPlane, namespace):
    least = {**SERVICE, "spec": {"engine": "resume", "image": "e:1"}}
    _, answer = control_plane.request("POST", path("AIService", namespace), least)
    assert answer["spec"] == {
        "engine": "resume",
        "image": "e:1",
        "replicas": 1,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
        "route": {"timeoutSeconds": 60, "retries": 1, "auth": {"required": True}},
        "rollout": {"strategy": "Rolling", "progressDeadlineSeconds": 600},
        "revisionHistoryLimit": 10,
        "rollbackWindow": 3,
        "paused": False,
    }


def test_a_sync_job_needs_no_more_than_its_source(control_plane: ControlPlane, namespace):
    least = changed(JOB, "spec.schedule", {"cron": "@daily"})
    _, answer = control_plane.request("POST", path("SyncJob", namespace), least)
    assert answer["spec"] == {
        "source": {
            "type": "jsonl",
            "path": "imports/people.jsonl",
            "key": "id",
            "updatedAt": "updated_at",
        },
        "onMissing": "keep",
        "parallelism": 1,
        "batchSize": 500,
        "schedule": {"cron": "@daily", "timeZone": "Etc/UTC"},
        "suspend": False,
        "backoffLimit": 3,
        "historyLimit": 5,
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    }


OLD_CRM: Object = {
    "type": "mongodb",
    "url": "mongodb://old.example:27017/crm",
    "collection": "people",
    "filter": '{"deleted": false}',
    "key": "_id",
    "fields": {"full_name": "name", "experience[].title": "posts[*].role"},
    "incremental": {"fullEvery": 24, "full": "after the move"},
}


@pytest.mark.parametrize(
    "source",
    [CRM, asked("SELECT id, name FROM people"), OLD_CRM, WEB, {**STORE, "region": "eu-west-1"}, PLATFORM],
    ids=["pg", "query", "mongo", "web", "store", "platform"],
)
def test_a_source_may_be_elsewhere(control_plane: ControlPlane, namespace, source):
    job = changed(JOB, "spec.source", source)
    status, answer = control_plane.request("POST", path("SyncJob", namespace), job)
    assert status == 201, answer
    moved = changed(
        answer,
        "spec.source.url",
        source["url"].replace(".example", ".test").replace("s3://imports/", "s3://exports/"),
    )
    status, answer = control_plane.request("PUT", path("SyncJob", namespace, "people"), moved)
    assert status == 200, "the source may move to another host"


def test_the_scale_subresource_sets_replicas(control_plane: ControlPlane, namespace):
    control_plane.request("POST", path("AIService", namespace), SERVICE)
    control_plane.kubectl("-n", namespace, "scale", "ais", "resume", "--replicas=5")
    _, answer = control_plane.request("GET", path("AIService", namespace, "resume"))
    assert answer["spec"]["replicas"] == 5


def test_short_names_and_the_category_work(control_plane: ControlPlane, namespace):
    for base in (SERVICE, MODEL, JOB):
        control_plane.request("POST", path(base["kind"], namespace), base)
    assert "ENGINE" in control_plane.kubectl("-n", namespace, "get", "ais")
    assert "FORMAT" in control_plane.kubectl("-n", namespace, "get", "mv")
    assert "SOURCE" in control_plane.kubectl("-n", namespace, "get", "sj")
    everything = control_plane.kubectl("-n", namespace, "get", "looma", "-o", "name")
    assert len(everything.split()) == 3


def test_explain_reads_well(control_plane: ControlPlane):
    text = control_plane.kubectl("explain", "ais.spec.rollout")
    assert "How a new revision takes over." in text
    assert "progressDeadlineSeconds" in text
    assert "enum: Rolling" in text
    text = control_plane.kubectl("explain", "ais.spec.route.budget")
    assert "What the service's answers may cost" in text
    assert "costHeader" in text
