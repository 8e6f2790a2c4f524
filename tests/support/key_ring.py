"""The key ring of the tests of one process, and of the engines that they start."""

from __future__ import annotations

import atexit
import tempfile
from base64 import b64decode
from functools import cache
from pathlib import Path

from looma_engines.talent_sync.privacy.ring import Ring, new_ring, parse
from looma_engines.talent_sync.privacy.sealing import Sealer

VARIABLE = "LOOMA_KEY_RING_FILE"
_MADE = new_ring()
RING: Ring = parse(_MADE)
SEALER = Sealer(RING)
KEYS = {key.id: b64decode(key.key) for key in RING.seal}


@cache
def ring_file() -> str:
    """The file with the ring; gone when this process ends."""
    with tempfile.NamedTemporaryFile(prefix="looma-ring-", suffix=".json", delete=False) as file:
        file.write(_MADE)
    atexit.register(Path(file.name).unlink, missing_ok=True)
    return file.name
