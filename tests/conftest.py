"""Fixtures that every kind of test may ask for; each lives in a module of `support` named after what it gives."""

from __future__ import annotations

from importlib.util import find_spec

pytest_plugins = [
    name
    for name in ("support.cluster", "support.control_plane", "support.database")
    if find_spec(name) is not None
]
