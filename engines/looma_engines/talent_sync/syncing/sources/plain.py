"""Values of a database as JSON has them. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any


def plain(value: Any, *, more: Callable[[Any], Any] = str) -> Any:  # noqa: ANN401, PLR0911 - a line for each kind
    """A value as JSON has it.

    | a driver's value          | becomes                                             |
    | ------------------------- | --------------------------------------------------- |
    | text, boolean, integer    | itself                                              |
    | number that is whole      | an integer                                          |
    | no number, infinite       | its name as a text, so that a rule refuses it       |
    | moment without a zone     | text, in UTC                                        |
    | bytes                     | text, as hexadecimal digits                         |
    | list, object              | the same of what they hold                          |
    | anything else             | what `more` makes of it                             |
    """
    if value is None or isinstance(value, (str, bool, int)):
        # Subclasses, as a driver's own 64 bits, are made what they are.
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, (float, Decimal)):
        return _number(value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, Mapping):
        return {str(name): plain(one, more=more) for name, one in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(one, more=more) for one in value]
    return more(value)


def _number(value: float | Decimal) -> int | float | str:
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) else float(value)
