"""The files that the components read: rendered by pure functions, written by `write`.

Secrets are encrypted in etcd with a key that is made once per instance; pods that carry no opinion of their own get
the audit and warn labels of Pod Security, and Looma's namespace enforces `restricted` by its chart.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from looma_cluster import certificates
from looma_cluster.builtin import cgroups, facts
from looma_cluster.builtin.network import Link
from looma_cluster.paths import Instance

CLIENTS = ("kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy", "looma-provisioner")


def containerd(*, config: Path, pause: str) -> str:
    """Containerd's configuration; `pause` is the full name of the image of a pod's first process."""
    return f"""\
version = 2
root = "{facts.CONTAINERD_ROOT}"
state = "/run/containerd/state"
disabled_plugins = ["io.containerd.internal.v1.restart"]

[grpc]
  address = "{facts.CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{facts.CONTAINERD_ROOT}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Machines without CAP_SYS_RESOURCE may not lower a process's score; runc would fail without saying why.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{config}/cni"
"""


def pod_network() -> dict[str, Any]:
    """The pods' network: a wire per pod and routes, no bridge, so that all traffic passes the node's own rules.

    A bridge would need br_netfilter for two pods that speak through a service.
    """
    return {
        "cniVersion": "0.4.0",
        "name": "looma",
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": True,
                "ipam": {
                    "type": "host-local",
                    # In memory: after a crash no pod is left, and neither are their leases.
                    "dataDir": "/run/cni",
                    "ranges": [[{"subnet": facts.POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(*, pki: Path, config: Path, cgroup: str) -> dict[str, Any]:
    """KubeletConfiguration."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "kubelet-server.crt"),
        "tlsPrivateKeyFile": str(pki / "kubelet-server.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{facts.CONTAINERD_SOCKET}",
        "clusterDNS": [facts.DNS_ADDRESS],
        "clusterDomain": facts.CLUSTER_DOMAIN,
        "resolvConf": str(config / "resolv.conf"),
        "podLogsDir": facts.POD_LOGS,
        "volumePluginDir": f"{facts.KUBELET_ROOT}/volume-plugins",
        "maxPods": facts.MAX_PODS,
        # Images come from the build, not from a registry: what is collected could not be pulled again.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "1%",
        },
        "containerLogMaxSize": "20Mi",
        "containerLogMaxFiles": 3,
        "serializeImagePulls": False,
        "enforceNodeAllocatable": ["pods"],
        # How soon a changed ConfigMap or Secret shows in a pod, and how soon a node that was away is back.
        "syncFrequency": "20s",
        "nodeStatusUpdateFrequency": "5s",
    }


def encryption(key: bytes) -> dict[str, Any]:
    """EncryptionConfiguration: Secrets by secretbox with a 32-byte key; what was written plain can still be read."""
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [
                    {"secretbox": {"keys": [{"name": "first", "secret": base64.b64encode(key).decode()}]}},
                    {"identity": {}},
                ],
            }
        ],
    }


def admission() -> dict[str, Any]:
    """AdmissionConfiguration: namespaces that say nothing are warned at the level that Looma itself keeps."""
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AdmissionConfiguration",
        "plugins": [
            {
                "name": "PodSecurity",
                "configuration": {
                    "apiVersion": "pod-security.admission.config.k8s.io/v1",
                    "kind": "PodSecurityConfiguration",
                    "defaults": {
                        "enforce": "baseline",
                        "enforce-version": "latest",
                        "warn": "restricted",
                        "warn-version": "latest",
                        "audit": "restricted",
                        "audit-version": "latest",
                    },
                    "exemptions": {"usernames": [], "runtimeClasses": [], "namespaces": ["kube-system"]},
                },
            }
        ],
    }


def name_servers(*sources: str) -> list[str]:
    """The name servers in resolv.conf texts that a pod could reach too: the first text that has any decides."""
    for text in sources:
        found = [
            words[1]
            for line in text.splitlines()
            if len(words := line.split()) > 1 and words[0] == "nameserver"
        ]
        reachable = [server for server in found if not server.startswith("127.") and server != "::1"]
        if reachable:
            return reachable[:3]
    return []


def host_name_servers() -> list[str]:
    """The machine's name servers, past systemd-resolved's own address on loopback."""
    sources = ("/run/systemd/resolve/resolv.conf", "/etc/resolv.conf")
    return name_servers(*(Path(source).read_text() for source in sources if Path(source).exists()))


def leaves(link: Link) -> tuple[certificates.Leaf, ...]:
    """The certificates of a node with that wire."""
    return certificates.leaves(
        node=facts.NODE, node_address=link.node, service_address=facts.API_SERVICE_ADDRESS
    )


def files(instance: Instance, *, pause: str) -> dict[str, str]:
    """The files without secrets, by their path within the instance's config folder."""
    config, cgroup = instance.config, cgroups.group(instance.name)
    servers = "".join(f"nameserver {server}\n" for server in host_name_servers())
    return {
        "containerd.toml": containerd(config=config, pause=pause),
        "cni/10-looma.conflist": json.dumps(pod_network(), indent=1),
        "kubelet.yaml": _yaml(kubelet(pki=instance.pki, config=config, cgroup=cgroup)),
        "admission.yaml": _yaml(admission()),
        "resolv.conf": servers or "# no name server\n",
    }


def digest(texts: Mapping[str, str]) -> str:
    """Changes when any of the files does."""
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()


def write(instance: Instance, link: Link, *, files: Mapping[str, str], api_port: int) -> None:
    """Write everything that the components read, and the administrator's kubeconfig for `api_port` on loopback."""
    certificates.ensure_pki(instance.pki, leaves(link))
    config = instance.config
    for folder in (config / "cni", instance.logs, instance.volumes):
        folder.mkdir(parents=True, exist_ok=True)
    config.chmod(0o700)
    for name, text in files.items():
        (config / name).write_text(text)
    for client in CLIENTS:
        text = certificates.kubeconfig(
            instance.pki, client=client, server=f"https://127.0.0.1:{facts.API_PORT}"
        )
        certificates.write_private(config / f"{client}.kubeconfig", text)
    write_encryption(config / "encryption.yaml")
    text = certificates.kubeconfig(instance.pki, client="admin", server=f"https://127.0.0.1:{api_port}")
    certificates.write_private(instance.kubeconfig, text)


def write_encryption(path: Path) -> None:
    """Make the key that encrypts Secrets, once: a new one could not read what the old one wrote."""
    if not path.exists():
        certificates.write_private(path, yaml.safe_dump(encryption(os.urandom(32)), sort_keys=False))


def _yaml(document: dict[str, Any]) -> str:
    return yaml.safe_dump(document, sort_keys=False)
