"""A worker that reads the records of its shard, checks that each is one, and writes none."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import msgspec

from looma_core.api.syncjob import ShardReport

from .frame import Batch, Conclusion, Counts
from .inputs import BadInputError, Inputs


class CountingWorker:
    """Reads JSONL or CSV. Record n of the file belongs to shard n modulo the number of shards.

    Its cursor is how many records of the whole file are behind it.
    """

    name = "counting"

    def resume(self, inputs: Inputs, earlier: ShardReport | None) -> ShardReport | None:
        """What was reported is all there is to know."""
        del inputs
        return earlier

    def total(self, inputs: Inputs) -> int | None:
        """Records of this shard, by reading the whole file once."""
        return sum(1 for index, _ in _records(inputs) if index % inputs.shards == inputs.shard)

    def batches(self, inputs: Inputs, cursor: str) -> Iterator[Batch]:
        """Batches of `batch_size` records."""
        if cursor and not cursor.isdecimal():
            raise BadInputError(f"the cursor {cursor!r} is none of this worker's")
        behind, records = int(cursor or 0), []
        for index, record in _records(inputs):
            if index < behind or index % inputs.shards != inputs.shard:
                continue
            records.append(record)
            if len(records) == inputs.batch_size:
                yield Batch(records=records, cursor=str(index + 1))
                records = []
        if records:
            yield Batch(records=records, cursor=str(index + 1))

    def write(self, inputs: Inputs, batch: Batch) -> Counts:
        """Write nothing: every record stays as it is."""
        del inputs
        return Counts(unchanged=len(batch.records))

    def conclude(self, inputs: Inputs) -> Conclusion:
        """Say that nothing was written."""
        return Conclusion(message=f"read {inputs.file.name} and wrote nothing: this worker only counts")


def _records(inputs: Inputs) -> Iterator[tuple[int, Any]]:
    """The records of the whole file with their numbers, from 0."""
    file = inputs.file
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            yield from enumerate(
                csv.DictReader(lines) if inputs.source.type == "csv" else _objects(lines, inputs)
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"source.path {file.name} cannot be read: {error}") from error


def _objects(lines: Iterator[str], inputs: Inputs) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise BadInputError(f"{inputs.file.name}, line {number}: no JSON object: {error}") from error
