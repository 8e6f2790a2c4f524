"""The worker that brings the records of a source in: what the frame of sync workers asks of it.

A shard goes through three stages, each a part of its batches: it writes what the source has; where the SyncJob says so,
it deletes what the source has no more; and it reads the source once more, to see that the database holds every record,
and writes again what it does not. A SyncJob of two ways has one more, the last: it writes to the source what was
changed here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
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

from looma_core.api.syncjob import RemoteSource, ShardQuality, ShardReport, Target
from looma_engines.sync_worker.cluster import FencedError
from looma_engines.sync_worker.frame import Asked, Batch, Conclusion, Counts
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.kinds import KINDS
from looma_engines.talent_sync.privacy.fields import Seals
from looma_engines.talent_sync.privacy.sealing import Sealer, SealError
from looma_engines.talent_sync.rights.ledger import LedgerKey

from .back.outbox import Outbox
from .back.running import STAGES as BACK_STAGES
from .back.running import WritingBack
from .connecting import connect
from .counting import Tally, reported, told
from .deciding import DELETED, Decision, Found, Rules, Verdict, decide_all, forgotten
from .erased import NoLedgerKeyError
from .judging import Judged, judge
from .reading_ahead import Ahead, ReadBatch, Reading
from .repository import Checkpoint, FenceError, Place, SyncRepository
from .source_row import SourceRow, shard_of
from .sources.opening import open_source
from .sources.patience import PatientSource
from .sources.record_source import AsksOverHttp
from .spans import Run, Span, form_of, next_span, reading_of, watermark_of
from .staging import Staging
from .three_way import Policy
from .verifying import Looked, missing

PATIENCE_SECONDS = 120.0
"""How long a database may be away: it restarts, or another takes its place."""
SWEEP, LATE, AGAIN = "sweep", "late", "again"
"""Stages that read nothing new: deletions, what the source changed meanwhile, and what the database was found to lack;
`BACK_STAGES` are those that write to the source."""
_GONE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""The database is away, was shut down, or took too long; or it gave this worker up, which had been stopped."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RecordsWorker:
    """Reads a source and writes talents, companies, jobs or relations.

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
        self._entity = KINDS[target.entity]
        self._staging = Staging(Seals(sealer, target.tenant), target.entity)
        self._creates = False
        self._by_field = {name: Policy(policy) for name, policy in target.conflict_policy.fields.items()}
        self._repository: SyncRepository | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._checkpoint = Checkpoint(generation=0, step=0, position=0, tally=Tally())
        self._source: PatientSource | None = None
        self._reading: Reading | None = None
        self._reader: Ahead[ReadBatch] | None = None
        self._writing: WritingBack | None = None
        self._span: Span | None = None
        self._latest: datetime | None = None
        self._shortfall = ""
        self._found = Looked()

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
        if unknown := sorted(self._target.references.keys() - self._entity.refers.keys()):
            raise BadInputError(
                f"references: {', '.join(unknown)} of a {self._entity.name} names no other record"
            )
        self._begin(inputs)
        self._latest = self._checkpoint.latest
        self._span = self._spanned(inputs)
        tally = self._checkpoint.tally
        report = earlier or ShardReport(shard=inputs.shard, epoch=inputs.epoch)
        return msgspec.structs.replace(
            report,
            cursor=str(self._checkpoint.position),
            reading=reading_of(self._span),
            **reported(tally),
        )

    def total(self, inputs: Inputs) -> int | None:
        """Records of this shard: what the source says where there is one shard, else by reading a file once."""
        source = self._opened(inputs)
        if inputs.shards == 1:
            return source.total(since=self._since)
        if source.source.live:
            return None
        return sum(shard_of(row, inputs.shards) == inputs.shard for row in self._rows(inputs))

    def batches(self, inputs: Inputs, cursor: str) -> Iterator[Batch]:
        """What the source has after the cursor, then the sweep, then what the database was found not to hold."""
        del cursor  # The database knows better where the source goes on.
        rows = self._opened(inputs).rows(after=self._checkpoint.cursor, since=self._since)
        # Of a first run nothing is known, so all of it will have to be judged, and to be made.
        # Where keys are to be replaced by ids that waits for the batch's transaction, which alone knows them.
        self._creates = inputs.epoch == 1 and not self._target.references
        self._reading = self._cut(inputs, ahead=self._creates)
        yield from self._ahead(self._reading.batches(rows))
        self._latest = self._reading.latest
        end = str(self._checkpoint.position)
        self._shortfall = self._opened(inputs).source.shortfall()
        # What a source that was cut short does not have is not missing, and what did not change is not either.
        if self._target.on_missing == "delete" and self._is_whole:
            yield Batch(records=[], cursor=end, stage=SWEEP)
        self._found = Looked()
        for batch in self._ahead(self._cut(inputs).batches(self._rows(inputs))):
            chunk = batch.records
            stored = self._stored(inputs, chunk)
            for stage in (LATE, AGAIN) if self._opened(inputs).source.live else (AGAIN,):
                if lacking := missing(chunk, stored):
                    yield Batch(records=lacking, cursor=end, stage=stage)
                    again = self._stored(inputs, lacking)
                    stored |= {row.position: again.get(row.position, b"") for row in lacking}
            self._found += Looked.of(chunk, stored)
            if self._target.direction == "twoWay":
                yield from self._writing_back(inputs).erased(chunk, end)
        if self._target.direction == "twoWay":
            # Last of all: what was read before is older than what is written now.
            yield from self._writing_back(inputs).batches(end)

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        """Write a batch in one transaction, however often the database is away meanwhile.

        Raises:
            BadInputError: a record is refused, and the SyncJob wants none that is.
            FencedError: a newer run has the fence.
        """
        before = self._checkpoint
        if batch.stage in BACK_STAGES:
            if moved := self._writing_back(inputs).write(batch):
                self._write(inputs, Batch(records=moved, cursor=batch.cursor, stage=LATE))
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
                latest=batch.latest if isinstance(batch, ReadBatch) else self._latest,
                decide=lambda found: self._decide(batch, found),
                keeps_refused=self._target.validation.on_invalid == "quarantine",
                again=bool(batch.stage),
                repairs=batch.stage == AGAIN,
                find=lambda record_id: self._writing_back(inputs).find(record_id),
            )

        self._checkpoint = self._written(inputs, once, before=before)

    def _writing_back(self, inputs: Inputs) -> WritingBack:
        if self._writing is None:

            def step(action: Callable[[SyncRepository, Outbox], Tally]) -> None:
                before = self._checkpoint

                def once(repository: SyncRepository) -> Checkpoint:
                    return repository.back(after=before, action=lambda outbox: action(repository, outbox))

                self._checkpoint = self._written(inputs, once, before=before)

            self._writing = WritingBack(
                inputs,
                self._entity,
                self._target.write_back,
                patience=self._patience,
                reading=self._opened(inputs).source,
                tried=lambda action: self._tried(inputs, action),
                step=step,
            )
        return self._writing

    def conclude(self, inputs: Inputs) -> Conclusion:
        """Note that the shard is done, and say what was found."""
        found = self._found
        watermark = None if self._span is None else watermark_of(self._span, self._latest)
        self._tried(
            inputs, lambda repository: repository.end(found.kept(), whole=self._is_whole, watermark=watermark)
        )
        message = told(self._checkpoint.tally, looked=found.looked, held=found.held)
        if self._since is not None:
            message += f"; read what changed since {self._since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        elif self._target.on_missing == "delete" and self._shortfall:
            message += f"; nothing was deleted, as {self._shortfall}"
        return Conclusion(message=message, verified=found.held)

    def asked(self) -> Asked | None:
        """What was asked of a source over HTTP so far."""
        source = self._source.source if self._source is not None else None
        return source.asked() if isinstance(source, AsksOverHttp) else None

    def quality(self) -> ShardQuality | None:
        """How good the records were that the shard met, and are."""
        marks = self._checkpoint.tally.quality
        if not marks.before and not marks.after:
            return None
        return ShardQuality(
            records_before=sum(marks.before.values()),
            score_before=marks.before_sum,
            records_after=sum(marks.after.values()),
            score_after=marks.after_sum,
        )

    def close(self) -> None:
        """Give the connections back."""
        if self._reader is not None:
            self._reader.stop()
        if self._source is not None:
            self._source.source.close()
        if self._writing is not None:
            self._writing.close()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = self._repository = None

    def _decide(self, batch: Batch, found: Found) -> list[Decision]:
        again, known = batch.stage == AGAIN, found.known
        rules = Rules(
            generation=self._checkpoint.generation,
            entity=self._entity,
            policy=Policy.SOURCE if again else Policy(self._target.conflict_policy.default),
            by_field={} if again else self._by_field,
            min_quality=self._target.validation.min_quality,
            today=self._now().date(),
            present=found.present,
            erased=found.erased,
            absent=found.absent,
            beside=found.beside,
            judged=batch.judged if isinstance(batch, ReadBatch) else {},
        )
        if again:
            known = {key: forgotten(state) for key, state in known.items()}
        elif batch.stage == LATE:
            # By the usual rules: the source changed it after this run had read it.
            known = {key: replace(state, seen_generation=0) for key, state in known.items()}
        decisions = decide_all(found.rows, known, rules)
        if isinstance(batch, ReadBatch) and self._reading is not None:
            # What did not change is not judged: where that is most of a source, the next batches are not either.
            changed = 2 * sum(one.base is not None for one in decisions) > len(decisions)
            self._reading.ahead = changed and not self._target.references
            self._creates = 2 * sum(one.verdict is Verdict.CREATE for one in decisions) > len(decisions)
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
                self._connection,
                place,
                self._entity,
                self._sealer,
                ledger=self._ledger,
                references=self._target.references,
            )
        return self._repository

    def _stored(self, inputs: Inputs, rows: list[SourceRow]) -> dict[int, bytes]:
        return self._tried(inputs, lambda repository: repository.stored(rows))

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
        return self._opened(inputs).rows(after="", since=self._since)

    def _cut(self, inputs: Inputs, *, ahead: bool = False) -> Reading:
        return Reading(
            lambda row: inputs.shards == 1 or shard_of(row, inputs.shards) == inputs.shard,
            size=inputs.batch_size,
            judge=self._judged,
            latest=self._latest,
            ahead=ahead,
        )

    def _judged(self, row: SourceRow) -> Judged:
        found = judge(row, self._entity, today=self._now().date())
        if found.faults or not self._creates:
            return found
        return replace(found, staged=self._staging.created(row, found.base, found.mark))

    def _ahead(self, batches: Generator[ReadBatch, None, None]) -> Iterator[ReadBatch]:
        self._reader = Ahead(batches)
        return iter(self._reader)
