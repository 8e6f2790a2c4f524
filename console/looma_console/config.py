"""What the environment says, read once at start.

The Struct's fields are documented in docs/settings.md (`LOOMA_` and the field's name in capitals); a test of
core walks them.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from looma_core.api.gateway import CONTROLLER_PORT
from looma_core.settings import SECRET, CoreSettings


class ConsoleSettings(CoreSettings, frozen=True, kw_only=True):
    """What the console reads beside `CoreSettings`."""

    database_url: Annotated[
        str,
        Meta(
            pattern=r"^postgresql\+psycopg://",
            description="SQLAlchemy URL of the application's role `looma_app`; TLS by `?sslmode=verify-full&...`.",
            examples=["postgresql+psycopg://looma_app:PASSWORD@looma-postgres:5432/looma"],
            extra=SECRET,
        ),
    ]
    session_key: Annotated[
        str,
        Meta(
            min_length=32,
            description="Key that signs the console's cookies and form tokens, 32 characters or more.",
            extra=SECRET,
        ),
    ]
    issuer_key_file: Annotated[
        str,
        Meta(
            min_length=1,
            description="File of the issuer's RSA private key (PEM); its public half is served as a JWK Set.",
        ),
    ]
    admin_password: Annotated[
        str,
        Meta(
            description="Password of the first account `admin`; used once, while the tenant has no account.",
            extra=SECRET,
        ),
    ] = ""
    kubeconfig: Annotated[
        str,
        Meta(description="Kubeconfig of the cluster, outside of a pod; in one, its service account is used."),
    ] = ""
    gateway_address: Annotated[
        str,
        Meta(
            pattern=r"^https?://\S+$",
            description="A name that leads to each pod of a gateway, and its controller's port; filled in likewise.",
        ),
    ] = f"http://{{name}}-peers.{{namespace}}:{CONTROLLER_PORT}"
    prometheus_url: Annotated[
        str,
        Meta(
            pattern=r"^(https?://\S+)?$",
            description="Where Prometheus answers, for the rates of copied requests; without it they are unknown.",
            examples=["http://looma-prometheus.looma.svc:9090"],
        ),
    ] = ""
    threads: Annotated[
        int, Meta(ge=8, le=512, description="Requests that the console answers at the same time.")
    ] = 64
    live_streams: Annotated[
        int, Meta(ge=1, le=256, description="Most open live pages; each holds a thread. Others poll.")
    ] = 20
    live_seconds: Annotated[
        int, Meta(ge=5, le=86400, description="After how long a live page is asked to connect anew.")
    ] = 600
    session_idle_minutes: Annotated[
        int, Meta(ge=1, le=10080, description="A person is signed out after this long without a request.")
    ] = 60
    session_hours: Annotated[
        int, Meta(ge=1, le=720, description="A person is signed out this long after signing in.")
    ] = 12
    trusted_proxies: Annotated[
        int,
        Meta(
            ge=0,
            le=5,
            description="How many proxies in front of the console may be believed in `X-Forwarded-For` and `-Proto`.",
        ),
    ] = 0
    upload_bytes: Annotated[
        int,
        Meta(
            ge=1024, le=1 << 30, description="Most bytes of one request to the console's own pages (uploads)."
        ),
    ] = 64 * 1024 * 1024

    @property
    def issuer_key(self) -> bytes:
        """The issuer's private key, PEM. Raises OSError if the file cannot be read."""
        return Path(self.issuer_key_file).read_bytes()

    @property
    def session_idle(self) -> dt.timedelta:
        """How long a session lives without a request."""
        return dt.timedelta(minutes=self.session_idle_minutes)

    @property
    def session_absolute(self) -> dt.timedelta:
        """How long a session lives at most."""
        return dt.timedelta(hours=self.session_hours)
