"""`looma-engine records-erase`: the ledger of erasures as a file, and a restored database brought up to it.

    looma-engine records-erase --export FILE    # after each erasure, or each night: beside the backups
    looma-engine records-erase --ledger FILE    # after a restore, before anybody uses the database
    looma-engine records-erase --restoring FOLDER    # beside a restore of `looma restore`, which says when

It works as the owner of the tables, as `looma-migrate` does, since it sees all tenants.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import groupby
from pathlib import Path
from typing import Annotated

from msgspec import Meta
from sqlalchemy import Engine, create_engine, text

from looma_core import logging
from looma_core.crypto import FileCipher
from looma_core.db.migrate import MigrationError, migrate
from looma_core.settings import (
    SECRET,
    MigrateSettings,
    SettingsError,
    load,
    variable,
)
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.ring import RingError
from looma_engines.talent_sync.privacy.ring import read as read_ring
from looma_engines.talent_sync.privacy.sealing import Sealer

from .applying import Applied, carry_out, exported
from .erasing import Answers
from .ledger import LedgerEntry, LedgerError, LedgerKey, read, written

SLOWEST_SECONDS = 3600
PAUSE_SECONDS = 0.2
log = logging.get(__name__)


class EraseSettings(MigrateSettings, frozen=True, kw_only=True):
    """What `records-erase` reads beside what `looma-migrate` does."""

    file_keys: Annotated[
        str,
        Meta(
            description="Comma-separated Fernet keys (urlsafe base64 of 32 bytes); the first encrypts files "
            "and kept answers.",
            extra=SECRET,
        ),
    ] = ""


def main(name: str) -> None:
    """Entry point; ends the process where it cannot do its work."""
    parser = argparse.ArgumentParser(prog=f"looma-engine {name}", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", metavar="FILE", type=Path, help="write the ledger there; - is the output")
    what.add_argument("--ledger", metavar="FILE", type=Path, help="erase again all that this ledger says")
    what.add_argument(
        "--restoring", metavar="FOLDER", type=Path, help="do both when a restore asks there for it"
    )
    asked = parser.parse_args(sys.argv[2:])
    try:
        settings = load(EraseSettings)
        key = LedgerKey(settings.ledger_key)
        sealer = Sealer(read_ring(settings.key_ring_file, setting=variable("key_ring_file")))
        # Without their keys no kept answer can be read, so that all of them go: a day later nobody asks for them.
        answers: Answers = FileCipher(settings.file_keys) if settings.file_keys else "all"
    except (SettingsError, RingError, ValueError) as error:
        print(f"looma-engine {name} cannot start:\n{error}", file=sys.stderr)
        sys.exit(2)
    logging.configure(service=name, level=settings.log_level)
    engine = create_engine(settings.owner_database_url, hide_parameters=True)
    try:
        if asked.export is not None:
            export(engine, key, asked.export)
        elif asked.ledger is not None:
            apply(engine, key, asked.ledger, answers=answers, sealer=sealer)
        else:
            beside(engine, key, asked.restoring, settings, answers=answers, sealer=sealer)
    except (LedgerError, MigrationError, OSError) as error:
        print(f"looma-engine {name}: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        engine.dispose()


def export(engine: Engine, key: LedgerKey, file: Path) -> int:
    """Write the ledger of all tenants; how many entries.

    Raises:
        OSError: the file cannot be written.
    """
    with engine.connect() as connection, connection.begin():
        entries = list(exported(connection, key))
    told = written(key, entries)
    if str(file) == "-":
        sys.stdout.buffer.write(told)
    else:
        # Beside it first: a ledger that is cut off in the middle is none.
        beside = file.with_name(f".{file.name}.new")
        beside.write_bytes(told)
        beside.replace(file)
    log.info("ledger exported", entries=len(entries))
    return len(entries)


def apply(engine: Engine, key: LedgerKey, file: Path, *, answers: Answers, sealer: Sealer) -> Applied:
    """Erase again all that a ledger says, one transaction a tenant.

    Raises:
        LedgerError: the ledger cannot be used; nothing was done.
        OSError: the file cannot be read.
    """
    entries = read(key, file.read_bytes())
    done = Applied(entries=0, erased=0, rows=0)

    def tenant_of(entry: LedgerEntry) -> str:
        return entry.tenant

    for tenant, of_tenant in groupby(sorted(entries, key=tenant_of), key=tenant_of):
        with engine.begin() as connection:
            connection.execute(text(f"SET LOCAL statement_timeout = '{SLOWEST_SECONDS}s'"))
            opens = Seals(sealer, tenant)
            done += carry_out(connection, tenant, of_tenant, key=key, answers=answers, opens=opens)
    log.info("ledger applied", entries=done.entries, erased=done.erased, rows=done.rows)
    return done


def beside(
    engine: Engine, key: LedgerKey, folder: Path, settings: EraseSettings, *, answers: Answers, sealer: Sealer
) -> None:
    """Keep the ledger while a database is restored; ends once it was applied.

    The restore asks by a file: `export`, while the database is as it was last, and `apply`, once it is as it was at the
    moment that is wanted. `NAME.done` answers. Its tables are brought to this version first, which may know the ledger
    where they did not. It may be begun again at any time.

    Raises:
        LedgerError: the ledger cannot be used.
        OSError: the folder cannot be written.
        MigrationError: the tables cannot be brought to this version.
    """
    ledger = folder / "ledger.jsonl"
    while not (folder / "apply.done").exists():
        for name in ("export", "apply"):
            if not (folder / name).exists() or (folder / f"{name}.done").exists():
                continue
            migrate(settings.owner_database_url, history_months=settings.history_months)
            if name == "export":
                export(engine, key, ledger)
            elif ledger.exists():
                # Without an earlier moment to go to, the database has its own ledger, and is as that says.
                apply(engine, key, ledger, answers=answers, sealer=sealer)
            # A pooled connection would outlive the database that it is of.
            engine.dispose()
            (folder / f"{name}.done").touch()
        time.sleep(PAUSE_SECONDS)
