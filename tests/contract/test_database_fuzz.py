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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from support.database import DatabaseUrls

EXAMPLES = 5
MANY_EXAMPLES = 60
LONG_SECONDS = 3600
RECORDS = 12
"""Of each kind: deletions find one too."""


@pytest.fixture(scope="module")
def engines(database_urls: DatabaseUrls) -> Iterator[Engines]:
    for module in ENGINES.values():
        import_module(module)  # Its problem types enter the register.
    with all_engines(database_urls) as running:
        yield running


def known(engines: Engines, tenant: str) -> dict[str, Sequence[str]]:
    """Values with which a request does more than be refused: ids of records that are there, names, versions."""
    made = [a_record_of_each_kind(engines, tenant, name=f"Person{number}") for number in range(RECORDS)]
    ids = {kind: [one[kind] for one in made] for kind in made[0]}
    names = ["Ada Byron", "林黛", "Harbour Payments", "O'Neill-Ødegård", "a" * 200]
    return {
        **{f"{API}/{kind} path.record_id": ids[kind] for kind in DRAFTS},
        "path.resume_id": ids["resumes"],
        "path.entry_id": ids["quarantine"],
        "path.conflict_id": ids["sync-conflicts"],
        "path.number": ids["sync-runs"],
        "query.company_id": ids["companies"],
        "query.talent_id": ids["talents"],
        "body.company_id": ids["companies"],
        "header.If-Match": ["*", '"1"', '"2"', '"1", "2"'],
        "header.If-None-Match": ["*", '"1"', 'W/"1"'],
        **dict.fromkeys(("body.full_name", "body.name", "body.title"), names),
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
    succeeded = Counter(answer.operation for answer in run.answers if 200 <= answer.status < 300)
    refused = Counter(answer.operation for answer in run.answers if answer.status >= 400)
    operations = {
        f"{method.upper()} {path}"
        for path, methods in engines.documents[engine]["paths"].items()
        for method in methods
    }
    # A run in which an operation only ever refused would say little of it.
    assert operations <= set(succeeded), f"never succeeded: {sorted(operations - set(succeeded))}"
    assert operations <= set(refused), f"never refused: {sorted(operations - set(refused))}"


@pytest.mark.long
@pytest.mark.timeout(LONG_SECONDS)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_keeps_its_document_with_many_examples(
    engines: Engines, tenant: str, tmp_path: Path, engine: str
) -> None:
    checked(engines, engine, tenant, tmp_path, examples=MANY_EXAMPLES)
