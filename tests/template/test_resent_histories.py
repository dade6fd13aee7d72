"""Whatever part of a conversation a client sends again, and a thread holds, one question is new."""

import importlib.util
from pathlib import Path
from types import ModuleType

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.places import in_template
from tests.support.rendering import REPOSITORY

Turns = list[tuple[str, str]]


def load(place: Path) -> ModuleType:
    """Return a module of a project, which imports nothing else of it."""
    spec = importlib.util.spec_from_file_location("deduplicate", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


DEDUPLICATE = load(in_template("agent_server/threads/deduplicate.py", REPOSITORY))
# So few words that the same ones come again all the time.
TURNS = st.lists(st.tuples(st.sampled_from(["yes", "no"]), st.sampled_from(["ok", "sure"])))


@settings(max_examples=500, deadline=None)
@given(turns=TURNS, read=st.integers(1, 6), resent=st.integers(0, 6))
def test_the_last_question_alone_is_new(turns: Turns, read: int, resent: int) -> None:
    """`read` turns of a long thread are read; the client resends as many, or all with 0."""
    thread: list[tuple[str, str]] = []
    said: list[tuple[str, str]] = []
    for question, answer in turns:
        cut = len(thread) > 2 * read
        held = thread[-2 * read :] if cut else thread
        sent = [*said[-2 * resent :], ("user", question)]
        kept = DEDUPLICATE.first_replaced(held, sent, False)
        new = sent[DEDUPLICATE.first_new(held[:kept], sent, cut) :]
        assert (kept, new) == (len(held), [("user", question)])
        thread += [*new, ("assistant", answer)]
        said += [("user", question), ("assistant", answer)]
