"""Engines keep what their documents say, whatever is sent: thousands of requests made from those documents.

Schemathesis checks of each answer that it is no fault of the engine (5xx), that status, type, headers and body are as
documented, that what does not fit is refused and what needs a token does not work without one, that other methods are
refused with the right `Allow`, that what was made is there and what was deleted is not.
"""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec
import pytest

from looma_core.problems import MEDIA_TYPE, REGISTER, TYPE_PREFIX, Problem
from looma_engines.main import ENGINES
from support.fuzzing import Run, fuzz
from support.operations import API, DRAFTS, RESUME, Engines, a_record_of_each_kind, all_engines
from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.database import DatabaseUrls

EXAMPLES = 5
MANY_EXAMPLES = 60
LONG_SECONDS = 3600
RECORDS = 24
"""Of each kind: deletions find one too."""
NOT_BY_CHANCE = {
    "POST /api/v1/relations": "its kind, and the one other end that fits it, of three",
    "POST /api/v1/skills": "a name whose key no other skill has",
    "POST /api/v1/duplicates/{duplicate_id}/merge": "which of the two stays, and the versions of both",
    "POST /api/v1/quarantine/{entry_id}/replay": "a whole record as a value of any form",
    "POST /api/v1/talents/{record_id}/consents": "a time of giving in the past, and an end in the future",
    "POST /api/v1/talents/{record_id}/consents/{consent_id}/withdraw": "a person and a consent of just that one",
    "POST /api/v1/stages/order": "the key of each stage once",
    "POST /api/v1/stages/{stage_id}/retire": "a stage that nobody is in, and not retired before",
    "POST /api/v1/erasures/{erasure_id}/lift": "a time since the erasure",
    **dict.fromkeys(
        (f"POST /api/v1/{kind}/{{record_id}}/restore" for kind in (*DRAFTS, "relations")),
        "a record that was deleted before",
    ),
}
"""Operations whose bodies fit by chance too seldom, and why; that they succeed is tested where they are at home."""


@pytest.fixture(scope="module")
def engines(database_urls: DatabaseUrls) -> Iterator[Engines]:
    for module in ENGINES.values():
        import_module(module)  # Its problem types enter the register.
    with all_engines(database_urls) as running:
        yield running


def known(engines: Engines, tenant: str) -> dict[str, Sequence[str | int]]:
    """Values with which a request does more than be refused: ids of records that are there, names, versions."""
    made = [a_record_of_each_kind(engines, tenant, name=f"Person{number}") for number in range(RECORDS)]
    ids = {kind: [one[kind] for one in made] for kind in made[0]}
    # People of their own: whoever is erased is nobody's to read.
    spare = [
        engines.call(
            f"POST {API}/talents", bearer(tenant=tenant), json={"full_name": f"Spare {number}"}
        ).json()["id"]
        for number in range(RECORDS)
    ]
    names = ["Ada Byron", "林黛", "Harbour Payments", "O'Neill-Ødegård", "a" * 200]
    return {
        **{f"{API}/{kind} path.record_id": ids[kind] for kind in (*DRAFTS, "relations")},
        "path.person_id": spare,
        "path.consent_id": ids["consents"],
        "path.erasure_id": ids["erasures"],
        "query.record_id": ids["talents"],
        "body.reason": ["request", "order"],
        "body.state": ["parsed"],
        "body.reference": ["DSR-1", "2026/0042"],
        "body.evidence": ["form 12, signed"],
        "path.resume_id": ids["resumes"],
        "path.file_id": ids["resume-files"],
        "path.duplicate_id": ids["duplicates"],
        "path.merge_id": ids["merges"],
        "path.entry_id": ids["quarantine"],
        "path.application_id": ids["applications"],
        "path.stage_id": ids["stages"],
        "path.job_id": ids["jobs"],
        "query.stage": ["applied", "screening", "interview"],
        "query.owner": ["ada"],
        "body.to": ["screening", "interview", "offer"],
        "path.conflict_id": ids["sync-conflicts"],
        "path.write_id": ids["sync-writes"],
        "path.number": [int(number) for number in ids["sync-runs"]],
        "query.company_id": ids["companies"],
        "query.talent_id": ids["talents"],
        "query.job_id": ids["jobs"],
        "query.skill": ids["skills"],
        "query.parent": ids["skills"],
        "body.replaced_by": ids["skills"],
        "query.fields": ["id", "version,source", "created_at,updated_at"],
        "body.company_id": ids["companies"],
        "body.keep": ids["talents"],
        "body.talent_id": ids["talents"],
        "body.job_id": ids["jobs"],
        "body.other_talent_id": ids["talents"],
        "header.If-Match": ["*", '"1"', '"2"', '"1", "2"'],
        "header.If-None-Match": ["*", '"1"', 'W/"1"'],
        **dict.fromkeys(("body.full_name", "body.name", "body.name_en", "body.title"), names),
        "body.file": [RESUME.format(name="Ada Byron"), RESUME.format(name="Charles Babbage")],
        "body.text": [RESUME.format(name="Ada Byron"), "林黛\n工程师\n2019.01-2021.03 港湾支付"],
    }


def checked(engines: Engines, engine: str, tenant: str, folder: Path, *, examples: int) -> Run:
    values = known(engines, tenant)
    run = fuzz(engines.addresses[engine], tenant=tenant, values=values, examples=examples, folder=folder)
    assert run.passed, run.output
    for answer in run.answers:
        if answer.status >= 400:
            assert answer.media_type == MEDIA_TYPE, answer
            problem = msgspec.json.decode(answer.body, type=Problem, strict=True)
            of_type = REGISTER[problem.type.removeprefix(TYPE_PREFIX)]
            assert problem.status == answer.status == of_type.status, answer
    return run


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_keeps_its_document(engines: Engines, tenant: str, tmp_path: Path, engine: str) -> None:
    run = checked(engines, engine, tenant, tmp_path, examples=EXAMPLES)
    # 304 is what who has the record already is told.
    succeeded = Counter(answer.operation for answer in run.answers if 200 <= answer.status < 400)
    refused = Counter(answer.operation for answer in run.answers if answer.status >= 400)
    operations = {
        f"{method.upper()} {path}"
        for path, methods in engines.documents[engine]["paths"].items()
        for method in methods
    }
    # A run in which an operation only ever refused would say little of it.
    seldom = operations - set(NOT_BY_CHANCE)
    assert seldom <= set(succeeded), f"never succeeded: {sorted(seldom - set(succeeded))}"
    assert operations <= set(refused), f"never refused: {sorted(operations - set(refused))}"


@pytest.mark.long
@pytest.mark.timeout(LONG_SECONDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_keeps_its_document_with_many_examples(
    engines: Engines, tenant: str, tmp_path: Path, engine: str
) -> None:
    checked(engines, engine, tenant, tmp_path, examples=MANY_EXAMPLES)
