"""The platform's lists as a worker reads them: against a real server that does what platforms do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from looma_core.api.syncjob import ZervigoSource
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.syncing.source_row import SourceRow, shard_of
from looma_engines.talent_sync.syncing.sources.remote.asking import SourceAwayError
from looma_engines.talent_sync.syncing.sources.remote.tokens import ClientTokens, Given, Issued
from looma_engines.talent_sync.syncing.sources.zervigo import ZervigoRecords
from support.remote_sources import SourceServer, source_server
from support.source_server import CLIENT, SECRET, STATIC_TOKEN
from support.sync_runs import person

LIST = "/api/v1/talents"
NUMBERS = range(100, 123)
KEYS = [f"p-{number}" for number in NUMBERS]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with source_server(tmp_path_factory.mktemp("platform")) as found:
        yield found


@dataclass
class Reading:
    """A platform, and a Secret for it."""

    server: SourceServer
    folder: Path
    patience: float = 2.0
    settings: dict[str, Any] = field(default_factory=dict)

    def secret(self, **keys: str) -> None:
        """What the Secret has from now on, and nothing else."""
        for file in self.folder.iterdir():
            file.unlink()
        for name, value in keys.items():
            (self.folder / name).write_text(f"{value}\n")

    def source(self, entity: str = "talent") -> ZervigoRecords:
        """The source anew, as a pod has it."""
        settings = {"page_size": 5, "requests_per_second": 1000, **self.settings}
        source = ZervigoSource(url=self.server.url, **settings)
        inputs = Inputs(
            job="people",
            namespace="looma",
            run="people-sync-1",
            epoch=1,
            shard=0,
            shards=1,
            source=source,
            batch_size=3,
            data=self.folder,
            credentials=self.folder,
        )
        return ZervigoRecords(inputs, source, entity, patience=self.patience)

    def rows(
        self, *, after: str = "", since: datetime | None = None, entity: str = "talent"
    ) -> list[SourceRow]:
        """All rows after a cursor."""
        source = self.source(entity)
        try:
            return list(source.rows(after=after, since=since))
        finally:
            source.close()

    def asked(self) -> int:
        """How many pages were asked for."""
        return int(self.server.told()["seen"].get(LIST, 0))


@pytest.fixture
def reading(running: SourceServer, tmp_path: Path) -> Reading:
    running.put("talents", [person(number) for number in NUMBERS])
    running.faults()
    running.settings(token_seconds=3600)
    running.forget()
    found = Reading(running, tmp_path)
    found.secret(token=STATIC_TOKEN)
    return found


def keys(rows: list[SourceRow]) -> list[str]:
    return [row.key for row in rows]


@pytest.mark.parametrize("size", [1, 5, 23, 24, 500])
def test_a_list_comes_whole_in_pages_of_any_size(reading: Reading, size: int) -> None:
    reading.settings = {"page_size": size}
    rows = reading.rows()
    assert keys(rows) == KEYS
    assert [row.position for row in rows] == list(range(1, len(KEYS) + 1))
    assert rows[3].values["full_name"] == "Ada Number 103"
    assert reading.asked() == max(1, -(-len(KEYS) // size))


def test_all_kinds_have_lists(reading: Reading) -> None:
    reading.server.put("companies", [{"id": "c-1", "updated_at": "2026-05-01T12:00:00Z", "name": "Acme"}])
    reading.server.put("jobs", [{"id": "j-1", "updated_at": "2026-05-01T12:00:00Z", "title": "Cook"}])
    assert keys(reading.rows(entity="company")) == ["c-1"]
    assert keys(reading.rows(entity="job")) == ["j-1"]


def test_whoever_goes_on_after_any_row_misses_none_and_reads_no_page_before(reading: Reading) -> None:
    rows = reading.rows()
    for number, row in enumerate(rows):
        reading.server.forget()
        found = reading.rows(after=row.after)
        assert keys(found) == KEYS[number + 1 :]
        assert [other.position for other in found] == [other.position for other in rows[number + 1 :]]
        assert [other.after for other in found] == [other.after for other in rows[number + 1 :]]
        assert reading.asked() == 5 - number // 5


def test_records_that_go_and_come_meanwhile_hide_no_other(reading: Reading) -> None:
    for number, row in enumerate(reading.rows()):
        left = [person(other) for other in NUMBERS if other not in (100, 100 + number)] + [person("110x")]
        reading.server.put("talents", left)
        found = keys(reading.rows(after=row.after))
        wanted = [key for key in KEYS[number + 1 :] if key != "p-100"]
        assert [key for key in found if key in wanted] == wanted, (
            "each that is still to come, once and in order"
        )
        reading.server.put("talents", [person(other) for other in NUMBERS])


def test_only_what_changed_since_is_asked_for(reading: Reading) -> None:
    people = [person(number, updated_at=f"2026-05-{number - 99:02d}T12:00:00Z") for number in NUMBERS]
    reading.server.put("talents", people)
    since = datetime(2026, 5, 20, 20, tzinfo=UTC) + timedelta(hours=16)
    assert keys(reading.rows(since=since)) == ["p-120", "p-121", "p-122"]


def test_the_platforms_clock_is_used(reading: Reading) -> None:
    source = reading.source()
    assert abs((source.now() - datetime.now(UTC)).total_seconds()) < 5
    source.close()


TROUBLE = [
    {"kind": "status", "status": 429, "retry_after": 0, "times": 3},
    {"kind": "status", "status": 500, "times": 2},
    {"kind": "status", "status": 503, "times": 2},
    {"kind": "cut", "bytes": 200, "times": 2},
    {"kind": "cut", "bytes": 0, "times": 1},
    {"kind": "garbage", "times": 1},
    {"kind": "slow", "seconds": 0.3, "times": 1},
]


@pytest.mark.parametrize("fault", TROUBLE, ids=[str(fault) for fault in TROUBLE])
def test_what_passes_is_waited_for(reading: Reading, fault: dict[str, Any]) -> None:
    reading.server.faults({**fault, "after": 2, "where": LIST})
    assert keys(reading.rows()) == KEYS
    assert reading.server.told()["struck"][fault["kind"]] == fault["times"]


def test_a_page_that_was_cut_where_nobody_can_see_it_is_no_page(reading: Reading) -> None:
    reading.server.faults({"kind": "open", "bytes": 300, "after": 1, "where": LIST})
    assert keys(reading.rows()) == KEYS


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ({"kind": "cut", "bytes": 100, "times": 1000}, "does not answer"),
        ({"kind": "garbage", "times": 1000}, "something else than was asked for"),
        ({"kind": "status", "status": 500, "times": 1000}, "it answers 500"),
        ({"kind": "loop", "times": 1000}, "come round again"),
    ],
)
def test_a_list_that_has_no_end_is_an_error(reading: Reading, fault: dict[str, Any], says: str) -> None:
    reading.patience = 0.3
    reading.server.faults({**fault, "after": 2, "where": LIST})
    source = reading.source()
    rows = source.rows(after="", since=None)
    taken = [next(rows).key for _ in range(10)]
    assert taken == KEYS[:10]
    with pytest.raises(SourceAwayError, match=says):
        list(rows)
    source.close()


@pytest.mark.parametrize("status", [400, 403, 404, 410, 302])
def test_what_is_refused_ends_the_run(reading: Reading, status: int) -> None:
    reading.server.faults({"kind": "status", "status": status, "times": 1000, "where": LIST})
    with pytest.raises(BadInputError, match=f"answers {status}"):
        reading.rows()
    assert reading.asked() == 1


def test_a_client_gets_tokens_and_renews_them_before_they_end(reading: Reading) -> None:
    reading.settings = {"token_url": f"{reading.server.url}/oauth/token", "page_size": 1}
    reading.secret(client_id=CLIENT, client_secret=SECRET)
    # It is renewed after 4 of its 5 seconds, and each page takes a third of one.
    reading.server.settings(token_seconds=5.0)
    reading.server.faults({"kind": "slow", "seconds": 0.3, "times": 1000, "where": LIST})
    assert keys(reading.rows()) == KEYS
    seen = reading.server.told()["seen"]
    assert seen[LIST] == len(KEYS), "no page was refused for a token that had ended"
    assert 2 <= seen["/oauth/token"] <= 5


def test_a_token_that_ends_before_its_time_is_replaced(reading: Reading) -> None:
    reading.settings = {"token_url": f"{reading.server.url}/oauth/token"}
    reading.secret(client_id=CLIENT, client_secret=SECRET)
    reading.server.faults({"kind": "expire", "after": 2, "times": 1, "where": LIST})
    assert keys(reading.rows()) == KEYS
    assert reading.server.told()["seen"]["/oauth/token"] == 2


def test_an_issuer_that_begins_anew_again_and_again_is_given_its_time(reading: Reading) -> None:
    reading.settings = {"token_url": f"{reading.server.url}/oauth/token"}
    reading.secret(client_id=CLIENT, client_secret=SECRET)
    reading.server.faults({"kind": "expire", "times": 4, "where": LIST})
    assert keys(reading.rows()) == KEYS
    assert reading.server.told()["seen"]["/oauth/token"] == 5


def test_who_is_not_let_in_is_told_so_once(reading: Reading) -> None:
    reading.secret(token="another")
    with pytest.raises(BadInputError, match="answers 401"):
        reading.rows()
    reading.settings = {"token_url": f"{reading.server.url}/oauth/token"}
    reading.secret(client_id=CLIENT, client_secret="wrong")
    with pytest.raises(BadInputError, match=r"source\.credentials"):
        reading.rows()
    reading.secret()
    with pytest.raises(BadInputError, match="has no client_id"):
        reading.rows()
    assert reading.asked() == 1


def test_tokens_that_are_never_taken_are_not_asked_for_without_end() -> None:
    number = itertools.count(1)
    tokens = ClientTokens(lambda: Issued(access_token=f"t{next(number)}"), now=lambda: 0.0)
    assert tokens.headers() == tokens.headers() == {"Authorization": "Bearer t1"}
    assert tokens.renew()
    assert tokens.headers() == {"Authorization": "Bearer t2"}
    tokens.taken()
    assert [tokens.renew() for _ in range(6)] == [True] * 5 + [False]


def test_a_token_that_is_written_anew_is_taken(reading: Reading) -> None:
    given = Given((reading.folder / "token").read_text)
    assert given.headers() == {"Authorization": f"{STATIC_TOKEN}\n"}
    assert not given.renew(), "it is still the same"
    reading.secret(token="another")
    assert given.renew()
    assert given.headers() == {"Authorization": "another\n"}


def test_no_page_is_read_ahead(reading: Reading) -> None:
    source = reading.source()
    rows = source.rows(after="", since=None)
    for number in range(11):
        next(rows)
        assert reading.asked() == number // 5 + 1
    source.close()


WRONG = [7, None, "text", [], {"full_name": "No Key"}, person("101y", updated_at="soon")]


def test_what_is_no_record_is_a_row_with_a_fault_at_its_place(reading: Reading) -> None:
    reading.server.faults(
        {"kind": "items", "items": [person(1), *WRONG, person(2)], "times": 2, "where": LIST}
    )
    rows = reading.rows()
    assert [row.position for row in rows] == list(range(1, 9))
    assert [bool(row.faults) for row in rows] == [False, True, True, True, True, True, True, False]
    assert keys(reading.rows(after=rows[3].after)) == keys(rows)[4:], "a row without a key is known again too"


def test_a_key_is_in_one_shard_whatever_page_it_is_on(reading: Reading) -> None:
    first = {row.key: shard_of(row, 3) for row in reading.rows()}
    reading.settings = {"page_size": 7}
    assert {row.key: shard_of(row, 3) for row in reading.rows()} == first
    assert len(set(first.values())) == 3
