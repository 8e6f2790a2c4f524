"""A user's pod template laid over the one that Looma renders, as a strategic merge does it.

Maps are merged; lists of named things are merged by their key; every other value replaces. Labels and annotations of
Looma win, since selectors and history depend on them.
"""

from __future__ import annotations

from typing import Any

from ..resources import Json

# Keys of a PodSpec's lists, as the Kubernetes API declares its patch merge keys.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "topologySpreadConstraints": "topologyKey",
    "hostAliases": "ip",
}
# A probe or a volume has one kind of action or source: a user's must take the place of ours.
_UNIONS = {
    "startupProbe": {"httpGet", "exec", "tcpSocket", "grpc"},
    "readinessProbe": {"httpGet", "exec", "tcpSocket", "grpc"},
    "livenessProbe": {"httpGet", "exec", "tcpSocket", "grpc"},
    "preStop": {"sleep", "exec", "httpGet"},
}


def merge(base: Any, over: Any, field: str = "") -> Any:  # noqa: ANN401 - any JSON
    """`over` laid over `base`; neither is changed, and the result shares with both what it leaves as it was."""
    if isinstance(base, dict) and isinstance(over, dict):
        kept = base
        union = _UNIONS.get(field)
        if union and union & over.keys():
            kept = {key: value for key, value in base.items() if key not in union}
        laid = {key: merge(kept[key], value, key) if key in kept else value for key, value in over.items()}
        return {**kept, **laid}
    if isinstance(base, list) and isinstance(over, list) and field in _KEYS:
        return _merge_list(base, over, _KEYS[field])
    return over


def _merge_list(base: list[Any], over: list[Any], key: str) -> list[Any]:
    result = [*base]
    for item in over:
        position = next(
            (
                index
                for index, mine in enumerate(result)
                if isinstance(item, dict) and isinstance(mine, dict) and mine.get(key) == item.get(key)
            ),
            None,
        )
        if position is None:
            result.append(item)
        else:
            result[position] = merge(result[position], item)
    return result


def lay_over(template: Json, user: Json) -> Json:
    """The pod template with the user's parts, Looma's own labels and annotations kept."""
    merged: Json = merge(template, user)
    for part in ("labels", "annotations"):
        own = template.get("metadata", {}).get(part, {})
        theirs = user.get("metadata", {}).get(part, {})
        if own or theirs:
            merged["metadata"] = {**merged.get("metadata", {}), part: {**theirs, **own}}
    return merged
