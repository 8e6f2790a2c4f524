"""What the thin clients over `kubernetes.aio` share: where the API server is, and what its errors say.

The clients themselves differ: the operator's passes a fence before each write, the gateway's hands on bytes.
"""

from __future__ import annotations

import json
from typing import Final

from kubernetes.aio import config as kube_config
from kubernetes.aio.client.configuration import Configuration

REQUEST_SECONDS: Final = 10.0
SILENCE_SECONDS: Final = 120.0
"""A watch that says nothing for so long may have been cut without a word (bookmarks come every minute)."""


class KubeError(Exception):
    """The API server answered with an error, or did not answer (`code` 0)."""

    def __init__(self, code: int, message: str) -> None:
        """Keep the HTTP status and the server's own sentence."""
        super().__init__(message)
        self.code = code
        self.message = message


def message_of(code: int, text: str) -> str:
    """The server's own sentence in the answer `text` of that code; the answer's beginning if there is none."""
    try:
        return str(json.loads(text).get("message", text))
    except (ValueError, AttributeError):
        return text[:500] or f"HTTP {code}"


async def load_configuration(kubeconfig: str | None = None, context: str | None = None) -> Configuration:
    """Where the API server is: inside a pod its service account, else a kubeconfig.

    Raises:
        kubernetes.aio.config.ConfigException: if there is neither.
    """
    configuration = Configuration()
    if kubeconfig is None and context is None:
        try:
            kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except kube_config.ConfigException:
            pass
        else:
            return configuration
    await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
        config_file=kubeconfig, context=context, client_configuration=configuration
    )
    return configuration
