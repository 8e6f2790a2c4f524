"""`looma-model-fetch`: fetches the models of a pod, one after the other, and says in one line why it could not.

| variable                    | what                                                              |
| --------------------------- | ----------------------------------------------------------------- |
| LOOMA_MODELS                | the pod's models as JSON, as the engine reads it                  |
| LOOMA_PLAIN_HTTP_REGISTRY   | HOST:PORT of the registry in the cluster, which has no certificate |
| LOOMA_REGISTRY_LOGIN        | file with logins, as `docker login` writes it; the Secret's own    |
| LOOMA_TERMINATION_MESSAGE   | file for the last words; the kubelet's own unless it is set       |

Exit status: 0 all are there, 1 one could not be fetched or is not what it should be, 2 wrong variables.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import msgspec

from looma_core.api.models import REGISTRY_LOGIN, FetchFailure, read_models

from .fetch import fetch, new_client
from .registry import FetchError, parse_uri, read_login


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Entry point of `looma-model-fetch`."""
    try:
        models = read_models(os.environ.get("LOOMA_MODELS", ""))
    except msgspec.DecodeError as error:
        _say(f"LOOMA_MODELS is wrong: {error}")
        return 2
    plain = os.environ.get("LOOMA_PLAIN_HTTP_REGISTRY", "")
    logins = Path(os.environ.get("LOOMA_REGISTRY_LOGIN", REGISTRY_LOGIN))
    with new_client() as client:
        for model in models:
            try:
                host = parse_uri(model.uri).host
                path = fetch(
                    model,
                    client=client,
                    plain_http=bool(plain) and host == plain,
                    login=read_login(logins, host),
                    report=lambda text, name=model.name: _say(f"{name}: {text}"),  # type: ignore[misc]
                )
            except (FetchError, OSError) as error:
                reason = error.reason if isinstance(error, FetchError) else "FetchFailed"
                failure = FetchFailure(reason=reason, name=model.name, message=str(error))
                _say(str(failure))
                last_words = os.environ.get("LOOMA_TERMINATION_MESSAGE", "/dev/termination-log")
                with contextlib.suppress(OSError):
                    Path(last_words).write_text(f"{failure}\n", encoding="utf-8")
                return 1
            _say(f"{model.name}: {path} is there, {path.stat().st_size} bytes, verified")
    return 0
