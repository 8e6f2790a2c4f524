"""What a parsed résumé and a talent share: jobs and schools, dates as ISO months and as written."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from looma_core.problems import HINTS

Language = Literal["zh", "en"]
"""Language of a text: Chinese or English."""

MONTH_PATTERN = r"^[0-9]{4}(-(0[1-9]|1[0-2]))?$"
HINTS[MONTH_PATTERN] = "write a month as YYYY-MM, such as 2021-03, or a year"

Month = Annotated[
    str,
    Meta(
        pattern=MONTH_PATTERN,
        description="ISO 8601 month `YYYY-MM`, or `YYYY` where only the year is known.",
        examples=["2021-03"],
    ),
]
Line = Annotated[str, Meta(max_length=300)]
Paragraphs = Annotated[str, Meta(max_length=20_000)]


class Experience(msgspec.Struct, kw_only=True):
    """One job. `end` is null both for a present job and for an unknown end: `dates` tells which."""

    title: Line | None = None
    company: Line | None = None
    location: Line | None = None
    start: Month | None = None
    end: Month | None = None
    dates: Annotated[Line | None, Meta(description="The dates as the text has them.")] = None
    description: Paragraphs | None = None


class Education(msgspec.Struct, kw_only=True):
    """One school."""

    institution: Line | None = None
    degree: Line | None = None
    major: Line | None = None
    start: Month | None = None
    end: Month | None = None
    dates: Annotated[Line | None, Meta(description="The dates as the text has them.")] = None
