"""What runs in kube-system: DNS for pods, metrics for `kubectl top` and autoscaling, and the rights of our parts.

`objects` is a pure function; `cluster` applies its answer.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from looma_cluster.builtin import facts

Object = dict[str, Any]
NAMESPACE = "kube-system"

_RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def objects(*, coredns: str, metrics_server: str, name_servers: list[str], serving: Object) -> list[Object]:
    """All objects of the additions.

    Args:
        coredns: the image of CoreDNS, by full name.
        metrics_server: the image of metrics-server.
        name_servers: where names outside of the cluster are asked for; without any they are refused.
        serving: metrics-server's certificate: {"tls.crt", "tls.key", "ca.crt"}, each in base64.
    """
    return [
        *rights(),
        _storage_class(),
        *_dns(coredns, name_servers),
        *_metrics(metrics_server, serving),
    ]


def digest(objects: list[Object]) -> str:
    """Changes when any of the objects does."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()


def corefile(name_servers: list[str]) -> str:
    """CoreDNS's configuration."""
    forward = f"    forward . {' '.join(name_servers)}\n" if name_servers else ""
    return f""".:5353 {{
    errors
    health :8080 {{
        lameduck 2s
    }}
    ready :8181
    cache 5
    kubernetes {facts.CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
{forward}}}
"""


def _meta(name: str, *, namespace: str | None = NAMESPACE) -> Object:
    labels = {"app.kubernetes.io/name": name.replace(":", "-"), "app.kubernetes.io/part-of": "looma-cluster"}
    return {"name": name, "labels": labels} | ({"namespace": namespace} if namespace else {})


def _cluster_role(name: str, rules: list[Object], *, account: str) -> list[Object]:
    subject = {"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": _meta(name, namespace=None),
            "rules": rules,
        },
        _binding(name, role=name, subject=subject),
    ]


def _binding(name: str, *, role: str, subject: Object) -> Object:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": _meta(name, namespace=None),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }


def _user(name: str) -> Object:
    return {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def rights() -> list[Object]:
    """What the API server may do at the kubelet (logs, exec, port-forward), and the provisioner in the cluster."""
    provisioner_rules: list[Object] = [
        {
            "apiGroups": [""],
            "resources": ["persistentvolumes"],
            "verbs": ["get", "list", "watch", "create", "patch", "delete"],
        },
        {
            "apiGroups": [""],
            "resources": ["persistentvolumeclaims"],
            "verbs": ["get", "list", "watch", "update"],
        },
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "update"]},
    ]
    return [
        _binding(
            "looma:kubelet-api",
            role="system:kubelet-api-admin",
            subject=_user("kube-apiserver-kubelet-client"),
        ),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": _meta("looma:provisioner", namespace=None),
            "rules": provisioner_rules,
        },
        _binding("looma:provisioner", role="looma:provisioner", subject=_user("looma:provisioner")),
    ]


def _storage_class() -> Object:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": _meta("looma-local", namespace=None)
        | {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "looma.dev/local",
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _deployment(name: str, container: Object, *, account: str, volumes: list[Object]) -> Object:
    labels = {"app.kubernetes.io/name": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": account,
                    "priorityClassName": "system-cluster-critical",
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": name,
                            "imagePullPolicy": "IfNotPresent",
                            "securityContext": _RESTRICTED,
                            **container,
                        }
                    ],
                    "volumes": volumes,
                },
            },
        },
    }


def _dns(image: str, name_servers: list[str]) -> list[Object]:
    container = {
        "image": image,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 5353, "protocol": "TCP"},
        ],
        "resources": {"requests": {"cpu": "20m", "memory": "70Mi"}, "limits": {"memory": "300Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8181},
            "periodSeconds": 1,
            "failureThreshold": 3,
        },
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    # Discovery v1's EndpointSlices are what the kubernetes plugin reads; legacy Endpoints it does not.
    rules: list[Object] = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp"},
    ]
    volumes = [{"name": "config", "configMap": {"name": "coredns"}}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("coredns")},
        *_cluster_role("looma:coredns", rules, account="coredns"),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _meta("coredns"),
            "data": {"Corefile": corefile(name_servers)},
        },
        _deployment("coredns", container, account="coredns", volumes=volumes),
        {
            "apiVersion": "v1",
            "kind": "Service",
            # Tools and conformance tests look for DNS by this name.
            "metadata": _meta("kube-dns"),
            "spec": {
                "clusterIP": facts.DNS_ADDRESS,
                "selector": {"app.kubernetes.io/name": "coredns"},
                "ports": ports,
            },
        },
    ]


def _metrics(image: str, serving: Object) -> list[Object]:
    container = {
        "image": image,
        "args": [
            "--secure-port=10250",
            "--tls-cert-file=/serving/tls.crt",
            "--tls-private-key-file=/serving/tls.key",
            "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
            "--kubelet-preferred-address-types=InternalIP",
            "--kubelet-use-node-status-port",
            # The least that metrics-server allows: an autoscaler on one machine should not be slow for no reason.
            "--metric-resolution=10s",
            "--kubelet-request-timeout=5s",
        ],
        "ports": [{"name": "https", "containerPort": 10250}],
        "resources": {"requests": {"cpu": "20m", "memory": "60Mi"}, "limits": {"memory": "300Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
            "periodSeconds": 3,
            "failureThreshold": 5,
        },
        "livenessProbe": {"httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"}},
        "volumeMounts": [{"name": "serving", "mountPath": "/serving", "readOnly": True}],
    }
    account = {"kind": "ServiceAccount", "name": "metrics-server", "namespace": NAMESPACE}
    rules: list[Object] = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
    ]
    reader: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": _meta("looma:metrics-reader", namespace=None),
        "rules": [
            {
                "apiGroups": ["metrics.k8s.io"],
                "resources": ["pods", "nodes"],
                "verbs": ["get", "list", "watch"],
            }
        ],
    }
    # So that who may view pods may also see what they use, as kubectl's users expect.
    reader["metadata"]["labels"] |= {
        f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("metrics-server")},
        *_cluster_role("looma:metrics-server", rules, account="metrics-server"),
        _binding("looma:metrics-server-delegator", role="system:auth-delegator", subject=account),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": _meta("looma:metrics-server-reader"),
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "extension-apiserver-authentication-reader",
            },
            "subjects": [account],
        },
        reader,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": _meta("metrics-server"),
            "type": "kubernetes.io/tls",
            "data": {name: serving[name] for name in ("tls.crt", "tls.key")},
        },
        _deployment(
            "metrics-server",
            container,
            account="metrics-server",
            volumes=[{"name": "serving", "secret": {"secretName": "metrics-server", "defaultMode": 0o444}}],
        ),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta("metrics-server"),
            "spec": {
                "selector": {"app.kubernetes.io/name": "metrics-server"},
                "ports": [{"name": "https", "port": 443, "targetPort": "https"}],
            },
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": _meta("v1beta1.metrics.k8s.io", namespace=None),
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "caBundle": serving["ca.crt"],
                "service": {"name": "metrics-server", "namespace": NAMESPACE},
            },
        },
    ]
