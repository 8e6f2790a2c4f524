"""Fixtures that any test may ask for; each lives in the module of `support` named after what it gives."""

from __future__ import annotations

from importlib.util import find_spec

from hypothesis import HealthCheck, settings

_MODULES = (
    "support.cluster",
    "support.control_plane",
    "support.database",
    "support.faults",
    "support.haproxy",
    "support.operator_process",
    "support.probe_service",
)
pytest_plugins = [name for name in _MODULES if find_spec(name) is not None]

# How long an example takes says how busy the machine is, and no test is about that.
settings.register_profile("looma", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("looma")
