"""Log lines: their fields, and that no personal data gets into them."""

from __future__ import annotations

import json
import logging as standard
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from looma_core import logging
from looma_core.logging import PERSONAL_KEYS, REDACTED, redact

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = standard.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_has_all_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(service="resume", level="info", revision="r3")
    structlog.contextvars.bind_contextvars(request_id="abc", trace_id="def")
    logging.get("looma.test").info("parsed", pages=2)
    logging.get("looma.test").debug("not told")
    (line,) = _lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "parsed",
        "level": "info",
        "logger": "looma.test",
        "service": "resume",
        "revision": "r3",
        "request_id": "abc",
        "trace_id": "def",
        "pages": 2,
    }


def test_other_libraries_lines_are_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(service="resume")
    standard.getLogger("elsewhere").warning("mail %s bounced", "ada@example.org")
    (line,) = _lines(capsys)
    assert (line["event"], line["level"], line["service"]) == (
        f"mail {REDACTED} bounced",
        "warning",
        "resume",
    )


def test_an_exception_has_its_frames_but_nobody_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    logging.configure(service="resume")

    def fail(full_name: str) -> None:
        raise ValueError(f"duplicate key\nDETAIL:  Key (full_name)=({full_name}) already exists.")

    try:
        fail("Ada Byron")
    except ValueError:
        logging.get("looma.test").exception("not stored")
    (line,) = _lines(capsys)
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert [frame["name"] for frame in line["exception"][0]["frames"]][-1] == "fail"
    assert "Ada" not in json.dumps(line)


@pytest.mark.parametrize("key", sorted(PERSONAL_KEYS))
def test_personal_keys_are_blanked_at_any_depth(key: str) -> None:
    event = {"event": "x", key: "Ada", "deep": [{"more": {key.upper(): "Ada"}}], "kept": 1}
    clean = redact(None, "info", event)
    assert "Ada" not in json.dumps(clean)
    assert clean["kept"] == 1


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("write to ada.byron+crm@mail.example.org today", "ada.byron"),
        ("call 13800138000 now", "13800138000"),
        ("call +86 138 0013 8000", "0013"),
        ("call (020) 7946 0018", "7946"),
        ("'<王@例子.公司>' bounced", "王@例子"),
    ],
)
def test_addresses_and_numbers_in_texts_are_blanked(text: str, hidden: str) -> None:
    clean = redact(None, "info", {"event": text})["event"]
    assert hidden not in clean
    assert REDACTED in clean


@pytest.mark.parametrize(
    "text",
    [
        "019a2b3c-1111-7222-8333-444455556666",
        "2026-11-22T08:29:07.475287Z",
        "Started worker-1 on 0.0.0.0:8080",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "talent_sync_0001",
    ],
)
def test_ids_and_times_stay_readable(text: str) -> None:
    assert redact(None, "info", {"event": text})["event"] == text


@settings(max_examples=settings().max_examples * 2)
@given(st.emails())
@example("'@A.af")
def test_no_address_survives(email: str) -> None:
    clean = redact(None, "info", {"event": f"could not send to {email} in time"})["event"]
    assert email not in clean
