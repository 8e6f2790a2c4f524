"""Ids of rows. Apart from the tables: who writes by statements of his own needs none of their classes."""

from __future__ import annotations

from uuid import UUID

import uuid_utils.compat


def new_id() -> UUID:
    """Return a UUID version 7: it sorts by time, so that indexes grow at their end and pages have an order."""
    return uuid_utils.compat.uuid7()
