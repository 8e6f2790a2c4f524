"""What the upload says, and how the resume engine's problems read to a recruiter."""

from __future__ import annotations

from flask_babel import LazyString

from looma_console.engines import EngineError
from looma_console.people import messages as people

PROBLEMS: dict[str, LazyString] = {}


def explain(error: EngineError) -> str:
    """One sentence about why a file was not taken."""
    known = PROBLEMS.get(error.name)
    return str(known) if known is not None else people.explain(error)
