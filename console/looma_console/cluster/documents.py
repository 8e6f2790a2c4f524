"""What is shared by all that reads Kubernetes documents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


def read_time(value: object) -> dt.datetime | None:
    """An RFC 3339 time of the Kubernetes API; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return dt.datetime.fromisoformat(value)
    except ValueError:
        return None
