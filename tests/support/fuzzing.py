"""Runs Schemathesis against an engine: requests made from the engine's own OpenAPI document, good ones and bad ones.

It runs as the program that it is, so that its cases without a library's own scaffolding are what a person would get
with `schemathesis run`. What it sent and what came back is read from its report.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64decode
from typing import TYPE_CHECKING, Any

import msgspec

from support.tokens import bearer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SECONDS_PER_EXAMPLE = 60
"""Of all operations of an engine together, on a machine that does other things too."""

# Whether a request that fits its schema is accepted depends on what no schema says: the rules of records (422), what
# a file is made of (413, 415), the version that a change starts from (412, 428). A bad request (400) never fits.
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "412", "413", "415", "422", "428"]
# A request that does not fit may be refused for what is looked at first: a missing version before a wrong body.
REFUSED = ["400", "401", "404", "405", "406", "409", "412", "413", "415", "422", "428"]


class Answered(msgspec.Struct, frozen=True):
    """One request and its answer."""

    operation: str
    fits: bool
    status: int
    media_type: str
    body: bytes


class Run(msgspec.Struct, frozen=True):
    """What came of a run: `output` is for people."""

    passed: bool
    output: str
    answers: list[Answered]


def fuzz(
    url: str,
    *,
    tenant: str,
    values: Mapping[str, Sequence[str | int]],
    examples: int,
    folder: Path,
) -> Run:
    """Send requests made from the document of the engine at `url`, and check all answers against it.

    Args:
        url: the engine's address.
        tenant: whose records are made and changed.
        values: what parameters and fields are most of the time, as `path.record_id` or `body.title`; or of one
            kind alone, with its path before a space: `/api/v1/jobs path.record_id`.
        examples: how many requests are drawn for each operation, beside those of each limit and each mistake.
        folder: for the report.
    """
    config, report = folder / "schemathesis.toml", folder / "report.ndjson"
    config.write_text(_config(values))
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
        *("run", f"{url}/openapi.json", "--max-examples", str(examples), "--generation-deterministic"),
        *(
            "--header",
            f"Authorization: {bearer(tenant=tenant, roles=['recruiter', 'admin'], seconds=86_400)['Authorization']}",
        ),
        *("--no-color", "--continue-on-failure", "--report-ndjson-path", str(report), "--warnings", "off"),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_PER_EXAMPLE * examples,
    )
    answers = list(_answers(report)) if report.exists() else []
    return Run(passed=done.returncode == 0, output=done.stdout + done.stderr, answers=answers)


def _config(values: Mapping[str, Sequence[str | int]]) -> str:
    lines = [
        "[cache]\nenabled = false",
        f"[checks]\npositive_data_acceptance = {{ expected-statuses = {json.dumps(ACCEPTED)} }}",
        f"negative_data_rejection = {{ expected-statuses = {json.dumps(REFUSED)} }}",
        "[dictionaries]",
        *(f"d{number} = {{ values = {json.dumps(list(v))} }}" for number, v in enumerate(values.values())),
        "[parameters]",
    ]
    of_one_kind = []
    for number, place in enumerate(values):
        path, _, name = place.rpartition(" ")
        line = f'"{name}" = {{ dictionary = "d{number}", probability = 0.8 }}'
        if path:
            of_one_kind += [
                f'[[operations]]\ninclude-path-regex = "^{path}/[{{]"\n[operations.parameters]',
                line,
            ]
        else:
            lines.append(line)
    return "\n".join([*lines, *of_one_kind]) + "\n"


def _answers(report: Path) -> Iterator[Answered]:
    with report.open() as lines:
        for line in lines:
            event: dict[str, Any] = json.loads(line).get("ScenarioFinished", {})
            recorder = event.get("recorder", {})
            for case, interaction in recorder.get("interactions", {}).items():
                answer = interaction["response"]
                if answer is None:
                    continue
                sent = recorder["cases"].get(case, {}).get("value", {})
                meta = sent.get("meta") or {}
                yield Answered(
                    operation=f"{interaction['request']['method']} {sent.get('path', '')}",
                    fits=meta.get("generation", {}).get("mode") == "positive",
                    status=answer["status_code"],
                    media_type=answer["headers"].get("content-type", [""])[0].split(";")[0],
                    body=b64decode((answer.get("content") or {}).get("$base64", "")),
                )
