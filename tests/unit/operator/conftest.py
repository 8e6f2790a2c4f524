"""What tests of the plan begin with."""

from __future__ import annotations

import pytest

from support.operator_world import World


@pytest.fixture
def running() -> World:
    """A service of four pods at r1."""
    world = World()
    world.settle()
    return world
