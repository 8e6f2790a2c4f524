"""A real API server with etcd on loopback ports, without a node: definitions, CEL, apply and RBAC as they are.

`control_plane` is one per session; `namespace` gives each test a namespace of its own in it. Nothing is scheduled
here: tests that need a Deployment's status write it themselves (`ControlPlane.set_available`), or start the
controller manager with `controllers`, which brings ReplicaSets but no kubelet. The binaries come from
`looma_cluster`, or from the one binary that LOOMA_CLUSTER_BINARY names.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import itertools
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .audit import write_policy

Object = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60  # A cold 2-core machine that builds something else beside.
_namespaces = itertools.count(1)


def binary(name: str, folder: Path) -> Path:
    """Path of etcd, kube-apiserver, kubectl or another that the one Go binary can be."""
    given = os.environ.get("LOOMA_CLUSTER_BINARY")
    if not given:
        from looma_cluster import binaries

        return Path(binaries.path(name))
    link = folder / name
    if not link.exists():
        link.symlink_to(given)
    return link


@dataclass
class Pki:
    """A certificate authority and what it signed, as PEM files in `folder`."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(init=False)
    name: x509.Name = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        ca = self._builder(self.name, self.key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self._write("ca", self.key, ca.sign(self.key, hashes.SHA256()))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=2))
        )

    def _write(self, stem: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        (self.folder / f"{stem}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (self.folder / f"{stem}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            )
        )

    def issue(self, stem: str, user: str, *groups: str) -> None:
        """A certificate for `user`, good as a client's and as a server's on loopback."""
        key = ec.generate_private_key(ec.SECP256R1())
        parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        )
        signed = (
            self._builder(subject, key).add_extension(names, critical=False).sign(self.key, hashes.SHA256())
        )
        self._write(stem, key, signed)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class ControlPlane:
    """A running API server; `kubeconfig` is the administrator's."""

    folder: Path
    port: int
    pki: Pki
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.folder / "admin.kubeconfig"

    @property
    def audit(self) -> Path:
        """The API server's record of the requests of everybody but administrators (`support.audit` reads it)."""
        return self.folder / "audit.log"

    @property
    def server(self) -> str:
        """Address of the API server."""
        return f"https://127.0.0.1:{self.port}"

    def kubeconfig_for(self, user: str, *groups: str, namespace: str = "default") -> Path:
        """A kubeconfig with a client certificate for `user` in `groups`."""
        stem = user.replace(":", "-")
        self.pki.issue(stem, user, *groups)
        path = self.folder / f"{stem}.kubeconfig"
        client = {
            "client-certificate": str(self.pki.folder / f"{stem}.crt"),
            "client-key": str(self.pki.folder / f"{stem}.key"),
        }
        authority = str(self.pki.folder / "ca.crt")
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.server, "certificate-authority": authority}}
            ],
            "users": [{"name": "test", "user": client}],
            "contexts": [
                {"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}
            ],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def run(self, name: str, *arguments: str) -> None:
        """Start one of the control plane's processes, its output in NAME.log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes[name] = subprocess.Popen(
                [str(binary(name, self.folder)), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )

    def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json"
    ) -> tuple[int, Object]:
        """Status code and JSON body of a request as the administrator."""
        context = ssl.create_default_context(cafile=str(self.pki.folder / "ca.crt"))
        context.load_cert_chain(self.pki.folder / "admin.crt", self.pki.folder / "admin.key")
        request = urllib.request.Request(
            self.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type},
        )
        try:
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text.startswith(b"{") else {"text": text.decode()}
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text.startswith(b"{") else {"text": text.decode()}

    def apply(
        self, path: str, body: Object, *, manager: str = "test", force: bool = True
    ) -> tuple[int, Object]:
        """Server-side apply of one object."""
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        return self.request("PATCH", path + query, body, content_type="application/apply-patch+yaml")

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Output of kubectl as the administrator."""
        done = subprocess.run(
            [str(binary("kubectl", self.folder)), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def set_available(
        self, namespace: str, deployment: str, replicas: int, *, ready: int | None = None
    ) -> None:
        """Write a Deployment's status as the controller manager would for `replicas` available pods."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}"
        _, current = self.request("GET", path)
        status = {
            "observedGeneration": current["metadata"]["generation"],
            "replicas": max(replicas, current["spec"]["replicas"]),
            "updatedReplicas": max(replicas, current["spec"]["replicas"]),
            "readyReplicas": replicas if ready is None else ready,
            "availableReplicas": replicas,
        }
        code, answer = self.request(
            "PATCH", path + "/status", {"status": status}, content_type="application/merge-patch+json"
        )
        assert code == 200, answer

    def stop(self) -> None:
        """Stop in the order in which nothing waits for something that is gone."""
        for name in ("kube-controller-manager", "kube-apiserver", "etcd"):
            process = self.processes.pop(name, None)
            if process is None:
                continue
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(plane: ControlPlane) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for name, process in plane.processes.items():
            if process.poll() is not None:
                tail = (plane.folder / f"{name}.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{tail}")
        with contextlib.suppress(OSError):
            if plane.request("GET", "/readyz")[0] == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the API server was not ready within {START_SECONDS} s; see {plane.folder}")


def start(folder: Path) -> ControlPlane:
    """Start etcd and an API server with their state in `folder`.

    Raises:
        RuntimeError: if one of them ends or is not ready in time; its log is in the message.
    """
    pki = Pki(folder / "pki")
    pki.issue("apiserver", "kube-apiserver")
    pki.issue("accounts", "accounts")
    etcd, peer, port = free_port(), free_port(), free_port()
    plane = ControlPlane(folder=folder, port=port, pki=pki)
    plane.kubeconfig_for("admin", "system:masters")
    plane.run(
        "etcd",
        f"--data-dir={folder / 'state'}",
        f"--listen-client-urls=http://127.0.0.1:{etcd}",
        f"--advertise-client-urls=http://127.0.0.1:{etcd}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    plane.run(
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--client-ca-file={pki.folder / 'ca.crt'}",
        f"--tls-cert-file={pki.folder / 'apiserver.crt'}",
        f"--tls-private-key-file={pki.folder / 'apiserver.key'}",
        f"--service-account-key-file={pki.folder / 'accounts.crt'}",
        f"--service-account-signing-key-file={pki.folder / 'accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.97.0.0/16",
        "--advertise-address=127.0.0.1",
        "--authorization-mode=RBAC",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--endpoint-reconciler-type=none",
        # Pods are not made here; the token of an account that nobody signs would only be missed.
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={write_policy(folder / 'audit.yaml')}",
        f"--audit-log-path={plane.audit}",
        # In MB. A log that is begun anew in the middle cannot be read on from where it was.
        "--audit-log-maxsize=10000",
    )
    try:
        _wait_ready(plane)
    except BaseException:
        plane.stop()
        raise
    return plane


def loomas_definitions() -> list[Object]:
    """Looma's own definitions, from crds/."""
    return [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]


def gateway_api_definitions() -> list[Object]:
    """The Gateway API's, as `looma up` applies them."""
    from looma_cluster import gateway_api, paths

    return gateway_api.definitions(paths.cache())


def define(plane: ControlPlane, definitions: Iterable[Object]) -> None:
    """Apply definitions and wait until they are served."""
    from looma_cluster.gateway_api import established

    for document in definitions:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{document['metadata']['name']}"
        code, answer = plane.apply(path, document)
        assert code in (200, 201), answer.get("message", answer)
        deadline = time.monotonic() + 30
        while not established(plane.request("GET", path)[1]):
            assert time.monotonic() < deadline, f"{path} is not served"
            time.sleep(0.05)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane with Looma's definitions and the Gateway API's applied."""
    plane = start(tmp_path_factory.mktemp("control-plane"))
    try:
        define(plane, [*loomas_definitions(), *gateway_api_definitions()])
        yield plane
    finally:
        plane.stop()


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{next(_namespaces)}"
    code, answer = control_plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert code == 201, answer
    yield name
    control_plane.request("DELETE", f"/api/v1/namespaces/{name}")
