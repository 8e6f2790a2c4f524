"""Which processes make the control plane and the node, and with which arguments; nothing here starts any.

`components` is a pure function of the instance's paths and addresses. Order matters: each is started after those
above it, and stopped before them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from looma_cluster.builtin import facts


@dataclass(frozen=True, kw_only=True)
class Component:
    """One process: `name` is its program and its log's name."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the components find things, as the node sees them: programs, state, the node's address, its group."""

    programs: Path
    pki: Path
    config: Path
    etcd: Path
    node_address: str
    cgroup: str


# The order in which they start; `down` goes through it backwards, so that the API server never loses etcd first
# (it lingers for a minute then, and holds its port).
START_ORDER = (
    "containerd",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "looma-provisioner",
    "kube-proxy",
    "kubelet",
)


def components(places: Places) -> dict[str, Component]:
    """All components by name, in the order in which they start."""
    made = {
        "containerd": ("containerd", "--config", str(places.config / "containerd.toml")),
        "etcd": _etcd(places),
        "kube-apiserver": _api_server(places),
        "kube-controller-manager": _controller_manager(places),
        "kube-scheduler": _scheduler(places),
        "looma-provisioner": (
            str(places.programs / "looma-provisioner"),
            str(places.config / "looma-provisioner.kubeconfig"),
            facts.VOLUMES,
            facts.NODE,
        ),
        "kube-proxy": _proxy(places),
        "kubelet": _kubelet(places),
    }
    return {name: Component(name=name, command=made[name]) for name in START_ORDER}


def _etcd(places: Places) -> tuple[str, ...]:
    pki = places.pki
    return (
        str(places.programs / "etcd"),
        f"--name={facts.NODE}",
        f"--data-dir={places.etcd}",
        "--listen-client-urls=https://127.0.0.1:2379",
        "--advertise-client-urls=https://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        f"--cert-file={pki}/etcd-server.crt",
        f"--key-file={pki}/etcd-server.key",
        "--client-cert-auth",
        f"--trusted-ca-file={pki}/etcd-ca.crt",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        # A laptop's disk may take seconds for one fsync; elections of one member over that help nobody.
        "--heartbeat-interval=500",
        "--election-timeout=5000",
    )


def _api_server(places: Places) -> tuple[str, ...]:
    pki = places.pki
    return (
        str(places.programs / "kube-apiserver"),
        "--bind-address=0.0.0.0",
        f"--secure-port={facts.API_PORT}",
        f"--advertise-address={places.node_address}",
        f"--service-cluster-ip-range={facts.SERVICE_RANGE}",
        "--endpoint-reconciler-type=lease",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--admission-control-config-file={places.config}/admission.yaml",
        f"--encryption-provider-config={places.config}/encryption.yaml",
        "--etcd-servers=https://127.0.0.1:2379",
        f"--etcd-cafile={pki}/etcd-ca.crt",
        f"--etcd-certfile={pki}/etcd-client.crt",
        f"--etcd-keyfile={pki}/etcd-client.key",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--tls-min-version=VersionTLS12",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/service-accounts.key",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        "--profiling=false",
        # Long watches must not hold `looma down`.
        "--shutdown-send-retry-after=false",
        "--allow-privileged=true",
    )


def _controller_manager(places: Places) -> tuple[str, ...]:
    return (
        str(places.programs / "kube-controller-manager"),
        f"--kubeconfig={places.config}/kube-controller-manager.kubeconfig",
        f"--authentication-kubeconfig={places.config}/kube-controller-manager.kubeconfig",
        f"--authorization-kubeconfig={places.config}/kube-controller-manager.kubeconfig",
        "--bind-address=127.0.0.1",
        f"--service-account-private-key-file={places.pki}/service-accounts.key",
        f"--root-ca-file={places.pki}/ca.crt",
        f"--cluster-signing-cert-file={places.pki}/ca.crt",
        f"--cluster-signing-key-file={places.pki}/ca.key",
        "--use-service-account-credentials",
        f"--cluster-cidr={facts.POD_RANGE}",
        f"--service-cluster-ip-range={facts.SERVICE_RANGE}",
        # There is one, and a lease would only delay its start after a kill.
        "--leader-elect=false",
        "--profiling=false",
    )


def _scheduler(places: Places) -> tuple[str, ...]:
    return (
        str(places.programs / "kube-scheduler"),
        f"--kubeconfig={places.config}/kube-scheduler.kubeconfig",
        f"--authentication-kubeconfig={places.config}/kube-scheduler.kubeconfig",
        f"--authorization-kubeconfig={places.config}/kube-scheduler.kubeconfig",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    )


def _kubelet(places: Places) -> tuple[str, ...]:
    return (
        str(places.programs / "kubelet"),
        f"--config={places.config}/kubelet.yaml",
        f"--kubeconfig={places.config}/kubelet.kubeconfig",
        f"--hostname-override={facts.NODE}",
        f"--node-ip={places.node_address}",
        f"--root-dir={facts.KUBELET_ROOT}",
        f"--cert-dir={facts.KUBELET_ROOT}/pki",
        f"--kubelet-cgroups={places.cgroup}/node",
        f"--runtime-cgroups={places.cgroup}/node",
    )


def _proxy(places: Places) -> tuple[str, ...]:
    return (
        str(places.programs / "kube-proxy"),
        f"--kubeconfig={places.config}/kube-proxy.kubeconfig",
        f"--hostname-override={facts.NODE}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={facts.POD_RANGE}",
        # A pod that is no longer ready must leave its service at once, not at the next full second.
        "--iptables-min-sync-period=100ms",
        # The connection table's limits belong to the machine, and may not be ours to change.
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
    )
