"""Where the tables are. Apart from their classes: a worker of a sync job writes without them, and begins sooner."""

from __future__ import annotations

from typing import Final

SCHEMA: Final = "talent_sync"
BRANCH: Final = "talent_sync"
