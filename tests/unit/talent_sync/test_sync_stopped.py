"""A worker that is stopped in the middle of a transaction: what it holds is given up, so the next run goes on."""

from __future__ import annotations

import time
from pathlib import Path

import psycopg
import pytest

from looma_engines.talent_sync.syncing import connecting
from support.database import DatabaseUrls
from support.sync_runs import Runs, person

pytestmark = pytest.mark.database
DEADLINE = 60.0


def test_the_next_run_waits_for_a_stopped_worker_only_until_its_transaction_is_ended(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(database_urls, tenant, tmp_path)
    runs.one([person(1)])
    monkeypatch.setattr(connecting, "IDLE_TIMEOUT_MS", 300)
    # As a batch begins: the fence's row is held, and nothing comes any more.
    with connecting.connect(database_urls.app, application_name="sync-people") as stopped:
        stopped.execute("BEGIN")
        stopped.execute("SELECT set_config('looma.tenant', %s, true)", (tenant,))
        assert stopped.execute("SELECT epoch FROM talent_sync.sync_fences FOR SHARE").fetchall() == [(1,)]
        stopped.execute("UPDATE talent_sync.talents SET headline = 'Late'")
        assert runs.one([person(1, headline="Analyst")]).updated == 1
        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            stopped.execute("COMMIT")
    assert runs.talents()["p-1"]["headline"] == "Analyst"


def test_a_worker_that_was_given_up_and_goes_on_writes_its_batch_once(
    database_urls: DatabaseUrls, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(database_urls, tenant, tmp_path)
    runs.write([person(1), person(2)])
    runs.epoch = runs.server.epoch = 1
    monkeypatch.setattr(connecting, "IDLE_TIMEOUT_MS", 300)
    given = runs.inputs()
    worker = runs.worker(given)
    worker.resume(given, None)
    (batch, *_) = worker.batches(given, "")
    assert worker._connection is not None
    worker._connection.execute("BEGIN")
    served = worker._connection.info.backend_pid
    until = time.monotonic() + DEADLINE
    while runs.rows("SELECT pid FROM pg_stat_activity WHERE pid = %(pid)s", pid=served):
        assert time.monotonic() < until, "the server gives it up"
    assert worker.write(given, batch).created == 2
    worker.close()
    assert set(runs.talents()) == {"p-1", "p-2"}
