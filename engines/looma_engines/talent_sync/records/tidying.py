"""What is stored of a draft's texts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from looma_engines.talent_sync.quality.identity_numbers import masked

StructT = TypeVar("StructT", bound=msgspec.Struct)


def trimmed(text: str | None) -> str | None:
    """Without the space around it; None for an empty one."""
    return (text or "").strip() or None


def in_one_line(text: str) -> str:
    """Words with one space between them."""
    return " ".join(text.split())


def without_repeats(texts: Iterable[str]) -> list[str]:
    """Trimmed texts, the first of each spelling; `SQL` and `sql` are one, and an empty one is none."""
    kept: dict[str, str] = {}
    for text in texts:
        if neat := in_one_line(text):
            kept.setdefault(neat.casefold(), neat)
    return list(kept.values())


def without_identity_numbers(record: StructT) -> StructT:
    """The record with each number of an identity card masked, wherever it is."""
    plain = msgspec.to_builtins(record)
    hidden = _masked(plain)
    return record if hidden == plain else msgspec.convert(hidden, type(record))


def _masked(value: object) -> object:
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value
