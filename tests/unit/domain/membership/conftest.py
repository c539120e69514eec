"""What the tests of membership start from."""

import pytest

from tests.unit.domain.membership.world import World


@pytest.fixture
def world() -> World:
    """Three empty lists: a, b, c."""
    made = World()
    for audience in ("a", "b", "c"):
        made.define(audience)
    return made
