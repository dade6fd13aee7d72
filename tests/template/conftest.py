"""The projects in which the tests of what is rendered look."""

import pytest

from tests.conftest import Renders
from tests.support.rendering import COMBINATIONS, PAIRWISE


@pytest.fixture(
    scope="session",
    params=[PAIRWISE, pytest.param(COMBINATIONS, marks=pytest.mark.slow)],
    ids=["where every two answers meet", "every combination"],
)
def renders(request: pytest.FixtureRequest, renders: Renders) -> Renders:
    """Return where the chosen combinations are rendered, and any other that is asked for."""
    folder = renders.root / f"{len(request.param)} chosen"
    return Renders(renders.template, folder, request.param)
