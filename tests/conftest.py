"""Fixtures that any test may ask for; each lives in the module of `support` named after what it gives."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

_MODULES = (
    "support.cluster",
    "support.control_plane",
    "support.database",
    "support.faults",
    "support.haproxy",
    "support.prometheus",
    "support.observed_metrics",
    "support.operator_process",
    "support.job_controllers",
    "support.worker_pods",
    "support.probe_service",
    "support.judged_probe",
    "support.registry",
    "support.analysed",  # After those that it takes from.
)
pytest_plugins = [name for name in _MODULES if find_spec(name) is not None]

# How long an example takes says how busy the machine is, and no test is about that.
settings.register_profile(
    "looma", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=30
)
settings.load_profile("looma")
# For `make scenarios`: thirty times as many examples, of a test that asks for a share of them as well.
settings.register_profile("thorough", settings.get_profile("looma"), max_examples=1000)

# What thousands of tests are made of stays until the end: so looking for garbage in it is lost time.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage from here on, in what the tests themselves make."""
    gc.enable()
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """What is left goes with the process: Python would look for garbage in all of it once more as it ends."""
    gc.disable()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a PostgreSQL: that is a server to start, so `make unit` leaves it to `make contract`."""
    for item in items:
        if "postgres_admin" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Leave property tests out of the coverage: hundreds of examples cost much, and what they show is not lines."""
    measured = Coverage.current() if item.get_closest_marker("hypothesis") else None
    if measured is None:
        return (yield)
    measured.stop()
    try:
        return (yield)
    finally:
        measured.start()
