"""What a consent may be, and what the consents of a person come to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import get_args

from looma_core.api.quality import Family
from looma_core.api.rights import Consent, ConsentDraft, Purpose, Standing
from looma_engines.talent_sync.quality.rule import Case, Fault, Rule, refusing

OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
"""Times beyond these are slips, and some are none that a database holds."""


def _tomorrow(today: date) -> datetime:
    return datetime(today.year, today.month, today.day, tzinfo=UTC) + timedelta(days=1)


def _given(case: Case[ConsentDraft]) -> Iterator[Fault]:
    given = case.record.given_at
    if given is not None and not OLDEST <= given < _tomorrow(case.today):
        yield Fault("given_at", f"lies in the future, or before {OLDEST.year}: write when it was given")


def _expires(case: Case[ConsentDraft]) -> Iterator[Fault]:
    expires, given = case.record.expires_at, case.record.given_at
    if expires is None:
        return
    if given is not None and expires <= given:
        yield Fault("expires_at", "must lie after `given_at`")
    elif given is None and expires < _tomorrow(case.today):
        yield Fault("expires_at", "is over already: write a later day, or none")
    elif expires > LATEST:
        yield Fault("expires_at", "lies too far away: leave it out for a basis without an end")


def _evidence(case: Case[ConsentDraft]) -> Iterator[Fault]:
    record = case.record
    if record.basis == "consent" and not (record.evidence or "").strip():
        yield Fault("evidence", "say how it can be shown that the person agreed, or where that is kept")


def _text(case: Case[ConsentDraft]) -> Iterator[Fault]:
    if "\x00" in (case.record.evidence or ""):
        yield Fault("evidence", "has a control character")


RULES: tuple[Rule[ConsentDraft], ...] = (
    refusing(
        "consent.given_at.past",
        "given_at",
        family=Family.RANGE,
        asks="A basis was given at some time up to now.",
        faults=_given,
    ),
    refusing(
        "consent.expires_at.later",
        "expires_at",
        family=Family.CROSS_FIELD,
        asks="A basis ends after it began.",
        faults=_expires,
    ),
    refusing(
        "consent.evidence.shown",
        "evidence",
        family=Family.REQUIRED,
        asks="A consent can be shown: GDPR, article 7 (1); PIPL, article 14.",
        faults=_evidence,
    ),
    refusing(
        "consent.evidence.text",
        "evidence",
        family=Family.FORMAT,
        asks="A text without control characters.",
        faults=_text,
    ),
)


def standing_of(*, withdrawn_at: datetime | None, expires_at: datetime | None, now: datetime) -> Standing:
    """What a basis is at a moment.

    | withdrawn | expires      | answer    |
    | --------- | ------------ | --------- |
    | yes       | anything     | withdrawn |
    | no        | up to now    | expired   |
    | no        | later, never | given     |
    """
    if withdrawn_at is not None:
        return "withdrawn"
    return "expired" if expires_at is not None and expires_at <= now else "given"


def allowed_and_barred(consents: Iterable[Consent]) -> tuple[list[Purpose], list[Purpose]]:
    """Purposes with a basis in force, and purposes that had one and have none in force."""
    told = list(consents)
    had = {consent.purpose for consent in told}
    allowed = {consent.purpose for consent in told if consent.standing == "given"}
    order: tuple[Purpose, ...] = get_args(Purpose)
    return [one for one in order if one in allowed], [one for one in order if one in had - allowed]
