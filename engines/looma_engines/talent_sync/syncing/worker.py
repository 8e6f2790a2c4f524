"""The worker that brings the records of a source in: what the frame of sync workers asks of it.

A shard goes through three stages, each a part of its batches: it writes what the source has; where the SyncJob says so,
it deletes what the source has no more; and it reads the source once more, to see that the database holds every record,
and writes again what it does not. A SyncJob of two ways has one more, the last: it writes to the source what was
changed here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar

import msgspec
import psycopg
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_delay,
    wait_random_exponential,
)

from looma_core.api.syncjob import RemoteSource, ShardReport, Target
from looma_engines.sync_worker.cluster import FencedError
from looma_engines.sync_worker.frame import Asked, Batch, Conclusion, Counts
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.privacy.sealing import Sealer, SealError
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.talents import TALENTS

from .back.opening import open_writable
from .back.outbox import Outbox
from .back.stage import ROUNDS, Stage
from .counting import Tally, reported, told
from .deciding import DELETED, Decision, Known, Rules, Verdict, decide_all, forgotten
from .erased import NoLedgerKeyError
from .repository import Checkpoint, FenceError, Place, SyncRepository, connect
from .source_row import SourceRow, shard_of
from .sources.opening import open_source
from .sources.patience import PatientSource
from .sources.record_source import AsksOverHttp
from .spans import Run, Span, form_of, next_span, watermark_of
from .three_way import Policy

ENTITIES: dict[str, Entity[Any, Any]] = {entity.name: entity for entity in (TALENTS, COMPANIES, JOBS)}
PATIENCE_SECONDS = 120.0
"""How long a database may be away: it restarts, or another takes its place."""
SWEEP, LATE, AGAIN, BACK = "sweep", "late", "again", "back"
"""Stages that read nothing new: deletions, what the source changed meanwhile, what the database was found to lack, and
what is written to the source."""
_GONE = (psycopg.OperationalError, psycopg.InterfaceError)
"""The database is away, was shut down, or took too long."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RecordsWorker:
    """Reads a source and writes talents, companies or jobs.

    Args:
        url: of the database, as the application's role.
        target: where the records go.
        sealer: the keys of what is stored of people.
        now: the clock.
        patience: seconds for which the database may be away, and the source.
        ledger: tells which keys were erased; None where nothing ever was.
    """

    name = "records"

    def __init__(
        self,
        url: str,
        target: Target,
        *,
        sealer: Sealer,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: float = PATIENCE_SECONDS,
        ledger: LedgerKey | None = None,
    ) -> None:
        self._ledger = ledger
        self._url = url
        self._target = target
        self._sealer = sealer
        self._now = now
        self._patience = patience
        self._entity = ENTITIES[target.entity]
        self._by_field = {name: Policy(policy) for name, policy in target.conflict_policy.fields.items()}
        self._repository: SyncRepository | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._checkpoint = Checkpoint(generation=0, step=0, position=0, tally=Tally())
        self._source: PatientSource | None = None
        self._stage: Stage | None = None
        self._moved = 0
        self._span: Span | None = None
        self._latest: datetime | None = None
        self._shortfall = ""
        self._looked = self._held = 0

    def resume(self, inputs: Inputs, earlier: ShardReport | None) -> ShardReport | None:
        """Where the database says that this shard is; what was reported may be less, never more.

        Raises:
            BadInputError: the target names a field that its records have not.
            FencedError: a newer run has the fence.
        """
        if unknown := sorted(self._by_field.keys() - {*self._entity.settable, DELETED}):
            raise BadInputError(
                f"conflictPolicy.fields: a {self._entity.name} has no field {', '.join(unknown)}"
            )
        self._begin(inputs)
        self._latest = self._checkpoint.latest
        self._span = self._spanned(inputs)
        tally = self._checkpoint.tally
        report = earlier or ShardReport(shard=inputs.shard, epoch=inputs.epoch)
        return msgspec.structs.replace(report, cursor=str(self._checkpoint.position), **reported(tally))

    def total(self, inputs: Inputs) -> int | None:
        """Records of this shard: what the source says where there is one shard, else by reading a file once."""
        source = self._opened(inputs)
        if not source.source.live:
            return sum(1 for _ in self._rows(inputs))
        return source.total(since=self._since) if inputs.shards == 1 else None

    def batches(self, inputs: Inputs, cursor: str) -> Iterator[Batch]:
        """What the source has after the cursor, then the sweep, then what the database was found not to hold."""
        del cursor  # The database knows better where the source goes on.
        rows = self._noted(self._opened(inputs).rows(after=self._checkpoint.cursor, since=self._since))
        for chunk in _chunks(_of_shard(rows, inputs), inputs.batch_size):
            yield Batch(records=chunk, cursor=str(chunk[-1].position))
        end = str(self._checkpoint.position)
        self._shortfall = self._opened(inputs).source.shortfall()
        # What a source that was cut short does not have is not missing, and what did not change is not either.
        if self._target.on_missing == "delete" and self._is_whole:
            yield Batch(records=[], cursor=end, stage=SWEEP)
        self._looked = self._held = 0
        for chunk in _chunks(self._rows(inputs), inputs.batch_size):
            missing = self._missing(inputs, chunk)
            for stage in (LATE, AGAIN) if self._opened(inputs).source.live else (AGAIN,):
                if missing:
                    yield Batch(records=missing, cursor=end, stage=stage)
                    missing = self._missing(inputs, missing)
            self._looked += len(chunk)
            self._held += len(chunk) - len(missing)
        if self._target.direction == "twoWay":
            # Last of all: what was read before is older than what is written now.
            yield from self._back(inputs, end)

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        """Write a batch in one transaction, however often the database is away meanwhile.

        Raises:
            BadInputError: a record is refused, and the SyncJob wants none that is.
            FencedError: a newer run has the fence.
        """
        before = self._checkpoint
        if batch.stage == BACK:
            self._write_back(inputs, batch)
        else:
            self._write(inputs, batch)
        return Counts(**reported(self._checkpoint.tally - before.tally))

    def _write(self, inputs: Inputs, batch: Batch) -> None:
        before = self._checkpoint
        position, cursor = before.position, before.cursor
        if not batch.stage:
            position, cursor = batch.records[-1].position, batch.records[-1].after

        def once(repository: SyncRepository) -> Checkpoint:
            if batch.stage == SWEEP:
                return repository.sweep(after=before)
            return repository.write(
                batch.records,
                after=before,
                position=position,
                cursor=cursor,
                latest=self._latest,
                decide=lambda known, present, erased: self._decide(batch, known, present, erased),
                keeps_refused=self._target.validation.on_invalid == "quarantine",
                again=bool(batch.stage),
            )

        self._checkpoint = self._written(inputs, once, before=before)

    def _back(self, inputs: Inputs, end: str) -> Iterator[Batch]:
        """Batches of keys whose records may differ from what the source has; those that moved meanwhile once more."""
        # All is read: nothing of the source is held while it is written.
        self._opened(inputs).source.close()
        for _ in range(ROUNDS):
            self._moved, after = 0, ""
            while keys := self._tried(
                inputs,
                lambda repository: repository.back_keys(after, inputs.batch_size),  # noqa: B023 - done at once
            ):
                yield Batch(records=keys, cursor=end, stage=BACK)
                after = keys[-1]
            if not self._moved:
                return

    def _write_back(self, inputs: Inputs, batch: Batch) -> None:
        if self._stage is None:
            reading = self._opened(inputs).source
            writable = open_writable(inputs, self._entity.name, patience=self._patience, reading=reading)
            self._stage = Stage(writable, self._entity.settable, patience=self._patience)

        def step(action: Callable[[Outbox], Tally]) -> None:
            before = self._checkpoint
            self._checkpoint = self._written(
                inputs, lambda repository: repository.back(after=before, action=action), before=before
            )

        moved = self._stage.write(batch.records, step)
        self._moved += len(moved)
        if moved:
            self._write(inputs, Batch(records=moved, cursor=batch.cursor, stage=LATE))

    def conclude(self, inputs: Inputs) -> Conclusion:
        """Note that the shard is done, and say what was found."""
        found = {"looked": self._looked, "held": self._held}
        watermark = None if self._span is None else watermark_of(self._span, self._latest)
        self._tried(
            inputs, lambda repository: repository.end(found, whole=self._is_whole, watermark=watermark)
        )
        message = told(self._checkpoint.tally, looked=self._looked, held=self._held)
        if self._since is not None:
            message += f"; read what changed since {self._since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        elif self._target.on_missing == "delete" and self._shortfall:
            message += f"; nothing was deleted, as {self._shortfall}"
        return Conclusion(message=message, verified=self._held)

    def asked(self) -> Asked | None:
        """What was asked of a source over HTTP so far."""
        source = self._source.source if self._source is not None else None
        return source.asked() if isinstance(source, AsksOverHttp) else None

    def close(self) -> None:
        """Give the connections back."""
        if self._source is not None:
            self._source.source.close()
        if self._stage is not None:
            self._stage.close()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._repository = None

    def _decide(
        self,
        batch: Batch,
        known: Mapping[str, Known],
        present: Mapping[str, Collection[str]],
        erased: Collection[str],
    ) -> list[Decision]:
        again = batch.stage == AGAIN
        rules = Rules(
            generation=self._checkpoint.generation,
            entity=self._entity,
            policy=Policy.SOURCE if again else Policy(self._target.conflict_policy.default),
            by_field={} if again else self._by_field,
            min_quality=self._target.validation.min_quality,
            today=self._now().date(),
            present=present,
            erased=erased,
        )
        if again:
            known = {key: forgotten(state) for key, state in known.items()}
        elif batch.stage == LATE:
            # By the usual rules: the source changed it after this run had read it.
            known = {key: replace(state, seen_generation=0) for key, state in known.items()}
        decisions = decide_all(batch.records, known, rules)
        if self._target.validation.on_invalid == "fail":
            for decision in decisions:
                if decision.verdict is Verdict.REFUSED:
                    wrong = "; ".join(f"{fault.field}: {fault.message}" for fault in decision.faults)
                    raise BadInputError(f"record at {decision.row.position}: {wrong}")
        return decisions

    def _begin(self, inputs: Inputs) -> None:
        self._checkpoint = self._tried(inputs, lambda repository: repository.begin())

    def _written(
        self, inputs: Inputs, action: Callable[[SyncRepository], Checkpoint], *, before: Checkpoint
    ) -> Checkpoint:
        """Write what follows `before`, once.

        Where the connection breaks at a commit nobody knows whether it was one: the checkpoint tells. So nothing is
        written again where the database is a step further.
        """
        tries = 0

        def unless_written(repository: SyncRepository) -> Checkpoint:
            nonlocal tries
            tries += 1
            if tries > 1 and (found := repository.checkpoint()).step == before.step + 1:
                return found
            return action(repository)

        return self._tried(inputs, unless_written)

    def _tried(self, inputs: Inputs, action: Callable[[SyncRepository], T]) -> T:
        """Do it on a database that may be away for a while."""
        for attempt in Retrying(
            retry=retry_if_exception_type(_GONE),
            stop=stop_after_delay(self._patience),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=before_sleep_log(_log, logging.WARNING),
            reraise=True,
        ):
            with attempt:
                try:
                    return action(self._connected(inputs))
                except FenceError as error:
                    raise FencedError(str(error)) from error
                except SealError as error:
                    # Another try would have the same keys.
                    raise BadInputError(str(error)) from error
                except NoLedgerKeyError as error:
                    raise BadInputError(
                        "LOOMA_LEDGER_KEY is missing: people were erased, and without it they would be brought back"
                    ) from error
                except _GONE:
                    self._disconnect()
                    raise
        raise AssertionError("unreachable: the last attempt answers or raises")

    def _connected(self, inputs: Inputs) -> SyncRepository:
        if self._repository is None:
            place = Place(
                tenant=self._target.tenant,
                job=f"{inputs.namespace}/{inputs.job}",
                uid=inputs.uid,
                epoch=inputs.epoch,
                shard=inputs.shard,
                shards=inputs.shards,
                run=inputs.run,
                origin=inputs.source.name or inputs.job,
            )
            self._connection = connect(self._url, application_name=f"sync-{inputs.job}")
            self._repository = SyncRepository(
                self._connection, place, self._entity, self._sealer, ledger=self._ledger
            )
        return self._repository

    def _missing(self, inputs: Inputs, rows: list[SourceRow]) -> list[SourceRow]:
        held = self._tried(inputs, lambda repository: repository.held(rows))
        return [row for row in rows if row.position not in held]

    def _opened(self, inputs: Inputs) -> PatientSource:
        if self._source is None:
            source = open_source(inputs, self._entity.name, patience=self._patience)
            self._source = PatientSource(source, patience=self._patience)
        return self._source

    @property
    def _since(self) -> datetime | None:
        return None if self._span is None else self._span.since

    @property
    def _is_whole(self) -> bool:
        """Whether what was read was all that the source has."""
        return self._since is None and not self._shortfall

    def _spanned(self, inputs: Inputs) -> Span | None:
        """Which part of the source is read; None where there is only all of it."""
        source = self._opened(inputs)
        if not source.source.incremental:
            return None
        now, form = source.now(), form_of(inputs.source)
        asked = inputs.source.incremental if isinstance(inputs.source, RemoteSource) else None

        def decide(past: Sequence[Run], others: Span | None) -> Span:
            if others is not None:
                return msgspec.structs.replace(others, until=now)
            return next_span(asked=asked, form=form, past=past, now=now)

        return self._tried(inputs, lambda repository: repository.span(decide))

    def _rows(self, inputs: Inputs) -> Iterator[SourceRow]:
        return _of_shard(self._opened(inputs).rows(after="", since=self._since), inputs)

    def _noted(self, rows: Iterator[SourceRow]) -> Iterator[SourceRow]:
        """The rows as they are; the latest time of any is remembered, whichever shard it is of."""
        for row in rows:
            if row.updated_at is not None and (self._latest is None or row.updated_at > self._latest):
                self._latest = row.updated_at
            yield row


def _of_shard(rows: Iterable[SourceRow], inputs: Inputs) -> Iterator[SourceRow]:
    return (row for row in rows if shard_of(row, inputs.shards) == inputs.shard)


def _chunks(rows: Iterable[SourceRow], size: int) -> Iterator[list[SourceRow]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk
