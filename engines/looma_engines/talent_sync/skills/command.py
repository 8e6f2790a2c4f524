"""`looma-engine skills-import`: brings a taxonomy into a tenant, and tells what became of each row.

    looma-engine skills-import --tenant acme --starter
    looma-engine skills-import --tenant acme skills.csv
    looma-engine skills-import --tenant acme skills_en.csv --language en --broader broaderRelationsSkillPillar_en.csv

It works as the application's role. Rows are told one a line: its line, the skill's key, what became of it and why; what
is unchanged is counted alone.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Annotated

from looma_core import logging
from looma_core.db import Database
from looma_core.problems import NotReady, ValidationProblem
from looma_core.settings import CoreSettings, EngineSettings, SettingsError, load, meta_of
from looma_engines.talent_sync.skills.files import Given, SkillFormat, read_broader, read_skills
from looma_engines.talent_sync.skills.importing import SkillImporter, starter_rows, summary
from looma_engines.talent_sync.skills.planning import Planned

STATEMENT_SECONDS = 600
"""A whole classification is one transaction."""
log = logging.get(__name__)


class SkillsSettings(CoreSettings, frozen=True, kw_only=True):
    """What `looma-engine skills-import` reads beside `CoreSettings`."""

    database_url: Annotated[str, meta_of(EngineSettings, "database_url")]


def main(name: str) -> None:
    """Entry point; ends the process with 1 where rows were refused or nothing was done, with 2 on wrong words."""
    asked = _parser(name).parse_args(sys.argv[2:])
    try:
        settings = load(SkillsSettings)
    except SettingsError as error:
        print(f"looma-engine {name} cannot start:\n{error}", file=sys.stderr)
        sys.exit(2)
    logging.configure(service=name, level=settings.log_level)
    try:
        rows = starter_rows() if asked.starter else _rows(asked)
        done = asyncio.run(_imported(settings.database_url, asked.tenant, rows, dry_run=asked.dry_run))
    except ValidationProblem as problem:
        wrong = "; ".join(f"{error.field} {error.message}" for error in problem.errors)
        print(f"looma-engine {name}: {asked.file}: {wrong}", file=sys.stderr)
        sys.exit(1)
    except (OSError, NotReady) as error:
        print(f"looma-engine {name}: {error}", file=sys.stderr)
        sys.exit(1)
    for one in done:
        if one.outcome != "unchanged":
            print(told(one))
    counts = summary(done)
    print(
        f"{counts.created} created, {counts.updated} updated, {counts.unchanged} unchanged, {counts.kept} kept,"
        f" {counts.refused} refused" + (" (a trial: nothing was kept)" if asked.dry_run else "")
    )
    sys.exit(1 if counts.refused else 0)


def told(row: Planned) -> str:
    """A row's line of the report."""
    why = "; ".join(f"{error.field} {error.message}" for error in row.errors)
    return f"{row.line} {row.key or '-'} {row.outcome}" + (f": {why}" if why else "")


def format_of(file: Path, *, header: bytes) -> SkillFormat:
    """How a file is written, by its name and its first line."""
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    return "esco" if b"conceptUri" in header else "csv"


async def _imported(url: str, tenant: str, rows: list[Given], *, dry_run: bool) -> list[Planned]:
    database = Database(
        url, pool_size=1, statement_seconds=STATEMENT_SECONDS, application_name="looma-skills-import"
    )
    try:
        return await SkillImporter(database).run(tenant, rows, dry_run=dry_run)
    finally:
        await database.close()


def _rows(asked: argparse.Namespace) -> list[Given]:
    broader = None
    if asked.broader is not None:
        with asked.broader.open("rb") as file:
            broader = read_broader(file)
    with asked.file.open("rb") as file:
        file_format = asked.format or format_of(asked.file, header=file.readline(10_000))
        file.seek(0)
        return list(read_skills(file, file_format, language=asked.language, broader=broader))


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"looma-engine {name}", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tenant", required=True, help="whose taxonomy")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", metavar="FILE", nargs="?", type=Path, help="CSV, JSON Lines, or a CSV of ESCO")
    what.add_argument("--starter", action="store_true", help="Looma's own taxonomy of common skills")
    parser.add_argument("--format", choices=("csv", "jsonl", "esco"), help="told from the file unless given")
    parser.add_argument("--language", default="en", help="of a file of ESCO; default en")
    parser.add_argument(
        "--broader", metavar="FILE", type=Path, help="of ESCO: the file of what is above each concept"
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what would happen, and keep nothing")
    return parser
