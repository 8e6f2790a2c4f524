"""`looma-demo load | remove`: puts made-up people, companies, jobs and relations into the tenant, or takes them out.

`load` runs as a Job after the installation. It waits for the engines, skips what is there, and can be repeated.
`remove` deletes every talent, résumé, company and job that is marked as demonstration data, and nothing else; their
relations go with them.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
from msgspec import Meta

from looma_core import logging
from looma_core.auth import Role, TokenIssuer
from looma_core.settings import CoreSettings, SettingsError, load
from looma_engines.demo.client import COMPANIES, JOBS, RELATIONS, REQUEST_SECONDS, ApiError, DemoClient
from looma_engines.demo.documents import document_of
from looma_engines.demo.people_en import PEOPLE as ENGLISH
from looma_engines.demo.people_zh import PEOPLE as CHINESE
from looma_engines.demo.relations import BONDS
from looma_engines.demo.vacancies import EMPLOYERS

# Turn by turn, so that the first page of people shows both languages.
PEOPLE = [person for pair in zip(ENGLISH, CHINESE, strict=True) for person in pair]
TOKEN_SECONDS = 300

log = logging.get(__name__)


class DemoSettings(CoreSettings, frozen=True, kw_only=True):
    """What `looma-demo` reads beside `CoreSettings`."""

    issuer_key_file: Annotated[
        str,
        Meta(
            min_length=1,
            description="File of the issuer's RSA private key (PEM); its tokens are signed with it.",
        ),
    ]
    demo_wait_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="How long `looma-demo` waits for the API to be ready.")
    ] = 600


def main() -> None:
    """Entry point of `looma-demo`."""
    parser = argparse.ArgumentParser(
        prog="looma-demo", description="Demonstration data of the tenant LOOMA_TENANT."
    )
    parser.add_argument(
        "action", choices=("load", "remove"), help="put the made-up people in, or take them out"
    )
    action = parser.parse_args().action
    try:
        settings = load(DemoSettings)
        issuer = TokenIssuer(
            Path(settings.issuer_key_file).read_bytes(),
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            names=settings.claim_names(),
        )
    except (SettingsError, OSError, ValueError) as error:
        sys.exit(f"looma-demo cannot start:\n{error}")
    logging.configure(service="looma-demo", level=settings.log_level)
    with httpx.Client(base_url=settings.api_url, timeout=REQUEST_SECONDS) as http:
        client = DemoClient(
            http, token=lambda: _token(issuer, settings.tenant), wait_seconds=settings.demo_wait_seconds
        )
        try:
            if action == "load":
                load_people(client)
                load_employers(client)
                load_relations(client)
            else:
                remove_employers(client)
                remove_people(client)
        except ApiError as error:
            log.error("stopped", error=str(error))  # noqa: TRY400 - the message is all there is to know
            sys.exit(1)


def load_people(client: DemoClient) -> int:
    """Put in every person who is not there; returns how many were new.

    Raises:
        ApiError: the API is not ready in time, or refuses one.
    """
    client.wait_until_ready()
    started = time.monotonic()
    there = client.loaded()
    files = [file for person in PEOPLE if (file := document_of(person)).name not in there]
    new = sum(client.upload(file) for file in files)
    log.info("loaded", people=len(PEOPLE), new=new, seconds=round(time.monotonic() - started, 1))
    return new


def load_employers(client: DemoClient) -> int:
    """Put in every company and its jobs; returns how many of both were new.

    Raises:
        ApiError: the API refuses one.
    """
    new = 0
    for employer in EMPLOYERS:
        company_id, is_new = client.put_record(COMPANIES, employer.company)
        new += is_new
        for job in employer.jobs:
            draft = msgspec.structs.replace(job, company_id=company_id, company_name=employer.company.name)
            new += client.put_record(JOBS, draft)[1]
    log.info("loaded", employers=len(EMPLOYERS), new=new)
    return new


def load_relations(client: DemoClient) -> int:
    """Put in every relation whose two ends are there; returns how many were new.

    Raises:
        ApiError: the API refuses one.
    """
    files = client.people()
    ids = {person.slug: files[name] for person in PEOPLE if (name := document_of(person).name) in files}
    for path in (COMPANIES, JOBS):
        ids |= client.by_reference(path)
    # A person may be deleted by hand, and stays so until the next load; the relations of others come all the same.
    both = [
        (bond, ids[bond.person], ids[bond.other]) for bond in BONDS if {bond.person, bond.other} <= set(ids)
    ]
    new = sum(
        client.put_record(RELATIONS, bond.draft(person=one, other=other))[1] for bond, one, other in both
    )
    log.info("loaded", relations=len(both), new=new)
    return new


def remove_employers(client: DemoClient) -> int:
    """Delete every demonstration job and company; returns how many there were.

    Raises:
        ApiError: the API is not ready in time, or refuses.
    """
    client.wait_until_ready()
    gone = 0
    for path in (JOBS, COMPANIES):
        # Listed first, deleted then: a page must not move while it is read.
        for record_id in list(client.records(path)):
            try:
                client.delete_record(path, record_id)
            except ApiError as error:
                # A job of one's own at a made-up company keeps it; all else goes on.
                if error.status != httpx.codes.CONFLICT:
                    raise
                log.warning("kept", record=str(record_id), why=str(error))
                continue
            gone += 1
    log.info("removed", employers_and_jobs=gone)
    return gone


def remove_people(client: DemoClient) -> int:
    """Delete every demonstration résumé and talent; returns how many talents there were.

    Raises:
        ApiError: the API is not ready in time, or refuses.
    """
    client.wait_until_ready()
    # Listed first, deleted then: a page must not move while it is read.
    for resume in list(client.resumes()):
        client.delete_resume(resume)
    talents = list(client.talents())
    for talent in talents:
        client.delete_talent(talent)
    log.info("removed", people=len(talents))
    return len(talents)


def _token(issuer: TokenIssuer, tenant: str) -> str:
    return issuer.issue(subject="looma-demo", tenant=tenant, roles=[Role.RECRUITER], seconds=TOKEN_SECONDS)
