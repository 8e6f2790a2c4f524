"""Helm as users run it: install, upgrade, rollback, uninstall, install again, in a namespace of its own.

The steps build on each other, so they are one scenario; each says what it checks. The release of the instance itself
is left alone: only the definitions are shared, and what the scenario changes in them the upgrade puts back.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from looma_cluster import binaries, release
from support.cluster import Cluster, ExpectationError, Object

pytestmark = [pytest.mark.cluster, pytest.mark.beside]
NAMESPACE = "release-test"
CHART = Path(__file__).resolve().parents[2] / "charts" / "looma"
READY_SECONDS = 300  # A database, its migrations and four images on two busy cores.
SOCKETS = "/tmp"  # noqa: S108 - the database pod's own
MAX_PAGES = "engines.services.resume.spec.config.maxPages"
DESCRIPTION = "/spec/versions/0/schema/openAPIV3Schema/description"


class Releases:
    """Helm and kubectl in the scenario's namespace."""

    def __init__(self, cluster: Cluster, values: Path) -> None:
        self.cluster = cluster
        self._values = values

    def helm(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            [
                *(str(binaries.path("helm")), *arguments),
                *("--namespace", NAMESPACE, "--kubeconfig", str(self.cluster.kubeconfig)),
            ],
            capture_output=True,
            text=True,
            timeout=READY_SECONDS,
            check=False,
        )
        if check and done.returncode != 0:
            raise ExpectationError(f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def put(self, verb: str, *settings: str, check: bool = True) -> str:
        """`helm install` or `helm upgrade` with the scenario's values and further settings."""
        more = [word for setting in settings for word in ("--set", setting)]
        return self.helm(verb, "looma", str(CHART), "--values", str(self._values), *more, check=check)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        return self.cluster.run(
            str(self.cluster.kubectl_path),
            "--namespace",
            NAMESPACE,
            *arguments,
            check=check,
            timeout=READY_SECONDS,
        )

    def ready(self) -> None:
        release.wait(
            kubeconfig=self.cluster.kubeconfig,
            namespace=NAMESPACE,
            seconds=READY_SECONDS,
            report=lambda _: None,
        )

    def service(self, name: str = "resume") -> Object:
        found: Object = json.loads(self.kubectl("get", "aiservice", name, "--output", "json"))
        return found

    def secrets(self) -> dict[str, Object]:
        """Data of the chart's Secrets, by name."""
        listed = json.loads(
            self.kubectl("get", "secrets", "-l", "app.kubernetes.io/part-of=looma", "-o", "json")
        )
        return {item["metadata"]["name"]: item["data"] for item in listed["items"]}

    def sql(self, statement: str) -> str:
        """What the database answers its superuser, who is let in only from inside the pod."""
        user = ("psql", "--host", SOCKETS, "--username", "postgres", "--dbname", "looma")
        psql = (*user, "-At", "-c", statement)
        return self.kubectl("exec", "looma-postgres-0", "--", *psql).strip()

    def paths(self) -> set[str]:
        """Paths in the API's description, which the console merges from the engines that answer."""
        address = f"/api/v1/namespaces/{NAMESPACE}/services/looma-console:http/proxy/api/v1/openapi.json"
        return set(json.loads(self.kubectl("get", "--raw", address))["paths"])


@pytest.fixture
def releases(cluster: Cluster, tmp_path: Path) -> Iterator[Releases]:
    """An empty namespace under the restricted level, and values for a small release with the instance's images."""
    namespace = yaml.safe_load((CHART / "namespace.yaml").read_text())
    namespace["metadata"]["name"] = NAMESPACE
    cluster.run(str(cluster.kubectl_path), "apply", "-f", "-", stdin=yaml.safe_dump(namespace))
    running = Releases(cluster, tmp_path / "values.yaml")
    used = json.loads(
        cluster.run(
            *(
                str(binaries.path("helm")),
                "get",
                "values",
                "looma",
                "--namespace",
                "looma",
                "--output",
                "json",
            ),
            *("--kubeconfig", str(cluster.kubeconfig)),
        )
    )
    values = {
        "image": used["image"],
        "operator": {"replicas": 1},
        "postgres": {"storage": {"size": "1Gi"}},
        # The class is the cluster's, and the instance's own release has it; helm's verbs need no address.
        "gateway": {"class": {"create": False}},
        "engines": {"services": {"gateway": None}},
    }
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    yield running
    running.helm("uninstall", "looma", "--ignore-not-found", check=False)
    running.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", check=False)


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.long)])
def test_given_an_empty_namespace_when_helm_goes_through_its_verbs_then_each_does_what_it_says(
    releases: Releases, again: bool
) -> None:
    # Given an installation
    releases.put("install", f"{MAX_PAGES}=5")
    releases.ready()
    assert {"/api/v1/talents", "/api/v1/resumes"} <= releases.paths()
    assert releases.service()["status"]["stableRevision"] == "r1"
    secrets = releases.secrets()
    releases.sql("create table public.kept as select 42 as answer")
    # The application's role is held to its rows.
    assert releases.sql("select rolsuper or rolbypassrls from pg_roles where rolname = 'looma_app'") == "f"

    # When it is upgraded with another setting, from an older definition
    patch = [{"op": "replace", "path": DESCRIPTION, "value": "an older one"}]
    releases.kubectl("patch", "crd", "aiservices.looma.dev", "--type", "json", "-p", json.dumps(patch))
    releases.put("upgrade", f"{MAX_PAGES}=7")
    # Then the definition is this chart's again, the service rolls out, and no password changes
    definition = json.loads(releases.kubectl("get", "crd", "aiservices.looma.dev", "--output", "json"))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["description"].startswith("AIService runs one engine")
    releases.ready()
    assert releases.service()["status"]["stableRevision"] == "r2"
    assert releases.secrets() == secrets

    # When a person changes a field that the release sets, helm says so and does not overwrite it unasked
    person = '{"spec": {"config": {"maxPages": 9}}}'
    releases.kubectl("patch", "aiservice", "resume", "--type", "merge", "--field-manager", "me", "-p", person)
    refused = releases.put("upgrade", f"{MAX_PAGES}=8", check=False)
    assert "conflict" in refused
    assert "me" in refused

    # When it is rolled back, with helm told to win, then the first revision serves again
    releases.helm("rollback", "looma", "1", "--force-conflicts")
    releases.cluster.run(
        *(str(releases.cluster.kubectl_path), "--namespace", NAMESPACE, "wait", "aiservice/resume"),
        *("--for", "jsonpath={.status.stableRevision}=r1", "--timeout", f"{READY_SECONDS}s"),
        timeout=READY_SECONDS + 10,
    )
    releases.ready()
    assert releases.service()["status"]["lastRollback"]["to"] == "r1"
    assert releases.secrets() == secrets

    # When it is uninstalled, then what runs goes, and what holds data stays
    releases.helm("uninstall", "looma", "--wait", "--timeout", f"{READY_SECONDS}s")
    releases.kubectl("wait", "pod", "--all", "--for=delete", f"--timeout={READY_SECONDS}s", check=False)
    assert releases.kubectl("get", "aiservices,deployments,statefulsets,pods", "--output", "name") == ""
    assert "persistentvolumeclaim/data-looma-postgres-0" in releases.kubectl("get", "pvc", "-o", "name")
    kept = releases.secrets()
    for name in ("looma-postgres", "looma-engines", "looma-console", "looma-issuer", "looma-key-ring"):
        assert kept[name] == secrets[name], name
    releases.kubectl("get", "crd", "aiservices.looma.dev")

    if again:
        # When it is installed again, then the data is there
        releases.put("install")
        releases.ready()
        assert releases.sql("select answer from public.kept") == "42"
        assert {"/api/v1/talents", "/api/v1/resumes"} <= releases.paths()
