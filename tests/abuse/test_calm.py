"""The honest user alone: what the other tests here compare with."""

import time

import pytest

from tests.abuse.honest_user import honest_user
from tests.support.project import Server

pytestmark = pytest.mark.generated


def test_an_honest_user_is_served_when_nobody_attacks(server: Server) -> None:
    with honest_user(server) as honest:
        time.sleep(3)
    assert [turn.status_code for turn in honest.turns] == [200] * len(honest.turns)
