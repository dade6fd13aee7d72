"""What the tests of generated projects share: a model server whose answers they choose."""

from collections.abc import Iterator

import pytest

from tests.standins.model import StandinModel, open_standin_model


@pytest.fixture(scope="module")
def model() -> Iterator[StandinModel]:
    """Yield a model server."""
    with open_standin_model() as model:
        yield model


@pytest.fixture
def strict(model: StandinModel) -> Iterator[None]:
    """Let the model refuse what real endpoints refuse, and behave again afterwards."""
    model.strict = True
    yield
    model.reset()
