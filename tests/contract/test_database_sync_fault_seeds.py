"""Worker, PostgreSQL, source and operator are killed, cut off and slowed at moments that a seed draws.

After each run an independent checker finds every record as the source has it: none lost, none doubled, none that was
acknowledged and is missing; and a worker of an earlier run that wakes up writes nothing. `make faults` runs all seeds.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.control_plane import ControlPlane
from support.sync_plant import Plant, plant
from support.sync_under_faults import SeededSync

pytestmark = [pytest.mark.database, pytest.mark.control_plane]
FEW, MANY = 4, 200


@pytest.fixture(scope="module")
def running(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with plant(control_plane, tmp_path_factory.mktemp("plant")) as found:
        yield found


@pytest.mark.parametrize(
    "seed",
    [pytest.param(seed, marks=[pytest.mark.long] if seed >= FEW else []) for seed in range(MANY)],
)
def test_nothing_is_lost_or_doubled_or_acknowledged_and_missing(
    running: Plant, record_property: pytest.RecordProperty, seed: int
) -> None:
    sync = SeededSync(running, seed)
    try:
        sync.check()
    finally:
        record_property("faults", sync.record())
