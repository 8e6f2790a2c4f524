"""How many records a list has: counted as far as that is cheap, beyond that as the planner expects.

To count 100,000 rows exactly the database has to look at each of them, for a figure that nobody reads to the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, Executable, Select

from looma_core.api.page import Count

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler

MOST_COUNTED = 1_000
WALKED_TO_COUNT = 20_000
"""Of a longer list words are not counted: a thousand that have them may lie far apart."""


class Explained(Executable, ClauseElement):
    """A statement's plan instead of its rows."""

    inherit_cache = False

    def __init__(self, statement: Select[Any]) -> None:
        self.statement = statement


@compiles(Explained)
def _explain(element: Explained, compiler: SQLCompiler, **given: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **given)}"


def counted(found: int, *, expected: int) -> Count:
    """What is told of a list, of `found` rows that were counted up to one more than MOST_COUNTED.

    | found | expected | answer           |
    | ----- | -------- | ---------------- |
    | 0     | 70       | 0, exact         |
    | 1,000 | 70       | 1,000, exact     |
    | 1,001 | 98,700   | 98,700, not exact |
    | 1,001 | 70       | 1,001, not exact |
    """
    if found <= MOST_COUNTED:
        return Count(count=found, exact=True)
    return Count(count=max(found, expected), exact=False)
