"""What console and CLI must know of an AIService to go back to an earlier revision, or to ask for an action.

A revision's content is what its ControllerRevision `NAME-rN` holds in `data`: engine, image, resources, config,
models and podTemplate, each left out where empty. Replicas, route and the rollout's own settings are no part of
it, so going back leaves them as they are now.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

GROUP: Final = "looma.dev"
VERSION: Final = "v1alpha1"
PLURAL: Final = "aiservices"
CHANGE_REASON: Final = f"{GROUP}/change-reason"
CHANGED_BY: Final = f"{GROUP}/changed-by"
REQUEST: Final = f"{GROUP}/request"
"""Asks for an action once: a JSON object {id, action, reason}."""

CONTENT_FIELDS: Final = ("image", "resources", "config", "podTemplate")
"""Parts of a revision's content that have the same name in `spec`; `models` there is `modelRefs` here.

The engine is part of it too, but never changes.
"""


def controller_revision_name(service: str, revision: str) -> str:
    """Name of the ControllerRevision that keeps a revision: `resume-r3`."""
    return f"{service}-{revision}"


def spec_with_content(*, spec: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    """`spec` as it must be for the revision with that content to be asked for again.

    | part of the content   | in spec                                                     |
    | --------------------- | ----------------------------------------------------------- |
    | a field, given        | set                                                         |
    | a field, left out     | taken away: the revision had none                           |
    | models                | modelRefs, by name                                          |
    | anything else of spec | stays: replicas, route, rollout are no part of a revision   |
    """
    new = {name: value for name, value in spec.items() if name not in {*CONTENT_FIELDS, "modelRefs"}}
    new |= {name: content[name] for name in CONTENT_FIELDS if name in content}
    if models := content.get("models"):
        new["modelRefs"] = [{"name": model["name"]} for model in models]
    return new


ROLLBACK_TRIES: Final = 10
"""How often a rollback is sent again that met a change of the status alone: gateways write there every few seconds."""


def asks_the_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether nobody changed what the service asks for between two readings of it.

    | changed                  | answer |
    | ------------------------ | ------ |
    | nothing, or status alone | True   |
    | spec or annotations      | False  |
    | it is another object     | False  |
    """

    def asked(service: Mapping[str, Any]) -> tuple[Any, ...]:
        metadata = service["metadata"]
        return metadata.get("uid"), metadata.get("annotations") or {}, service["spec"]

    return asked(before) == asked(now)


def rollback_patch(
    *, service: Mapping[str, Any], content: Mapping[str, Any], reason: str
) -> list[dict[str, Any]]:
    """JSON patch (RFC 6902) that writes an earlier revision's content back into `service`, with the reason.

    It carries the resource version, so that the API server answers 409 instead of overwriting a change that its
    author had not seen. (A `test` of it would be answered 422, as anything else that is wrong.)
    """
    metadata = service["metadata"]
    annotations = {**(metadata.get("annotations") or {}), CHANGE_REASON: reason}
    if not reason:
        # The reason of an earlier change is not this one's.
        del annotations[CHANGE_REASON]
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations", "value": annotations},
        {"op": "replace", "path": "/spec", "value": spec_with_content(spec=service["spec"], content=content)},
    ]


def roll_back(
    service: Mapping[str, Any],
    *,
    content: Mapping[str, Any],
    reason: str,
    send: Callable[[list[dict[str, Any]]], object],
    read: Callable[[], Mapping[str, Any]],
    is_conflict: Callable[[Exception], bool],
) -> None:
    """Send the patch of a rollback for `service`, and send it again where nothing but its status changed meanwhile.

    `send` sends a JSON patch, `read` reads the service anew, `is_conflict` knows the error of `send` that says 409.

    Raises:
        Exception: whatever `send` or `read` raises: that of a conflict where somebody changed what the service asks
            for, or at the last of ROLLBACK_TRIES.
    """
    for left in reversed(range(ROLLBACK_TRIES)):
        try:
            send(rollback_patch(service=service, content=content, reason=reason))
        except Exception as error:
            if not is_conflict(error) or not left:
                raise
            now = read()
            if not asks_the_same(service, now):
                raise
            service = now
        else:
            return


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def annotation_patch(*, metadata: dict[str, Any], values: Mapping[str, str]) -> list[dict[str, Any]]:
    """JSON patch that sets annotations, or removes those with an empty value."""
    present: Mapping[str, str] | None = metadata.get("annotations")
    patch: list[dict[str, Any]] = []
    if present is None and any(values.values()):
        patch.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    for name, value in values.items():
        path = f"/metadata/annotations/{_pointer(name)}"
        if value:
            patch.append({"op": "add", "path": path, "value": value})
        elif name in (present or {}):
            patch.append({"op": "remove", "path": path})
    return patch


def request_patch(
    service: Mapping[str, Any], *, action: str, reason: str
) -> tuple[str, list[dict[str, Any]]]:
    """The id of a new request for `service` and the JSON patch that asks for it; `status.requests` has its outcome."""
    made = secrets.token_hex(8)
    request = {"id": made, "action": action, **({"reason": reason} if reason else {})}
    return made, annotation_patch(metadata=service["metadata"], values={REQUEST: json.dumps(request)})
