"""Settings from the environment: one Struct per kind of process, one documented field per variable.

A field `name` is read from `LOOMA_NAME`. Each deployable derives its own Struct from `CoreSettings`; a test
walks all of them and fails where docs/settings.md does not name a variable. `load` reads once at start and
says for every wrong variable at once what to write instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import msgspec
from msgspec import Meta
from msgspec.structs import FieldInfo, fields

from looma_core.claims import NAME, ClaimNames

PREFIX = "LOOMA_"
SECRET: dict[str, Any] = {"secret": True}
"""Give it as `Meta(extra=SECRET)`: the value appears in no log and no error message."""
HISTORY_MONTHS = 36
"""How long it is known who changed a record, unless a release says otherwise."""
DELETED_DAYS = 30
WRITES_DAYS = 90
UNLINKED_DAYS = 180
"""How long a deleted record can be restored, unless a release says otherwise."""

SettingsT = TypeVar("SettingsT", bound="CoreSettings")
ConfigT = TypeVar("ConfigT", bound=msgspec.Struct)


class SettingsError(Exception):
    """The environment does not fit; the message names each variable and what to write there."""


class CoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every process of Looma reads."""

    service: Annotated[
        str, Meta(min_length=1, description="Name of the AIService that this process serves.")
    ] = "looma"
    revision: Annotated[
        str, Meta(description="Revision of that AIService, sent back as `X-Looma-Revision`.")
    ] = "r0"
    namespace: Annotated[str, Meta(description="Kubernetes namespace of the release.")] = "looma"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level that is logged.")
    ] = "info"
    host: Annotated[str, Meta(description="Address to listen on.")] = "0.0.0.0"  # noqa: S104 - a pod's own address
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on.")] = 8080
    api_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^\s/]+.*[^/]$",
            description="The one address of the API, no slash at the end; engines call each other there.",
        ),
    ] = "http://looma-gateway.looma.svc"
    engine_address: Annotated[
        str,
        Meta(
            pattern=r"^https?://\S+$",
            description="Where an AIService answers; `{name}` and `{namespace}` are filled in.",
        ),
    ] = "http://{name}-stable.{namespace}"
    jwt_issuer: Annotated[str, Meta(min_length=1, description="`iss` that a token must have.")] = (
        "https://looma.local"
    )
    jwt_audience: Annotated[str, Meta(min_length=1, description="`aud` that a token must have.")] = "looma"
    jwt_tenant_claim: Annotated[
        str, Meta(pattern=NAME, description="Claim that names the tenant; dots lead into objects.")
    ] = "tenant"
    jwt_roles_claim: Annotated[
        str, Meta(pattern=NAME, description="Claim that lists the roles; dots lead into objects.")
    ] = "roles"
    jwks_url: Annotated[
        str,
        Meta(
            pattern=r"^https?://\S+( https?://\S+)*$",
            description="Where the issuer's public keys are (a JWK Set); several with a space between.",
        ),
    ] = "http://looma-console.looma.svc/.well-known/jwks.json"
    tenant: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
            description="Tenant of the development issuer's tokens and of the demonstration data.",
        ),
    ] = "demo"

    def claim_names(self) -> ClaimNames:
        """What the issuer calls tenant and roles."""
        return ClaimNames(tenant=self.jwt_tenant_claim, roles=self.jwt_roles_claim)


class EngineSettings(CoreSettings, frozen=True, kw_only=True):
    """What an engine reads beside `CoreSettings`."""

    database_url: Annotated[
        str,
        Meta(
            pattern=r"^postgresql\+psycopg://",
            description="SQLAlchemy URL of the application role `looma_app`; TLS by `?sslmode=verify-full`.",
            examples=["postgresql+psycopg://looma_app:PASSWORD@looma-postgres:5432/looma"],
            extra=SECRET,
        ),
    ]
    file_keys: Annotated[
        str,
        Meta(
            description="Comma-separated Fernet keys (urlsafe base64 of 32 bytes); the first encrypts files "
            "and kept answers.",
            extra=SECRET,
        ),
    ] = ""
    key_ring_file: Annotated[
        str,
        Meta(
            description="File of the key ring that seals addresses and numbers of people; talent-sync does not "
            "start without."
        ),
    ] = ""
    ledger_key: Annotated[
        str,
        Meta(
            description="At least 32 random characters: the key of the digests of what was erased. It never changes.",
            extra=SECRET,
        ),
    ] = ""
    config: Annotated[
        str, Meta(description="`spec.config` of the AIService as JSON; its fields are the engine's own.")
    ] = "{}"
    database_pool: Annotated[
        int,
        Meta(ge=1, le=100, description="Most database connections of one process, beside one for claims."),
    ] = 10
    database_pool_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=60,
            description="How long a request waits for one of them; then it is answered 503 with `Retry-After`.",
        ),
    ] = 5
    database_statement_seconds: Annotated[
        float, Meta(gt=0, le=600, description="How long a statement may take; then the answer is 503 too.")
    ] = 15
    idempotency_hours: Annotated[
        int,
        Meta(
            ge=1,
            le=720,
            description="How long the answer to a request with an `Idempotency-Key` is given again.",
        ),
    ] = 24
    schema_wait_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="How long an engine waits at start for its database schema.")
    ] = 300


class MigrateSettings(CoreSettings, frozen=True, kw_only=True):
    """What `looma-migrate` reads beside `CoreSettings`."""

    owner_database_url: Annotated[
        str,
        Meta(
            pattern=r"^postgresql\+psycopg://",
            description="SQLAlchemy URL of the tables' owner, role `looma_owner`; for migrations only.",
            examples=["postgresql+psycopg://looma_owner:PASSWORD@looma-postgres:5432/looma"],
            extra=SECRET,
        ),
    ]
    database_wait_seconds: Annotated[
        int, Meta(ge=0, le=3600, description="How long `looma-migrate` waits for the database to answer.")
    ] = 180
    history_months: Annotated[
        int,
        Meta(
            ge=1,
            le=600,
            description="How many whole months of the records' history are kept, beside this one.",
        ),
    ] = HISTORY_MONTHS
    deleted_days: Annotated[
        int,
        Meta(
            ge=1, le=3650, description="How many days a deleted record can be restored, before it is erased."
        ),
    ] = DELETED_DAYS
    writes_days: Annotated[
        int,
        Meta(
            ge=1,
            le=3650,
            description="How many days it is kept what was written to a sync job's source, once it is known.",
        ),
    ] = WRITES_DAYS
    unlinked_days: Annotated[
        int,
        Meta(
            ge=0,
            le=3650,
            description="After how many days without a change a résumé file of nobody is deleted; with 0 it stays.",
        ),
    ] = UNLINKED_DAYS
    ledger_key: Annotated[
        str,
        Meta(
            description="At least 32 random characters: the key of the digests of what was erased. It never changes.",
            extra=SECRET,
        ),
    ] = ""
    key_ring_file: Annotated[
        str,
        Meta(
            description="File of the key ring that opens addresses and numbers of people; without one nothing "
            "that was deleted is erased."
        ),
    ] = ""


def variable(field_name: str) -> str:
    """Name of the environment variable of a settings field: `jwt_issuer` is `LOOMA_JWT_ISSUER`."""
    return PREFIX + field_name.upper()


def meta_of(settings_type: type[CoreSettings], field_name: str) -> Meta:
    """Return the `Meta` of a settings field; raises AssertionError for a field without a description."""
    hint = get_type_hints(settings_type, include_extras=True)[field_name]
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return meta
    msg = f"{settings_type.__name__}.{field_name} has no description"
    raise AssertionError(msg)


def load(settings_type: type[SettingsT], environ: Mapping[str, str] | None = None) -> SettingsT:
    """Read settings of `settings_type` from the environment; an empty variable counts as not set.

    Raises:
        SettingsError: naming every variable that is missing or wrong, and what belongs there.
    """
    source = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    wrong: list[str] = []
    hints = get_type_hints(settings_type, include_extras=True)
    for field in fields(settings_type):
        name = variable(field.name)
        raw = source.get(name, "")
        if raw == "":
            if field.required:
                wrong.append(f"{name} is not set: {_what_to_write(settings_type, field)}")
            continue
        try:
            values[field.name] = msgspec.convert(raw, hints[field.name], strict=False)
        except msgspec.ValidationError:
            meta = meta_of(settings_type, field.name)
            shown = "its value" if (meta.extra or {}).get("secret") else repr(raw)
            wrong.append(f"{name} is wrong ({shown}): {_what_to_write(settings_type, field)}")
    if wrong:
        raise SettingsError("\n".join(wrong))
    return settings_type(**values)


def load_config(config: str, config_type: type[ConfigT]) -> ConfigT:
    """Decode `spec.config` (JSON) into the engine's own Struct.

    Raises:
        SettingsError: naming the field that does not fit.
    """
    try:
        return msgspec.json.decode(config, type=config_type)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        msg = f"{variable('config')} (spec.config of the AIService) is wrong: {error}"
        raise SettingsError(msg) from error


def _what_to_write(settings_type: type[CoreSettings], field: FieldInfo) -> str:
    meta = meta_of(settings_type, field.name)
    parts = [str(meta.description)]
    hint = get_type_hints(settings_type)[field.name]
    if getattr(hint, "__origin__", None) is Literal:
        parts.append("One of: " + ", ".join(hint.__args__) + ".")
    if meta.ge is not None or meta.le is not None:
        parts.append(f"A whole number from {meta.ge} to {meta.le}.")
    if meta.examples:
        parts.append(f"For example {meta.examples[0]}")
    return " ".join(parts)
