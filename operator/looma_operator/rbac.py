"""The rights that the operator needs, as a list that machines read; the chart holds just these (a test compares).

Everything is namespaced. Kopf's scanning of namespaces and definitions is off, so nothing is listed cluster-wide;
discovery of the API groups is open to every authenticated account. No wildcard, no Secrets, no pods.
"""

from __future__ import annotations

from dataclasses import dataclass

from .names import GROUP

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
    Rule(group="policy", resources=("poddisruptionbudgets",), verbs=_OWN),
    Rule(group="networking.k8s.io", resources=("networkpolicies",), verbs=_OWN),
    Rule(group="events.k8s.io", resources=("events",), verbs=("create",)),
    # A name cannot limit a create: the object's name is not known to the authorizer then.
    Rule(group="coordination.k8s.io", resources=("leases",), verbs=("create",)),
    Rule(group="coordination.k8s.io", resources=("leases",), verbs=("get", "update"), names=(LEASE_NAME,)),
)
"""Role of the operator, in each namespace that it serves (the Lease only in its own)."""

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
