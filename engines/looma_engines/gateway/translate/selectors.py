"""Who may refer to what: label selectors of listeners and ReferenceGrants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from looma_engines.gateway.findings import GROUP
from looma_engines.gateway.objects import Expression, ReferenceGrant, Selector

_NAME_LABEL = "kubernetes.io/metadata.name"


def _holds(expression: Expression, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression.key), expression.values or []
    match expression.operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case _:
            return False


def selects_namespace(selector: Selector | None, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether a selector of namespaces selects this one, by its labels.

    Every namespace carries its name as a label; a gateway that may not read namespaces knows no other (`labels` empty).
    """
    if selector is None:
        return False
    labels = {**labels, _NAME_LABEL: namespace}
    named = selector.match_labels or {}
    return all(labels.get(key) == value for key, value in named.items()) and all(
        _holds(expression, labels) for expression in selector.match_expressions or ()
    )


def is_granted(
    grants: Iterable[ReferenceGrant],
    *,
    kind: str,
    namespace: str,
    to_kind: str,
    to_namespace: str,
    to_name: str,
) -> bool:
    """Whether an object of Gateway API's `kind` may refer to a core object; in its own namespace it always may."""
    if namespace == to_namespace:
        return True
    return any(
        any(
            one.group == GROUP and one.kind == kind and one.namespace == namespace
            for one in grant.spec.from_ or ()
        )
        and any(
            one.group == "" and one.kind == to_kind and one.name in (None, "", to_name)
            for one in grant.spec.to or ()
        )
        for grant in grants
        if grant.metadata.namespace == to_namespace
    )
