"""What workers said that they did, beside what the database and the SyncJob have of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .sync_plant import Plant

Object = dict[str, Any]
COUNTED = ("created", "updated", "unchanged", "deleted", "quarantined", "read")


@dataclass
class Ledger:
    """Of one tenant with one SyncJob; `acknowledged` is the latest report of each epoch's shards."""

    plant: Plant
    tenant: str
    acknowledged: dict[tuple[int, int], Object] = field(default_factory=dict)
    _before: dict[str, Object] = field(default_factory=dict)

    def counts(self) -> dict[tuple[int, int], Object]:
        """What the database has of each epoch's shards."""
        found = self.plant.asked(
            self.tenant, "SELECT epoch, shard, counts, verification FROM talent_sync.sync_shards"
        )
        return {(row["epoch"], row["shard"]): row for row in found}

    def find_acknowledged(self, words: str) -> None:
        """What a worker said that it did is in the database: the count of its shard, and the records themselves.

        Raises:
            AssertionError: with the words, if something is not.
        """
        counts = self.counts()
        for key, entry in self.acknowledged.items():
            for name in COUNTED:
                said = entry.get(name, 0)
                assert said == 0 or counts[key]["counts"].get(name, 0) >= said, (words, key, name, entry)
        created = sum(entry.get("created", 0) for entry in self.acknowledged.values())
        (row,) = self.plant.asked(self.tenant, "SELECT count(*) AS number FROM talent_sync.talents")
        assert row["number"] >= created, (words, row, created)

    def compare(self, rows: list[Object], *, after: int, status: Object, words: str) -> None:
        """The counts of all runs after an epoch are those of the source's changes, and the SyncJob has the last run's.

        Raises:
            AssertionError: with the words, if they are others.
        """
        mine = {key: row for key, row in self.counts().items() if key[0] > after}
        last = max(epoch for epoch, _ in mine)
        latest = {key: row for key, row in mine.items() if key[0] == last}
        now = {row["id"]: row for row in rows if "_bad" not in row}
        told = (words, mine)
        verified = [sum(row["verification"][name] for row in latest.values()) for name in ("looked", "held")]
        assert [_total("read", latest), *verified] == [len(rows)] * 3, told
        # Of all runs since the source was another one: a canceled one leaves less to the next.
        assert _total("created", mine) == len(now.keys() - self._before.keys()), told
        assert _total("deleted", mine) == len(self._before.keys() - now.keys()), told
        progress = status["runs"][-1]["progress"]
        for name in COUNTED:
            assert progress.get(name, 0) == _total(name, latest), (told, progress)
        self._before = now


def _total(name: str, rows: dict[tuple[int, int], Object]) -> int:
    return sum(row["counts"].get(name, 0) for row in rows.values())
