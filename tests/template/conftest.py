"""The projects in which the tests of what is rendered look."""

import pytest

from tests.conftest import Renders
from tests.support.rendering import COMBINATIONS, PAIRWISE

# With every memory; what the choice of a Lakebase changes is in the others, and never in the code.
LOCAL = [combination for combination in COMBINATIONS if combination.lakebase == "local"]
SLOW, LONG = [pytest.mark.slow], [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(
    scope="session",
    params=[PAIRWISE, pytest.param(LOCAL, marks=SLOW), pytest.param(COMBINATIONS, marks=LONG)],
    ids=["where every two answers meet", "every memory", "every combination"],
)
def renders(request: pytest.FixtureRequest, renders: Renders) -> Renders:
    """Return where the chosen combinations are rendered, and any other that is asked for."""
    folder = renders.root / f"{len(request.param)} chosen"
    return Renders(renders.template, folder, request.param)
