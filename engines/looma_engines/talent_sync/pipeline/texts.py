"""What is stored of texts that people wrote about applications. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from looma_core.problems import FieldError, ValidationProblem
from looma_engines.talent_sync.quality.identity_numbers import masked


def neat(texts: Mapping[str, str | None], *, needed: AbstractSet[str] = frozenset()) -> dict[str, str | None]:
    """Texts without the space around them, identity numbers masked; an empty one is none.

    Raises:
        ValidationProblem: one has what no text in the database can have, or one that is needed is empty.
    """
    kept = {name: masked((value or "").strip()) or None for name, value in texts.items()}
    wrong = [
        FieldError(field=name, message="has a control character")
        for name, value in kept.items()
        if "\x00" in (value or "")
    ]
    wrong += [
        FieldError(field=name, message="write at least one letter")
        for name, value in kept.items()
        if value is None and name in needed
    ]
    if wrong:
        raise ValidationProblem(errors=wrong)
    return kept
