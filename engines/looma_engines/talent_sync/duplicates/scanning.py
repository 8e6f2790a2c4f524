"""Keys of people made anew, and pairs that are found by them: in one session that already knows its tenant."""

from __future__ import annotations

import hmac
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from uuid import UUID

from looma_core.api.talent import Talent
from looma_engines.talent_sync.duplicates.features import compared_of, features_of
from looma_engines.talent_sync.duplicates.keys import DIGEST_BYTES, Key, keys_of
from looma_engines.talent_sync.duplicates.models import DuplicateRow
from looma_engines.talent_sync.duplicates.repository import DuplicateRepository, Pair
from looma_engines.talent_sync.duplicates.scoring import Judged, judge
from looma_engines.talent_sync.records.repository import RecordRepository
from looma_engines.talent_sync.talents import TALENTS

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

LARGEST_BLOCK: Final = 50
"""People who have one key in common, above which it tells too little: a common name, a recruiter's number."""


@dataclass
class Seen:
    """What a look at people came to."""

    people: int = 0
    found: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, other: Seen) -> None:
        """Add what a further look came to."""
        self.people += other.people
        self.found.update(other.found)
        self.skipped.update(other.skipped)


def status_after(status: str, *, changed: bool) -> str:
    """Whether a pair that was found again waits for a person.

    | was       | compared fields changed | is        |
    | --------- | ----------------------- | --------- |
    | open      | any                     | open      |
    | dismissed | no                      | dismissed |
    | dismissed | yes                     | open      |
    | gone      | any                     | open      |
    | merged    | any                     | merged    |
    """
    if status == "merged" or (status == "dismissed" and not changed):
        return status
    return "open"


class Scanner:
    """Looks for people who are there twice.

    Args:
        secret: of the digests.
        largest_block: a key that more people have is left out.
    """

    def __init__(self, secret: bytes, *, largest_block: int = LARGEST_BLOCK) -> None:
        self._secret = secret
        self._largest = largest_block

    @property
    def check(self) -> bytes:
        """Tells whether keys were made with this secret."""
        return hmac.new(self._secret, b"check", sha256).digest()

    def compared(self, one: Talent, other: Talent) -> bytes:
        """A digest of all that is compared of two."""
        both = b"\x00".join(compared_of(talent) for talent in (one, other))
        return hmac.new(self._secret, both, sha256).digest()[:DIGEST_BYTES]

    async def look(
        self, session: AsyncSession, tenant: str, talents: Sequence[Talent], *, today: date | None = None
    ) -> Seen:
        """Write the keys of people anew, and all pairs that they are in."""
        today = today or datetime.now(UTC).date()
        repository = DuplicateRepository(session)
        mine = {talent.id: talent for talent in talents}
        features = {talent.id: features_of(talent) for talent in talents}
        keys = {
            person: keys_of(of_one, secret=self._secret, tenant=tenant) for person, of_one in features.items()
        }
        await repository.replace_keys(keys)
        seen = Seen(people=len(mine))
        stored = {row.pair: row for row in await repository.pairs_of(mine)}
        wanted = {*await self._candidates(repository, keys, seen), *stored}
        others = {person for pair in wanted for person in pair} - mine.keys()
        for talent in await RecordRepository(session, TALENTS).several(others):
            mine[talent.id] = talent
            features[talent.id] = features_of(talent)
        new = []
        for one, other in sorted(wanted):
            if one not in mine or other not in mine:
                # Deleted meanwhile: their pair waits for nobody, as a list leaves it out.
                continue
            judged = judge(features[one], features[other], today=today)
            compared = self.compared(mine[one], mine[other])
            row = stored.get((one, other))
            if row is not None:
                await self._again(repository, row, judged, compared, seen)
            elif judged.verdict != "unlikely":
                seen.found[judged.verdict] += 1
                values = {"verdict": judged.verdict, "weight": judged.weight, "compared": compared}
                new.append({"first_id": one, "second_id": other, **values})
        await repository.add(new)
        return seen

    async def _candidates(
        self, repository: DuplicateRepository, keys: Mapping[UUID, Iterable[Key]], seen: Seen
    ) -> set[Pair]:
        kinds = {key.digest: key.kind for of_one in keys.values() for key in of_one}
        blocks = await repository.blocks(kinds, most=self._largest + 1)
        found: set[Pair] = set()
        for digest, people in blocks.items():
            if len(people) > self._largest:
                seen.skipped[kinds[digest]] += 1
                continue
            found.update(
                pair_of(one, other) for one in people if one in keys for other in people if one != other
            )
        return found

    async def _again(
        self, repository: DuplicateRepository, row: DuplicateRow, judged: Judged, compared: bytes, seen: Seen
    ) -> None:
        changed = bytes(row.compared) != compared
        status = status_after(row.status, changed=changed)
        if (row.verdict, row.weight, row.status) == (judged.verdict, judged.weight, status) and not changed:
            return
        if row.verdict != judged.verdict or row.status != status:
            seen.found[judged.verdict] += 1
        reopened = {"settled_at": None, "settled_by": None} if row.status != status else {}
        await repository.change(
            row.id,
            verdict=judged.verdict,
            weight=judged.weight,
            compared=compared,
            status=status,
            **reopened,
        )


def pair_of(one: UUID, other: UUID) -> Pair:
    """Two people in the order in which they are stored."""
    return (one, other) if one < other else (other, one)
