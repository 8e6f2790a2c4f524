"""The platform of the tests answers by docs/openapi/zervigo.yaml: what is tested against is what is written there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from support.remote_sources import SourceServer, source_server
from support.source_server import CLIENT, SECRET, STATIC_TOKEN

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi" / "zervigo.yaml"
EXAMPLES = 15
SECONDS = 240
# Which cursors and times are good no schema says, and a token asks for the right secret.
CONFIG = f"""
[cache]
enabled = false
[checks]
positive_data_acceptance = {{ expected-statuses = ["2xx", "400", "401", "404", "412", "429", "503"] }}
negative_data_rejection = {{ expected-statuses = ["400", "401", "404", "405", "412", "428", "429"] }}
missing_required_header = {{ expected-statuses = ["400", "401", "404", "412", "428", "429"] }}
unsupported_method = {{ enabled = false }}
[dictionaries]
ids = {{ values = ["t-1", "t-2"] }}
clients = {{ values = ["{CLIENT}"] }}
secrets = {{ values = ["{SECRET}"] }}
[parameters]
"path.id" = {{ dictionary = "ids", probability = 0.7 }}
"body.client_id" = {{ dictionary = "clients", probability = 0.9 }}
"body.client_secret" = {{ dictionary = "secrets", probability = 0.9 }}
"""


def records(kind: str) -> list[dict[str, object]]:
    names = {"talents": "full_name", "companies": "name", "jobs": "title"}
    return [
        {"id": f"t-{number}", "updated_at": "2026-05-01T12:00:00Z", names[kind]: f"Number {number}"}
        for number in range(1, 7)
    ]


def held_against_the_document(
    server: SourceServer, folder: Path, *only: str
) -> subprocess.CompletedProcess[str]:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(DOCUMENT)),
            *("--url", server.url, "--max-examples", str(EXAMPLES), "--generation-deterministic"),
            *("--header", f"Authorization: Bearer {STATIC_TOKEN}", "--phases", "examples,coverage,fuzzing"),
            *("--no-color", "--continue-on-failure", "--warnings", "off"),
            *only,
        ],
        cwd=folder,
        env={**os.environ, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def test_every_answer_fits_the_document(tmp_path: Path) -> None:
    with source_server(tmp_path / "server") as server:
        for kind in ("talents", "companies", "jobs"):
            server.put(kind, records(kind))
        # Some answers are that there were too many questions, which has its form too.
        server.faults(
            {
                "kind": "status",
                "named": True,
                "status": 429,
                "retry_after": 1,
                "after": 5,
                "times": 30,
                "where": "/api/v1/talents",
            }
        )
        done = held_against_the_document(server, tmp_path)
        told = server.told()
    seen = Counter(told["seen"])
    assert told["struck"]["status"] == 30
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    for path in (
        "/oauth/token",
        "/api/v1/talents",
        "/api/v1/companies",
        "/api/v1/jobs",
        "/api/v1/talents/t-1",
    ):
        assert seen[path] > 5, seen


def test_an_answer_that_does_not_fit_is_found(tmp_path: Path) -> None:
    with source_server(tmp_path / "server") as server:
        server.put("talents", [{"id": 7, "full_name": "No time, and an id that is a number"}])
        done = held_against_the_document(server, tmp_path, "--include-operation-id", "listTalents")
    assert done.returncode != 0
    assert "listTalents" in done.stdout or "/api/v1/talents" in done.stdout
