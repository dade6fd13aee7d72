"""Messages of a request that the thread already holds."""

import pytest

from agent_server.threads.deduplicate import (
    RoleAndText,
    first_new,
    first_replaced,
    still_meant,
)

U1, A1, U2, A2, U3 = [
    ("user", "one"), ("assistant", "first"), ("user", "two"), ("assistant", "second"), ("user", "3")
]  # fmt: skip
TOOL = ("tool", "")


@pytest.mark.parametrize(
    ("thread", "sent", "new"),
    [
        ([], [U1], [U1]),
        ([], [U1, A1, U2], [U1, A1, U2]),
        ([U1, A1], [U1], [U1]),
        ([U1, A1], [U2, U3], [U2, U3]),
        ([U1, A1], [U1, U1], [U1, U1]),
        ([U1, A1], [U1, A1, U2], [U2]),
        ([U1, A1], [U1, ("assistant", "shortened"), U2], [U2]),
        ([U1, A1, U2, A2], [U2, A2, U3], [U3]),
        ([U1, TOOL, A1], [U1, TOOL, TOOL, A1, U2, U3], [U2, U3]),
        ([U1, A1, U1, A1], [U1, A1, U1, A1, U1], [U1]),
        ([U1, A1], [U2, A2, U3], [U2, A2, U3]),
        ([U1], [U1], []),
        ([U1, A1, U2, TOOL], [U2], []),
        ([U1, A1, U2], [U1, A1, U2, U3], [U3]),
        ([U1], [U2], [U2]),
        ([U1, U2], [U2], []),
        ([U1, U2], [U2, U3], [U3]),
        ([U1, U2], [U1, U2], []),
        ([U1, A1, U1, U2], [U1], [U1]),
        ([U1, U1, U2], [U1, U2, U3], [U3]),
        ([U1, U2, U1, U1, U2], [U1, U2, U1, U2], [U1, U2]),
        ([U1] * 20_000, [*[U1] * 2000, U2], [U2]),
        ([U1, A1, U2], [U1, A1, U2], []),
        ([U1, A1, U2, TOOL], [U1, A1, U3], [U3]),
        ([U1, A1, U2, ("user", "else"), A2], [U1, A1, ("user", "else"), A2, U3], [U3]),
        ([U1, A1, U2, A2], [U1, A1, U3], [U3]),
        ([U1, A1], [A1, U2], [U2]),
        ([U1, TOOL, A1], [TOOL, A1, U2], [U2]),
        ([], [A1, U2], [A1, U2]),
        ([], [A1, U1, A1, U2], [A1, U1, A1, U2]),
        ([U1, A1, U2, TOOL, A2], [("user", "summary"), U2, TOOL, A2, U3], [U3]),
        ([U1, TOOL, A1], [TOOL, A1, U2, A2, U3], [U2, A2, U3]),
        ([U1, A1, U2, TOOL, A2], [U1, A1, U2, TOOL, U3], [U3]),
        ([U1, A1, U2, A2], [U1, A1, U2, U3], [U3]),
        ([U1, A1, U2, A2], [U1, A1, U2, U2, A2, U3], [U3]),
        ([U1, A1], [U1, U1, A1, U2], [U2]),
        ([U1, TOOL], [U1, TOOL, U2], [U2]),
        ([U1, TOOL], [U1, TOOL], []),
        ([U1, A1], [U1, A1, U2, TOOL], [U2, TOOL]),
    ],
)
def test_only_what_the_thread_does_not_hold_is_new(
    thread: list[RoleAndText], sent: list[RoleAndText], new: list[RoleAndText]
) -> None:
    assert sent[first_new(thread, sent) :] == new


@pytest.mark.parametrize(
    ("thread", "sent", "kept"),
    [
        ([U1, A1, U2, TOOL, A2], [U2], [U1, A1]),
        ([U1, A1], [U1], []),
        ([U1, A1, U2], [U2], [U1, A1, U2]),
        ([U1, A1, U2, A2], [U1], [U1, A1, U2, A2]),
        ([U1, A1], [U2], [U1, A1]),
        ([], [U1], []),
    ],
)
def test_only_an_answered_last_question_can_be_asked_again(
    thread: list[RoleAndText], sent: list[RoleAndText], kept: list[RoleAndText]
) -> None:
    assert thread[: first_replaced(thread, sent, again=True)] == kept


@pytest.mark.parametrize(
    ("thread", "sent", "kept"),
    [
        ([U1, A1, U2, A2], [U1, A1, U2], [U1, A1]),
        ([U1, TOOL, U2, A2], [U1, TOOL, U2], [U1, TOOL]),
        ([U1, A1, U2, A2], [U2], [U1, A1, U2, A2]),
        ([U1, A1, U2, A2], [U1, A1, U2, A2, U2], [U1, A1, U2, A2]),
        ([U1, A1, U1, A2], [U1, A2, U1], [U1, A1, U1, A2]),
        ([U1, A1, U2, A2], [U1, A1, U3, U2], [U1, A1, U2, A2]),
    ],
)
def test_a_history_that_ends_before_the_last_answer_asks_for_it_again(
    thread: list[RoleAndText], sent: list[RoleAndText], kept: list[RoleAndText]
) -> None:
    assert thread[: first_replaced(thread, sent, again=False)] == kept


@pytest.mark.parametrize(
    ("unfinished", "start"),
    [(None, 0), (["first"], 0), ([], 2), (["fir"], 2)],
)
def test_an_answered_question_is_not_taken_for_one_of_the_same_text_that_failed(
    unfinished: list[str] | None, start: int
) -> None:
    assert still_meant([U1, A1], 0, unfinished) == start


def test_a_question_without_an_answer_is_replaced_wherever_it_is() -> None:
    assert still_meant([U1, A1, U1, TOOL], 2, []) == 2
