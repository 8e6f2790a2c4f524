"""`looma-engine records-reseal`: seals all that is stored under the active keys of the ring.

looma-engine records-reseal              seal what is plain or under an older key
looma-engine records-reseal --open       open all, before a release that knows no seals
looma-engine records-reseal --count      only say how many values each key has
looma-engine records-reseal --new-ring   print a ring of fresh keys
"""

from __future__ import annotations

import sys

import psycopg

from looma_core import logging
from looma_core.settings import MigrateSettings, SettingsError, load, variable

from .resealing import BusyError, connect, counted, reseal
from .ring import RingError, new_ring, read
from .sealing import Sealer, SealError

USAGE = "usage: looma-engine records-reseal [--open | --count | --new-ring]"
FAILED, WRONG = 1, 2
log = logging.get(__name__)


def main(name: str) -> None:
    """Entry point; ends the process where something is wrong."""
    words = sys.argv[2:]
    if words == ["--new-ring"]:
        print(new_ring().decode())
        return
    if len(words) > 1 or (words and words[0] not in ("--open", "--count")):
        print(USAGE, file=sys.stderr)
        sys.exit(WRONG)
    try:
        settings = load(MigrateSettings)
        sealer = Sealer(read(settings.key_ring_file, setting=variable("key_ring_file")))
    except (SettingsError, RingError) as error:
        print(f"looma-engine {name} cannot start:\n{error}", file=sys.stderr)
        sys.exit(WRONG)
    logging.configure(service=name, level=settings.log_level)
    try:
        with connect(settings.owner_database_url) as connection:
            if words != ["--count"]:
                done = reseal(
                    connection,
                    sealer,
                    sealing=words != ["--open"],
                    told=lambda progress: log.info("resealing", table=progress.table, rows=progress.rows),
                )
                log.info("resealed", rows=done)
            for place, keys in counted(connection).items():
                log.info("sealed values", place=place, keys=keys)
    except (BusyError, SealError) as error:
        log.error("not all was resealed", error=str(error))  # noqa: TRY400 - the message is all there is to know
        sys.exit(FAILED)
    except psycopg.Error as error:
        # Values are in its text.
        log.error("the database failed: run it again", error=type(error).__name__)  # noqa: TRY400 - as above
        sys.exit(FAILED)
