"""What the operator takes from its environment; docs/operations.md lists each variable (a test compares)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True)
class Options:
    """How one replica of the operator runs.

    namespaces are those it serves; namespace is its own, where the Lease is; certificates is the folder with tls.crt
    and tls.key of the webhook, None for none; a port of 0 is one that is free. HTTPRoutes name the Gateway
    `gateway_name` in `gateway_namespace` as their parent. SyncJobs without an image of their own run `sync_image`. New
    revisions fetch their models with `model_fetch_image`, and without TLS from `plain_http_registry` (HOST:PORT).
    Analyses ask the Prometheus at `prometheus_url`, empty for none. `notifications` is the folder with who is told of
    what, None for nobody.
    """

    namespaces: tuple[str, ...]
    namespace: str
    identity: str
    certificates: Path | None
    webhook_port: int
    http_port: int
    host: str
    gateway_name: str
    gateway_namespace: str
    sync_image: str
    model_fetch_image: str
    plain_http_registry: str
    prometheus_url: str
    notifications: Path | None
    log_level: str


def read_options(environment: Mapping[str, str]) -> Options:
    """Options from environment variables.

    Raises:
        ValueError: if one has a value that cannot be used, named in the message.
    """
    namespace = environment.get("POD_NAMESPACE", "looma")
    listed = environment.get("LOOMA_NAMESPACES", namespace)
    namespaces = tuple(name.strip() for name in listed.split(",") if name.strip())
    if not namespaces:
        raise ValueError("LOOMA_NAMESPACES: write the namespaces to serve, separated by commas")
    folder = environment.get("LOOMA_WEBHOOK_CERT_DIR", "")
    notifications = environment.get("LOOMA_NOTIFICATIONS_DIR", "")
    return Options(
        namespaces=namespaces,
        namespace=namespace,
        identity=environment.get("POD_NAME") or socket.gethostname(),
        certificates=Path(folder) if folder else None,
        webhook_port=_port(environment, "LOOMA_WEBHOOK_PORT", 8443),
        http_port=_port(environment, "LOOMA_PORT", 8080),
        host=environment.get("LOOMA_HOST", "0.0.0.0"),  # noqa: S104 - a pod's own address
        gateway_name=environment.get("LOOMA_GATEWAY_NAME") or "looma",
        gateway_namespace=environment.get("LOOMA_GATEWAY_NAMESPACE") or namespace,
        sync_image=environment.get("LOOMA_SYNC_IMAGE", ""),
        model_fetch_image=environment.get("LOOMA_MODEL_FETCH_IMAGE", ""),
        plain_http_registry=environment.get("LOOMA_PLAIN_HTTP_REGISTRY", ""),
        prometheus_url=_address(environment, "LOOMA_PROMETHEUS_URL"),
        notifications=Path(notifications) if notifications else None,
        log_level=environment.get("LOOMA_LOG_LEVEL", "info"),
    )


def _address(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "").strip()
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.netloc):
        raise ValueError(f"{name}: write an address as http://prometheus:9090, not {text!r}")
    return text


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isdigit() or int(text) > 65535:
        raise ValueError(f"{name}: write a port from 0 to 65535, not {text!r}")
    return int(text)
