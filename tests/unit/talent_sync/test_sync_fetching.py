"""A file that comes over HTTP is here whole and checked, or not at all: against a real server that breaks off."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looma_engines.sync_worker.inputs import BadInputError
from looma_engines.talent_sync.syncing.sources.remote.asking import Asker, SourceAwayError
from looma_engines.talent_sync.syncing.sources.remote.fetching import Fetch, Fetched
from looma_engines.talent_sync.syncing.sources.remote.judging import (
    LONGEST_WAIT_SECONDS,
    Meaning,
    asked_to_wait,
    meaning_of,
    pause_before,
    refresh_at,
)
from looma_engines.talent_sync.syncing.sources.remote.paging import Circle
from support.remote_sources import SourceServer, source_server

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CONTENT = random.Random(7).randbytes(700_000)  # noqa: S311 - no secret
NAME = "people.jsonl"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with source_server(tmp_path_factory.mktemp("source")) as found:
        yield found


@pytest.fixture
def server(running: SourceServer) -> SourceServer:
    running.file(NAME).write_bytes(CONTENT)
    running.faults()
    running.forget()
    return running


def asker(patience: float = 3.0) -> Asker:
    return Asker(httpx.Client(trust_env=False), patience=patience)


def fetched(server: SourceServer, folder: Path, by: Asker | None = None) -> Fetched:
    asking = by or asker()
    try:
        return Fetch(asking, lambda: f"{server.url}/files/{NAME}", folder / "here").run()
    finally:
        asking.close()


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        *((status, Meaning.TAKEN) for status in (200, 206)),
        *((status, Meaning.LATER) for status in (408, 421, 425, 429, 500, 502, 503, 504)),
        (401, Meaning.NO_TOKEN),
        *((status, Meaning.REFUSED) for status in (204, 301, 302, 304, 400, 403, 404, 410, 416, 451, 501)),
    ],
)
def test_what_a_status_means(status: int, meaning: Meaning) -> None:
    assert meaning_of(status) is meaning


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("120", 120.0),
        (" 3 ", 3.0),
        (format_datetime(NOW.replace(second=30), usegmt=True), 30.0),
        (format_datetime(NOW.replace(hour=11), usegmt=True), 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_how_long_a_source_asks_to_be_left_alone(said: str | None, seconds: float | None) -> None:
    assert asked_to_wait(said, NOW) == seconds


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_pauses_stay_between_a_tenth_and_ten_seconds(tries: int, jitter: float) -> None:
    assert 0.1 <= pause_before(tries, jitter) <= 10


@given(st.floats(1, 1e6))
def test_a_token_is_renewed_before_it_ends(life: float) -> None:
    assert 0 < refresh_at(life) < life


@given(st.integers(0, 60), st.integers(1, 60))
def test_a_list_that_comes_round_again_is_noticed(ahead: int, around: int) -> None:
    circle = Circle()
    endless = [*range(ahead), *(ahead + number % around for number in range(4 * (ahead + around)))]
    found = next((at for at, cursor in enumerate(endless) if circle.closes(str(cursor))), None)
    assert found is not None
    assert found >= ahead + around, "a cursor that was not there before"
    assert not any(Circle().closes(str(number)) for number in range(50))


def test_a_file_comes_whole(server: SourceServer, tmp_path: Path) -> None:
    first, second = fetched(server, tmp_path), fetched(server, tmp_path)
    assert first == second
    assert first.path.read_bytes() == CONTENT
    assert first.size == len(CONTENT)


def test_a_fetch_that_is_broken_off_goes_on_where_it_was(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "cut", "bytes": 200_000, "times": 2})
    asking = asker()
    assert fetched(server, tmp_path, asking).path.read_bytes() == CONTENT
    assert server.told()["struck"]["cut"] == 2
    # The first answer is of the whole file, the others of what was missing.
    assert asking.asked.requests == {"200": 1, "206": 2, "none": 2}


def test_a_file_that_changes_while_it_is_fetched_is_fetched_anew(
    server: SourceServer, tmp_path: Path
) -> None:
    other = "x" * 650_000
    server.faults({"kind": "cut", "bytes": 300_000}, {"kind": "edit", "bytes": other})
    found = fetched(server, tmp_path)
    assert found.path.read_text() == other
    assert found.size == len(other)


@pytest.mark.parametrize("kind", ["cut", "open"])
def test_a_part_is_never_taken_for_the_file(server: SourceServer, tmp_path: Path, kind: str) -> None:
    server.faults({"kind": kind, "bytes": 0, "times": 1000})
    with pytest.raises(SourceAwayError if kind == "cut" else BadInputError):
        fetched(server, tmp_path, asker(patience=0.5))
    assert not (tmp_path / "here").exists()


def test_other_bytes_than_the_source_says_are_not_taken(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "flip", "times": 1})
    assert fetched(server, tmp_path).path.read_bytes() == CONTENT
    server.faults({"kind": "flip", "times": 1000})
    with pytest.raises(SourceAwayError, match="another sha256"):
        fetched(server, tmp_path, asker(patience=0.5))


def test_memory_does_not_grow_with_the_file(server: SourceServer, tmp_path: Path) -> None:
    server.file(NAME).write_bytes(bytes(32 * 1024 * 1024))
    tracemalloc.start()
    try:
        assert fetched(server, tmp_path).size == 32 * 1024 * 1024
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


def test_a_page_for_people_is_no_file(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "garbage", "times": 1000})
    with pytest.raises(SourceAwayError, match="a page for people"):
        fetched(server, tmp_path, asker(patience=0.5))


def test_a_server_without_ranges_is_asked_from_the_beginning(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "cut", "bytes": 200_000}, {"kind": "no ranges", "times": 1000})
    asking = asker()
    assert fetched(server, tmp_path, asking).path.read_bytes() == CONTENT
    assert asking.asked.requests == {"200": 2, "none": 1}


def test_a_part_of_another_version_is_not_put_to_the_first(server: SourceServer, tmp_path: Path) -> None:
    # A server that does not look at If-Range, and a file that is another one of the same length by then.
    other = "y" * len(CONTENT)
    server.faults(
        {"kind": "cut", "bytes": 300_000},
        {"kind": "edit", "bytes": other, "blind": True},
    )
    assert fetched(server, tmp_path).path.read_text() == other


def test_a_source_is_left_alone_for_as_long_as_it_asks(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "status", "status": 429, "retry_after": 1, "times": 2})
    asking = asker(patience=0.5)
    fetched(server, tmp_path, asking)
    first, second, third = server.told()["times"]
    assert second - first >= 1
    assert third - second >= 1
    assert asking.asked.throttled_seconds == 2
    assert asking.asked.retries == 2
    server.faults({"kind": "status", "status": 503, "retry_after": int(LONGEST_WAIT_SECONDS) + 1})
    with pytest.raises(SourceAwayError, match="503"):
        fetched(server, tmp_path)


def test_questions_keep_a_pace(server: SourceServer) -> None:
    server.file(NAME).write_text("{}")
    asking = Asker(httpx.Client(trust_env=False), per_second=20)
    for _ in range(5):
        asking.decoded(f"{server.url}/files/{NAME}", dict)
    times = server.told()["times"]
    assert times[-1] - times[0] >= 0.19
    assert 0 < asking.asked.throttled_seconds < 0.21
    asking.close()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "status", "status": 403}, "answers 403"),
        ({"kind": "status", "status": 401}, "answers 401"),
        ({"kind": "status", "status": 302}, "write the address that it leads to"),
    ],
)
def test_what_is_refused_is_not_asked_again(
    server: SourceServer, tmp_path: Path, fault: dict[str, object], says: str
) -> None:
    server.faults({**fault, "times": 1000})
    with pytest.raises(BadInputError, match=says):
        fetched(server, tmp_path)
    assert sum(server.told()["seen"].values()) == 1


def test_a_source_that_dies_and_comes_back(server: SourceServer, tmp_path: Path) -> None:
    server.faults({"kind": "die", "bytes": 100_000})
    with pytest.raises(SourceAwayError, match=r"127\.0\.0\.1 does not answer: ConnectError"):
        fetched(server, tmp_path, asker(patience=0.5))
    server.start()
    assert fetched(server, tmp_path).path.read_bytes() == CONTENT
