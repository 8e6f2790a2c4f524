"""The worker that brings the records of a source in: what the frame of sync workers asks of it.

A shard goes through three stages, each a part of its batches: it writes what the source has; where the SyncJob says so,
it deletes what the source has no more; and it reads the source once more, to see that the database holds every record,
and writes again what it does not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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

from looma_core.api.syncjob import ShardReport, Target
from looma_core.problems import ValidationProblem
from looma_engines.sync_worker.cluster import FencedError
from looma_engines.sync_worker.frame import Batch, Conclusion, Counts
from looma_engines.sync_worker.inputs import BadInputError, Inputs
from looma_engines.talent_sync.companies import COMPANIES
from looma_engines.talent_sync.jobs import JOBS
from looma_engines.talent_sync.records.entity import Entity
from looma_engines.talent_sync.rights.ledger import LedgerKey
from looma_engines.talent_sync.talents import TALENTS

from .counting import Tally
from .deciding import DELETED, Decision, Known, Rules, Verdict, decide_all, forgotten
from .erased import NoLedgerKeyError
from .files import read_file
from .repository import Checkpoint, FenceError, Place, SyncRepository, connect
from .source_row import SourceRow, shard_of
from .three_way import Policy

ENTITIES: dict[str, Entity[Any, Any]] = {entity.name: entity for entity in (TALENTS, COMPANIES, JOBS)}
PATIENCE_SECONDS = 120.0
"""How long a database may be away: it restarts, or another takes its place."""
SWEEP, AGAIN = "sweep", "again"
_GONE = (psycopg.OperationalError, psycopg.InterfaceError)
"""The database is away, was shut down, or took too long."""
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RecordsWorker:
    """Reads a file and writes talents, companies or jobs.

    Args:
        url: of the database, as the application's role.
        target: where the records go.
        now: the clock.
        patience: seconds for which the database may be away.
        ledger: tells which keys were erased; None where nothing ever was.
    """

    name = "records"

    def __init__(
        self,
        url: str,
        target: Target,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: float = PATIENCE_SECONDS,
        ledger: LedgerKey | None = None,
    ) -> None:
        self._ledger = ledger
        self._url = url
        self._target = target
        self._now = now
        self._patience = patience
        self._entity = ENTITIES[target.entity]
        self._by_field = {name: Policy(policy) for name, policy in target.conflict_policy.fields.items()}
        self._repository: SyncRepository | None = None
        self._connection: psycopg.Connection[Any] | None = None
        self._checkpoint = Checkpoint(generation=0, step=0, position=0, tally=Tally())
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
        tally = self._checkpoint.tally
        report = earlier or ShardReport(shard=inputs.shard, epoch=inputs.epoch)
        return msgspec.structs.replace(report, cursor=str(self._checkpoint.position), **_reported(tally))

    def total(self, inputs: Inputs) -> int | None:
        """Records of this shard, by reading the whole file once."""
        return sum(1 for _ in self._rows(inputs))

    def batches(self, inputs: Inputs, cursor: str) -> Iterator[Batch]:
        """What the source has after the cursor, then the sweep, then what the database was found not to hold."""
        behind = int(cursor or 0)
        rows = (row for row in self._rows(inputs) if row.position > behind)
        for chunk in _chunks(rows, inputs.batch_size):
            yield Batch(records=chunk, cursor=str(chunk[-1].position))
        end = str(self._checkpoint.position)
        if self._target.on_missing == "delete":
            yield Batch(records=[], cursor=end, stage=SWEEP)
        self._looked = self._held = 0
        for chunk in _chunks(self._rows(inputs), inputs.batch_size):
            missing = self._missing(inputs, chunk)
            if missing:
                yield Batch(records=missing, cursor=end, stage=AGAIN)
                missing = self._missing(inputs, missing)
            self._looked += len(chunk)
            self._held += len(chunk) - len(missing)

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        """Write a batch in one transaction, however often the database is away meanwhile.

        Raises:
            BadInputError: a record is refused, and the SyncJob wants none that is.
            FencedError: a newer run has the fence.
        """
        before = self._checkpoint
        position = int(batch.cursor)

        def once(repository: SyncRepository) -> Checkpoint:
            if batch.stage == SWEEP:
                return repository.sweep(after=before)
            return repository.write(
                batch.records,
                after=before,
                position=position,
                decide=lambda known, present, erased: self._decide(batch, known, present, erased),
                keeps_refused=self._target.validation.on_invalid == "quarantine",
                again=batch.stage == AGAIN,
            )

        self._checkpoint = self._written(inputs, once, before=before)
        return Counts(**_reported(self._checkpoint.tally - before.tally))

    def conclude(self, inputs: Inputs) -> Conclusion:
        """Note that the shard is done, and say what was found."""
        found = {"looked": self._looked, "held": self._held}
        self._tried(inputs, lambda repository: repository.end(found))
        tally = self._checkpoint.tally
        message = (
            f"{tally.created} created, {tally.updated} updated, {tally.unchanged} unchanged, {tally.deleted} deleted, "
            f"{tally.quarantined} in quarantine; of {tally.conflicts} conflicts {tally.resolved} settled; "
            f"{self._held} of {self._looked} found again"
            + (f"; {tally.erased} were erased here and are not kept" if tally.erased else "")
        )
        return Conclusion(message=message, verified=self._held)

    def close(self) -> None:
        """Give the connection back."""
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
                except NoLedgerKeyError as error:
                    raise BadInputError(
                        "LOOMA_LEDGER_KEY is missing: people were erased, and without it they would be brought back"
                    ) from error
                except _GONE:
                    self.close()
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
            self._repository = SyncRepository(self._connection, place, self._entity, ledger=self._ledger)
        return self._repository

    def _missing(self, inputs: Inputs, rows: list[SourceRow]) -> list[SourceRow]:
        held = self._tried(inputs, lambda repository: repository.held(rows))
        return [row for row in rows if row.position not in held]

    def _rows(self, inputs: Inputs) -> Iterator[SourceRow]:
        try:
            for row in read_file(inputs.file, inputs.source, self._entity.name):
                if shard_of(row, inputs.shards) == inputs.shard:
                    yield row
        except OSError as error:
            raise BadInputError(
                f"source.path {inputs.source.path} cannot be read: {error.strerror}"
            ) from error
        except ValidationProblem as problem:
            wrong = "; ".join(f"{fault.field} {fault.message}" for fault in problem.errors)
            raise BadInputError(f"source.path {inputs.source.path} cannot be read: {wrong}") from problem


def _chunks(rows: Iterable[SourceRow], size: int) -> Iterator[list[SourceRow]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk


def _reported(tally: Tally) -> dict[str, int]:
    """The counts that the shard's entry has names for."""
    names = (
        "read",
        "created",
        "updated",
        "unchanged",
        "deleted",
        "conflicts",
        "resolved",
        "quarantined",
        "failed",
    )
    return {name: getattr(tally, name) for name in names}
