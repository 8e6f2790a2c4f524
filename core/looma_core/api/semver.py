"""The order of versions, as the operator that follows a channel and the console that lists them need it."""

from __future__ import annotations

import re
from typing import Final

_NUMERIC: Final = re.compile(r"[0-9]+")
Precedence = tuple[int, int, int, bool, tuple[tuple[int, int, str], ...]]


def precedence(version: str) -> Precedence:
    """A key that sorts semantic versions as Semantic Versioning 2.0.0, section 11, says; build metadata is ignored.

    | lower          | higher        | because                                   |
    | -------------- | ------------- | ----------------------------------------- |
    | 1.9.0          | 1.10.0        | numbers are compared as numbers           |
    | 1.0.0-rc.1     | 1.0.0         | a release is above its pre-releases       |
    | 1.0.0-rc.2     | 1.0.0-rc.10   | and so are the numbers of pre-releases    |
    | 1.0.0-1        | 1.0.0-alpha   | numbers are below words                   |
    | 1.0.0-alpha    | 1.0.0-alpha.1 | more identifiers are above fewer          |

    Raises:
        ValueError: if `version` is none; the definition lets none in.
    """
    core, _, pre = version.partition("+")[0].partition("-")
    major, minor, patch = (int(part) for part in core.split("."))
    identifiers = tuple(
        (0, int(part), "") if _NUMERIC.fullmatch(part) else (1, 0, part) for part in pre.split(".") if pre
    )
    return major, minor, patch, not pre, identifiers
