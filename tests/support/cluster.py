"""The running test instance, as the tests see it.

`tests/on-cluster` brings an instance up and names it in LOOMA_TEST_INSTANCE; the `cluster` fixture asks
`looma status` where it is. Tests act as users do: with kubectl, over HTTP at the one address, in a browser.
Waiting is done by watching (`kubectl wait`, `Cluster.watch`), never by sleeping.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


class ExpectationError(AssertionError):
    """What was waited for did not happen; says so in the scenario's words, with the object as last seen."""


def settled(service: Object) -> bool:
    """Ready, for the spec as it is now."""
    status = service.get("status", {})
    ready = {c["type"]: c["status"] for c in status.get("conditions", [])}.get("Ready")
    return status.get("observedGeneration") == service["metadata"]["generation"] and ready == "True"


def settled_on(revision: str) -> Callable[[Object], bool]:
    """Holds when the service is settled on `revision`."""

    def holds(service: Object) -> bool:
        return settled(service) and service["status"].get("stableRevision") == revision

    return holds


ASKED_ANEW_SECONDS = 20
"""After which a watch is begun again, with what there is: one that hears nothing more would hold a test to its end."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running instance of Looma.

    address is the one URL of the console and the API, https_address the same with TLS, empty without a port for it;
    namespace is where Looma runs.
    """

    name: str
    address: str
    kubeconfig: Path
    kubectl_path: Path
    namespace: str = "looma"
    https_address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str, stdin: str | None = None, check: bool = True, timeout: float = 120) -> str:
        """Output of a command that knows this cluster's kubeconfig; its error output is in the failure."""
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig), **self.environment},
            cwd=ROOT,
        )
        if check and done.returncode != 0:
            raise ExpectationError(
                f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done.stdout if check else done.stdout + done.stderr

    def kubectl(self, *arguments: str, **options: Any) -> str:
        """Output of kubectl in Looma's namespace."""
        return self.run(str(self.kubectl_path), "-n", self.namespace, *arguments, **options)

    def looma(self, *arguments: str, **options: Any) -> str:
        """Output of `looma ... --name THIS`."""
        return self.run(str(BIN / "looma"), *arguments, "--name", self.name, **options)

    def kubectl_looma(self, *arguments: str, **options: Any) -> str:
        """Output of the kubectl plugin, as `kubectl looma` runs it."""
        return self.run(str(BIN / "kubectl-looma"), *arguments, "-n", self.namespace, **options)

    def get(self, kind: str, name: str) -> Object:
        """The object as it is now."""
        answer: Object = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return answer

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """Objects of a kind, by label selector."""
        options = ["-l", selector] if selector else []
        items: list[Object] = json.loads(self.kubectl("get", kind, *options, "-o", "json"))["items"]
        return items

    def apply(self, manifest: Object | str) -> str:
        """`kubectl apply` of one object, as a person does it."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", "-f", "-", stdin=text)

    def watch(
        self, kind: str, name: str, until: Callable[[Object], bool], *, sentence: str, seconds: float = 120
    ) -> Object:
        """The first state of the object for which `until` holds, read from a watch.

        Raises:
            ExpectationError: with `sentence` and the object as last seen, when `seconds` have passed.
        """
        deadline = time.monotonic() + seconds
        last: Object = {}
        while (left := deadline - time.monotonic()) > 0:
            # kubectl ends the watch itself, so a silent object cannot hold the test.
            process = subprocess.Popen(
                [
                    *(str(self.kubectl_path), "-n", self.namespace, "get", kind, name, "-o", "json"),
                    *("--watch", f"--request-timeout={max(1, int(min(left, ASKED_ANEW_SECONDS)))}s"),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            )
            try:
                assert process.stdout is not None
                for document in _documents(process.stdout):
                    last = document
                    if until(document):
                        return document
            finally:
                process.terminate()
                process.wait()
            # The watch ended at once (no such object yet, or the API server restarts): ask again, gently.
            time.sleep(0.2)
        raise ExpectationError(
            f"{sentence}: not within {seconds:g} s. {kind}/{name} as last seen:\n{json.dumps(last, indent=1)}"
        )

    def token(self, *, role: str = "recruiter", tenant: str = "demo") -> str:
        """A bearer token of the development issuer."""
        return self.looma("token", "--role", role, "--tenant", tenant).strip()

    def api(self, *, role: str = "recruiter", tenant: str = "demo") -> httpx.Client:
        """A client for the API at the one address, signed in as `role`."""
        headers = {"Authorization": f"Bearer {self.token(role=role, tenant=tenant)}"}
        return httpx.Client(base_url=self.address, headers=headers, timeout=60)

    @contextlib.contextmanager
    def forward(self, target: str, port: int) -> Iterator[str]:
        """The address at which `kubectl port-forward` leads to that port of a pod or Service, as `pod/NAME`."""
        command = [str(self.kubectl_path), "-n", self.namespace, "port-forward", target, f":{port}"]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+) ->", said)
            assert found is not None, f"{' '.join(command)}: {said}"
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def secret(self, name: str, key: str) -> str:
        """A value of a Secret, decoded."""
        import base64

        return base64.b64decode(self.get("secret", name)["data"][key]).decode()

    def troubled_requests(self) -> Iterator[str]:
        """Lines of the gateway's log of the last minutes: requests that failed, took over five seconds or were left."""
        gateways = ("-l", "app.kubernetes.io/instance=gateway", "-c", "engine", "--prefix")
        for line in self.kubectl("logs", *gateways, "--since=5m", "--tail=-1", check=False).splitlines():
            try:
                request = json.loads(line[line.index("{") :])
                if request["status"] >= 500 or request["total_ms"] > 5000 or request["end"] != "--":
                    yield line
            except (ValueError, KeyError):
                if "[ALERT]" in line or "Former worker" in line:
                    yield line

    @property
    def admin_password(self) -> str:
        """The first password of the account `admin`, as `looma up` printed it."""
        return self.secret("looma-console", "admin-password")


def _documents(stream: Iterator[str]) -> Iterator[Object]:
    """JSON objects written one after the other, each pretty-printed, as `kubectl --watch -o json` does."""
    text = ""
    for line in stream:
        text += line
        if line.rstrip() == "}":
            yield json.loads(text)
            text = ""


def instance(name: str) -> Cluster:
    """The running instance of that name.

    Raises:
        ExpectationError: if it is not running.
    """
    done = subprocess.run(
        [str(BIN / "looma"), "status", "--name", name, "--output", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip().startswith("{"):
        raise ExpectationError(f"no instance named {name} runs: {done.stdout}{done.stderr}")
    status = json.loads(done.stdout)
    from looma_cluster import binaries

    kubeconfig = subprocess.run(
        [str(BIN / "looma"), "kubeconfig", "--name", name], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Cluster(
        name=name,
        address=status["address"].rstrip("/"),
        kubeconfig=Path(kubeconfig),
        kubectl_path=binaries.path("kubectl"),
        https_address=status.get("https_address") or "",
    )


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The test instance that `tests/on-cluster` brought up."""
    name = os.environ.get("LOOMA_TEST_INSTANCE")
    if not name:
        pytest.fail(
            "needs a running instance: `make cluster-tests`, or LOOMA_TEST_INSTANCE=NAME of one that runs"
        )
    return instance(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With a failure tell what the gateway had trouble with: a machine that runs tests may be gone afterwards."""
    report: pytest.TestReport = yield
    cluster = getattr(item, "funcargs", {}).get("cluster")
    if report.failed and isinstance(cluster, Cluster):
        troubled = list(cluster.troubled_requests())[-40:]
        report.sections.append(("requests that the gateway had trouble with", "\n".join(troubled)))
    return report
