"""Merging and taking apart gives back what was there, whatever people and relations there were; the nightly look."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from looma_core.api.company import Company, CompanyDraft
from looma_core.api.duplicates import MergeRequest
from looma_core.api.person import Experience
from looma_core.api.relation import RelationDraft
from looma_core.api.talent import Talent, TalentDraft
from looma_core.auth import Principal, Role
from looma_core.crypto import FileCipher, new_key
from looma_core.db import Database
from looma_core.metrics import Metrics
from looma_core.problems import Conflict, ProblemError
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.duplicates.catching_up import catch_up
from looma_engines.talent_sync.duplicates.command import tenants
from looma_engines.talent_sync.duplicates.keys import secret_of
from looma_engines.talent_sync.duplicates.merges import Merges
from looma_engines.talent_sync.duplicates.metrics import duplicate_metrics
from looma_engines.talent_sync.duplicates.review import DuplicateReviews
from looma_engines.talent_sync.duplicates.scanning import Scanner
from looma_engines.talent_sync.privacy.sessions import sealing_with
from looma_engines.talent_sync.records.service import RecordService, record_metrics
from looma_engines.talent_sync.relations import RELATIONS
from looma_engines.talent_sync.talents import TALENTS
from support.database import DatabaseUrls
from support.key_ring import SEALER, VARIABLE, ring_file

pytestmark = pytest.mark.database
KEY = new_key()
SAME = {"full_name": "Ada Lovelace", "email": "ada@mail.example"}
# What a merge and undoing it change of a row, beside what it is about.
MOVING = ("version", "updated_at")


class World:
    """The services over one database, for one tenant."""

    def __init__(self, database: Database, tenant: str) -> None:
        metrics = Metrics(service="talent-sync", revision="r1")
        self.database = database
        self.who = Principal(subject="ada", tenant=tenant, roles=frozenset({Role.RECRUITER}))
        self.scanner = Scanner(secret_of(KEY))
        counted = duplicate_metrics(metrics)
        self.reviews = DuplicateReviews(database, self.scanner, counted, max_page_size=100)
        self.merges = Merges(database, FileCipher(KEY), self.scanner, counted)
        of_records = record_metrics(metrics)
        self.relations = RecordService(database, RELATIONS, of_records, max_page_size=100)
        self.talents = RecordService(database, TALENTS, of_records, max_page_size=100)
        self.companies: RecordService[CompanyDraft, Company] = RecordService(
            database, COMPANIES, of_records, max_page_size=100
        )

    async def person(self, **fields: Any) -> Talent:
        record, _ = await self.talents.create(self.who, TalentDraft(**{**SAME, **fields}))
        return record

    async def pair(self, one: Talent, other: Talent) -> uuid.UUID:
        await self.reviews.look(self.who, one.id)
        found = await self.reviews.look(self.who, other.id)
        return next(item.id for item in found.items if {p.id for p in item.people} == {one.id, other.id})


@asynccontextmanager
async def world(urls: DatabaseUrls, tenant: str) -> AsyncIterator[World]:
    database = Database(urls.app, pool_size=3, info=sealing_with(SEALER))
    try:
        yield World(database, tenant)
    finally:
        await database.close()


def rows(urls: DatabaseUrls, tenant: str, table: str) -> dict[str, dict[str, Any]]:
    """All rows of a tenant, past the policies, without what moves."""
    with psycopg.connect(urls.admin, row_factory=dict_row) as connection:
        found = connection.execute(
            f"SELECT * FROM talent_sync.{table} WHERE tenant = %s",  # noqa: S608 - our own names
            [tenant],
        ).fetchall()
    return {
        str(row.get("id") or row.get("key")): {
            name: value for name, value in row.items() if name not in MOVING
        }
        for row in found
    }


TEXT = st.sampled_from([None, "London", "Leeds", "上海"])
PEOPLE = st.fixed_dictionaries(
    {},
    optional={
        "full_name": st.sampled_from(["Ada Lovelace", "Lovelace, Ada"]),
        "phone": st.sampled_from([None, "+86 139 1111 2222", "+86 139 3333 4444"]),
        "location": TEXT,
        "headline": TEXT,
        "skills": st.lists(st.sampled_from(["SQL", "sql ", "Go", "C"]), max_size=3),
        "experience": st.lists(
            st.builds(
                Experience,
                company=st.sampled_from(["Harbour", "harbour", "Northwind"]),
                title=st.sampled_from([None, "Engineer"]),
                start=st.sampled_from([None, "2019", "2020-03"]),
            ),
            max_size=3,
        ),
    },
)
CHOICES = st.dictionaries(
    st.sampled_from(["phone", "location", "headline", "skills", "experience"]),
    st.sampled_from(["keep", "other"]),
    max_size=3,
)
RELATED = st.lists(
    st.tuples(
        st.sampled_from(["knows", "reports_to", "referred_by", "works_at"]),
        st.sampled_from(
            [("one", "third"), ("other", "third"), ("third", "one"), ("third", "other"), ("one", "other")]
        ),
        st.sampled_from([None, date(2020, 1, 1), date(2021, 1, 1)]),
    ),
    max_size=5,
)


@pytest.mark.timeout(300)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(one=PEOPLE, other=PEOPLE, choices=CHOICES, related=RELATED, turned=st.booleans())
def test_undoing_a_merge_gives_back_what_was_there(
    *,
    database_urls: DatabaseUrls,
    one: dict[str, Any],
    other: dict[str, Any],
    choices: dict[Any, Any],
    related: list[Any],
    turned: bool,
) -> None:
    tenant = f"merge-{uuid.uuid4().hex[:12]}"

    async def go() -> None:
        async with world(database_urls, tenant) as here:
            people = {"one": await here.person(**one), "other": await here.person(**other)}
            people["third"] = await here.person(full_name="Charles Babbage", email=None)
            company, _ = await here.companies.create(here.who, CompanyDraft(name="Harbour"))
            for kind, (begin, end), starts in related:
                ends: dict[str, Any] = (
                    {"company_id": company.id} if kind == "works_at" else {"other_talent_id": people[end].id}
                )
                draft = RelationDraft(kind=kind, talent_id=people[begin].id, starts_on=starts, **ends)
                try:
                    await here.relations.create(here.who, draft)
                except ProblemError:
                    continue  # What the rules do not take is not there.
            pair = await here.pair(people["one"], people["other"])
            before = {table: rows(database_urls, tenant, table) for table in ("talents", "relations")}
            kept, gone = (people["other"], people["one"]) if turned else (people["one"], people["other"])
            merged = await here.merges.merge(
                here.who,
                pair,
                MergeRequest(keep=kept.id, keep_version=1, other_version=1, fields=choices),
            )
            during = rows(database_urls, tenant, "relations").values()
            live = [row for row in during if row["deleted_at"] is None]
            assert all(gone.id not in (row["talent_id"], row["other_talent_id"]) for row in live)
            assert {str(item.id) for item in merged.relations} == {
                number
                for number, row in before["relations"].items()
                if gone.id in (row["talent_id"], row["other_talent_id"])
            }
            await here.merges.undo(here.who, merged.id, force=False)
            after = {table: rows(database_urls, tenant, table) for table in ("talents", "relations")}
            assert after == before

    asyncio.run(go())


def test_what_it_takes_to_undo_is_stored_for_nobody_to_read(database_urls: DatabaseUrls, tenant: str) -> None:
    async def go() -> None:
        async with world(database_urls, tenant) as here:
            one = await here.person(phone="+86 139 1111 2222")
            other = await here.person(email="ada@mail.example", location="Unheardof")
            pair = await here.pair(one, other)
            await here.merges.merge(
                here.who, pair, MergeRequest(keep=one.id, keep_version=1, other_version=1, fields={})
            )

    asyncio.run(go())
    with psycopg.connect(database_urls.admin) as connection:
        for table in ("merges", "duplicates", "duplicate_keys", "duplicate_scans"):
            texts = connection.execute(
                f"SELECT t::text FROM talent_sync.{table} t WHERE tenant = %s",  # noqa: S608 - our own names
                [tenant],
            ).fetchall()
            assert texts, table
            for (text,) in texts:
                for word in ("ada@mail", "Unheardof", "1111", "Lovelace"):
                    assert word not in text, table
                    assert word.encode().hex() not in text, table


def test_who_is_erased_is_gone_from_here_too(database_urls: DatabaseUrls, tenant: str) -> None:
    async def go() -> uuid.UUID:
        async with world(database_urls, tenant) as here:
            one, other = await here.person(), await here.person()
            pair = await here.pair(one, other)
            await here.merges.merge(
                here.who, pair, MergeRequest(keep=one.id, keep_version=1, other_version=1, fields={})
            )
            return other.id

    other = asyncio.run(go())
    with psycopg.connect(database_urls.admin) as connection:
        connection.execute("DELETE FROM talent_sync.talents WHERE id = %s", [other])
        for table in ("merges", "duplicates"):
            found = connection.execute(
                f"SELECT count(*) FROM talent_sync.{table} WHERE tenant = %s",  # noqa: S608 - our own names
                [tenant],
            ).fetchone()
            assert found == (0,), table


async def test_a_look_takes_up_where_the_last_one_ended(database_urls: DatabaseUrls, tenant: str) -> None:
    async with world(database_urls, tenant) as here:
        for number in range(5):
            await here.person(full_name=f"Somebody {'abcde'[number] * 4}", email=None)
        await here.person()
        first = await catch_up(here.database, here.scanner, tenant, batch=2)
        assert (first.people, sum(first.found.values())) == (6, 0)
        with psycopg.connect(database_urls.admin) as connection:
            # As if a day had gone by.
            connection.execute(
                "UPDATE talent_sync.talents SET updated_at = updated_at - interval '1 day' WHERE tenant = %s",
                [tenant],
            )
        await here.person()
        second = await catch_up(here.database, here.scanner, tenant, batch=2)
        assert (second.people, dict(second.found)) == (1, {"certain": 1})
        again = await catch_up(here.database, here.scanner, tenant, batch=2)
        assert (again.people, sum(again.found.values())) == (1, 0)
        told = await here.reviews.scan(here.who)
        assert (told.people, told.found, told.skipped) == (1, 0, {})
        assert told.ended_at is not None
        # Keys of another secret fit no more: everybody is taken anew.
        anew = await catch_up(here.database, Scanner(secret_of(new_key())), tenant)
        assert anew.people == 7


def test_the_command_looks_in_every_tenant(database_urls: DatabaseUrls, tenant: str) -> None:
    other = f"{tenant}-b"

    async def fill(name: str) -> None:
        async with world(database_urls, name) as here:
            await here.person()
            await here.person()

    for name in (tenant, other):
        asyncio.run(fill(name))
    assert {tenant, other} <= set(tenants(database_urls.owner))
    clean = {key: value for key, value in os.environ.items() if not key.startswith("LOOMA_")}
    command = [sys.executable, "-c", "from looma_engines.main import main; main()", "records-duplicates"]
    wrong = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "LOOMA_OWNER_DATABASE_URL" in wrong.stderr
    environment = {
        **clean,
        "LOOMA_DATABASE_URL": database_urls.app,
        "LOOMA_OWNER_DATABASE_URL": database_urls.owner,
        "LOOMA_FILE_KEYS": KEY,
        VARIABLE: ring_file(),
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ada@mail" not in done.stdout + done.stderr
    for name in (tenant, other):
        found = rows(database_urls, name, "duplicates")
        assert [row["verdict"] for row in found.values()] == ["certain"]
    with psycopg.connect(database_urls.app_libpq) as connection:
        seen = connection.execute("SELECT count(*) FROM talent_sync.duplicate_scans").fetchone()
    assert seen == (0,), "what was loosened for the owner is not so for anybody else, nor any longer"


def test_without_its_key_a_merge_stays(database_urls: DatabaseUrls, tenant: str) -> None:
    async def go() -> None:
        async with world(database_urls, tenant) as here:
            one, other = await here.person(), await here.person()
            pair = await here.pair(one, other)
            asked = MergeRequest(keep=one.id, keep_version=1, other_version=1)
            merged = await here.merges.merge(here.who, pair, asked)
            here.merges._cipher = FileCipher(new_key())
            with pytest.raises(Conflict):
                await here.merges.undo(here.who, merged.id, force=True)
            here.merges._cipher = FileCipher(f"{new_key()},{KEY}")
            assert (await here.merges.undo(here.who, merged.id, force=False)).undone_by == "ada"

    asyncio.run(go())
