"""One OpenAPI document from those of all engines.

Each engine is asked for its own `/openapi.json`; one that does not answer is left out and named in
`x-looma-missing`, so that a reader sees the gap instead of wondering.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from typing import Any

from looma_console.api_forward.relay import Relay
from looma_core.problems import ProblemError

Document = dict[str, Any]

MAX_BYTES = 8 * 1024 * 1024
_SECTIONS = ("schemas", "responses", "parameters", "examples", "requestBodies", "headers", "links")


def collect(relay: Relay, services: Iterable[str], *, request_id: str) -> Document:
    """Ask every service that has a route for its document, and merge what came."""
    found: dict[str, Document] = {}
    missing: list[str] = []
    for service in services:
        try:
            found[service] = json.loads(
                relay.fetch(service, "/openapi.json", request_id=request_id, limit=MAX_BYTES)
            )
        except (ProblemError, ValueError):
            missing.append(service)
    return merge(found, missing=missing)


def merge(documents: Mapping[str, Document], *, missing: Iterable[str] = ()) -> Document:
    """One document; pure.

    Only paths under `/api/v1` are taken: health and metrics are not reachable from outside. A component that
    two engines define alike is shared; one that they define differently gets the second service's name in
    front, and its references follow.
    """
    merged: Document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Looma",
            "version": "v1",
            "description": "All engines through the one address. A bearer token is needed everywhere.",
        },
        "servers": [{"url": "/"}],
        "paths": {},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}
        },
        "security": [{"bearer": []}],
        "tags": [],
    }
    for service in sorted(documents):
        _add(merged, service, copy.deepcopy(documents[service]))
    if gaps := sorted(missing):
        merged["x-looma-missing"] = gaps
    return merged


def _add(merged: Document, service: str, document: Document) -> None:
    components = document.get("components") or {}
    renamed: dict[str, str] = {}
    for section in _SECTIONS:
        target = merged["components"].setdefault(section, {})
        for name, value in (components.get(section) or {}).items():
            if name in target and target[name] != value:
                new = f"{service.replace('-', '_')}_{name}"
                renamed[f"#/components/{section}/{name}"] = f"#/components/{section}/{new}"
                target[new] = value
            else:
                target[name] = value
        if not target:
            del merged["components"][section]
    for path, item in (document.get("paths") or {}).items():
        if not path.startswith("/api/v1"):
            continue
        operations = _rewrite(item, renamed) if renamed else item
        for operation in operations.values():
            if isinstance(operation, dict):
                operation["x-looma-service"] = service
                operation.pop("security", None)
        merged["paths"].setdefault(path, {}).update(operations)
    if renamed:
        for section in _SECTIONS:
            for name in (item.rsplit("/", 1)[1] for item in renamed.values() if f"/{section}/" in item):
                target = merged["components"][section]
                target[name] = _rewrite(target[name], renamed)
    known = {tag["name"] for tag in merged["tags"]}
    merged["tags"] += [tag for tag in document.get("tags") or [] if tag["name"] not in known]


def _rewrite(value: Any, renamed: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {
            key: renamed.get(item, item) if key == "$ref" else _rewrite(item, renamed)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_rewrite(item, renamed) for item in value]
    return value
