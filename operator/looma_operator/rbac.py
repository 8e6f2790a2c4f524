"""The rights that the operator and gateways need, as lists that machines read; the chart holds just these (a test
compares).

What the operator cannot do without is namespaced. Kopf's scanning of namespaces and definitions is off; discovery of
the API groups is open to every authenticated account. No wildcard, pods only to be listed (their init containers say
why a model could not be fetched), quotas likewise (whether they leave room), and no Secrets but one with headers for
analyses and a gateway's own certificate. Nodes and all namespaces' pods it lists where it may: whether they leave room.
"""

from __future__ import annotations

from dataclasses import dataclass

from .names import GATEWAY_GROUP, GROUP
from .resources_analysis import ANALYSIS_SECRET, PROBES

LEASE_NAME = "looma-operator"
_WATCH = ("get", "list", "watch")
# Server-side apply is a patch, and a create where the object does not exist yet.
_OWN = (*_WATCH, "create", "patch", "delete")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One PolicyRule; `names` limits it to objects of those names."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, list[str]]:
        """The rule as a Role holds it."""
        rule = {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs)}
        return {**rule, "resourceNames": list(self.names)} if self.names else rule


OPERATOR_RULES = (
    Rule(group=GROUP, resources=("aiservices", "modelversions", "syncjobs"), verbs=_WATCH),
    Rule(
        group=GROUP,
        resources=("aiservices/status", "modelversions/status", "syncjobs/status"),
        verbs=("get", "patch"),
    ),
    Rule(group="apps", resources=("deployments", "controllerrevisions"), verbs=_OWN),
    Rule(group="", resources=("services", "serviceaccounts"), verbs=_OWN),
    Rule(group="", resources=("pods",), verbs=("list",)),
    Rule(group="", resources=("resourcequotas",), verbs=("list",)),
    Rule(group="batch", resources=("jobs", "cronjobs"), verbs=_OWN),
    # For the accounts of sync workers. The API server lets nobody grant a right that he has not himself, and the
    # operator has all that a worker gets.
    Rule(
        group="rbac.authorization.k8s.io",
        resources=("roles", "rolebindings"),
        verbs=(*_WATCH, "create", "patch"),
    ),
    Rule(group="policy", resources=("poddisruptionbudgets",), verbs=_OWN),
    Rule(group="networking.k8s.io", resources=("networkpolicies",), verbs=_OWN),
    Rule(group=GATEWAY_GROUP, resources=("httproutes",), verbs=_OWN),
    Rule(group="events.k8s.io", resources=("events",), verbs=("create",)),
    Rule(group="", resources=("secrets",), verbs=("get",), names=(ANALYSIS_SECRET,)),
    Rule(group="", resources=("configmaps",), verbs=("get",), names=(PROBES,)),
    # A name cannot limit a create: the object's name is not known to the authorizer then.
    Rule(group="coordination.k8s.io", resources=("leases",), verbs=("create",)),
    Rule(group="coordination.k8s.io", resources=("leases",), verbs=("get", "update"), names=(LEASE_NAME,)),
)
"""Role of the operator, in each namespace that it serves (the Lease only in its own)."""

NODES_RULES = (Rule(group="", resources=("nodes", "pods"), verbs=("list",)),)
"""ClusterRole of the operator, which goes on without: then nodes' room is not told before pods are made."""

DEFINITIONS = ("aiservices.looma.dev", "modelversions.looma.dev", "syncjobs.looma.dev")
DEFINITIONS_RULES = (
    Rule(group="apiextensions.k8s.io", resources=("customresourcedefinitions",), verbs=("create",)),
    Rule(
        group="apiextensions.k8s.io",
        resources=("customresourcedefinitions",),
        verbs=("get", "patch"),
        names=DEFINITIONS,
    ),
)
"""ClusterRole of the Job that applies the definitions (`looma-operator definitions apply`), and of nothing else."""

GATEWAY_CERTIFICATE = "looma-gateway-tls"
_STATUS = ("get", "patch", "update")
GATEWAY_RULES = (
    Rule(group=GATEWAY_GROUP, resources=("gateways", "httproutes", "referencegrants"), verbs=_WATCH),
    Rule(group=GATEWAY_GROUP, resources=("gateways/status", "httproutes/status"), verbs=_STATUS),
    Rule(group="", resources=("services",), verbs=_WATCH),
    Rule(group="discovery.k8s.io", resources=("endpointslices",), verbs=_WATCH),
    Rule(group=GROUP, resources=("aiservices",), verbs=_WATCH),
    Rule(group=GROUP, resources=("aiservices/status",), verbs=("get", "patch")),
    # To watch Secrets is to list them all, so the certificate is read by its name, now and then.
    Rule(group="", resources=("secrets",), verbs=("get",), names=(GATEWAY_CERTIFICATE,)),
)
"""Role of a gateway's account, in each namespace whose routes it serves."""

GATEWAY_CLUSTER_RULES = (
    Rule(group=GATEWAY_GROUP, resources=("gatewayclasses",), verbs=_WATCH),
    Rule(group=GATEWAY_GROUP, resources=("gatewayclasses/status",), verbs=_STATUS),
    # Listeners may select the namespaces of their routes by labels.
    Rule(group="", resources=("namespaces",), verbs=_WATCH),
)
"""ClusterRole of a gateway's account: classes and namespaces belong to no namespace."""
