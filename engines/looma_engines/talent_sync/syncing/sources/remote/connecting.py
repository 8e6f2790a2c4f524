"""What a source is asked with: a client that trusts what it should, and says who asks as the Secret has it."""

from __future__ import annotations

import base64
import ssl

import httpx

from looma_engines.sync_worker.inputs import BadInputError

from ..credentials import Secrets
from .asking import TIMEOUT, Account, Asker
from .tokens import ClientTokens, Given, Issued, NoToken, Tokens


def connect(
    secrets: Secrets,
    *,
    patience: float,
    asked: Account,
    token_url: str = "",
    scope: str = "",
    per_second: float | None = None,
    is_signed: bool = False,
) -> Asker:
    """What asks a source.

    | keys of the Secret            | who asks                                                       |
    | ----------------------------- | -------------------------------------------------------------- |
    | `token`                       | that token, and the one that stands there when it ends          |
    | `client_id`, `client_secret`  | with a `token_url`: the client, by tokens that it gets there    |
    | `username`, `password`        | that person, by HTTP's own Basic                                |
    | none of them                  | nobody in particular                                            |

    Beside them `ca.crt` is trusted, where there is one.

    Args:
        secrets: the Secret.
        patience: seconds for which the source may be away.
        asked: counts what is asked.
        token_url: where clients get tokens.
        scope: what their tokens are to be good for.
        per_second: how many questions at most.
        is_signed: whether addresses say who asks, so that nothing else does.

    Raises:
        BadInputError: the Secret's certificate is none, or a `token_url` has no client.
    """
    context = ssl.create_default_context()
    if (authority := secrets.file("ca.crt")) is not None:
        try:
            context.load_verify_locations(cafile=str(authority))
        except (OSError, ssl.SSLError):
            raise BadInputError("spec.source.credentials: ca.crt of the Secret is no certificate") from None
    client = httpx.Client(verify=context, timeout=TIMEOUT)
    tokens: Tokens = NoToken()
    if token_url:
        issuing = Asker(client, patience=patience, asked=asked)
        tokens = ClientTokens(lambda: issuing.decoded(token_url, Issued, form=_form(secrets, scope)))
    elif not is_signed and (secrets.text("token") is not None or secrets.text("username") is not None):
        tokens = Given(lambda: _header(secrets))
    return Asker(client, tokens=tokens, per_second=per_second, patience=patience, asked=asked)


def _form(secrets: Secrets, scope: str) -> dict[str, str]:
    form = {"grant_type": "client_credentials"}
    for key in ("client_id", "client_secret"):
        value = secrets.text(key)
        if not value:
            raise BadInputError(f"spec.source.credentials: the Secret has no {key}, which tokenUrl asks for")
        form[key] = value
    return form | ({"scope": scope} if scope else {})


def _header(secrets: Secrets) -> str:
    token = secrets.text("token")
    if token is not None:
        return f"Bearer {token}"
    pair = f"{secrets.text('username') or ''}:{secrets.text('password') or ''}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"
