"""Finds the messages of a request that the thread does not hold yet."""

from collections.abc import Sequence

RoleAndText = tuple[str, str]  # the role is "user", "assistant", or anything else for tools
Messages = Sequence[RoleAndText]


def first_new(thread: Messages, sent: Messages, cut: bool = False) -> int:
    """Return the index in `sent` of the first message that `thread` does not hold.

    With `cut`, `thread` is only the end of one.

    Many chat clients resend the whole conversation, or its last part, with every turn. If a client
    sends only questions, all are new, even those with equal texts. The last question is always new,
    unless the thread lacks its answer: then the turn failed, and this is its retry.
    """
    answered = after_answer(thread)
    start = _after_known_answer(thread[:answered], sent) if cut else 0
    start = start or _first_unknown(thread[:answered], sent)
    unanswered = _questions(thread[answered:])
    asked = [index for index in _places(sent) if index >= start]
    known = _overlap(unanswered, [sent[index][1] for index in asked])
    return [*asked, len(sent)][known] if known else start


def first_replaced(thread: Messages, sent: Messages, again: bool) -> int:
    """Return the index in `thread` of the question that `sent` asks again, to replace its answer.

    Only the last question can be, once it has an answer. Either the client says so (`again`), or
    the history that it sends ends just before the question, because the answer never reached it.
    Returns the length of `thread` when no question is asked again.
    """
    last = max(_places(thread), default=len(thread))
    if thread[last:][:1] != sent[-1:] or after_answer(thread) <= last:
        return len(thread)
    end = _after_history(sent)
    known, before = _questions(sent[:end]), _questions(thread[:last])
    lost = bool(known) and known == before[-len(known) :] and len(sent) == end + 1
    return last if again or (lost and sent[end - 1] != thread[-1]) else len(thread)


def first_edited(thread: Messages, question: RoleAndText) -> int:
    """Return the index in `thread` of its last question, if that is `question`; else its length."""
    last = max(_places(thread), default=len(thread))
    return last if thread[last : last + 1] == [question] else len(thread)


def still_meant(thread: Messages, start: int, unfinished: Sequence[str] | None) -> int:
    """Return `start`, where the question to replace seems to be; the thread's length if it is not.

    `unfinished` is what the client has of its answer, or None for all of it. A turn that failed may
    have left nothing in the thread: what is found there is an earlier question with the same text.
    """
    answers = [text for role, text in thread[start:] if role == "assistant"]
    other = unfinished is not None and answers and answers[-1] not in unfinished
    return len(thread) if other else start


def after_answer(messages: Messages) -> int:
    """Return the number of messages up to the last answer, which is counted."""
    return max((i for i, (role, _) in enumerate(messages, 1) if role == "assistant"), default=0)


def _first_unknown(thread: Messages, sent: Messages) -> int:
    """Return the index in `sent` after the questions and answers that the thread holds."""
    asked, held = _places(sent), iter(_questions(thread))
    if not (_after_history(sent) and thread and asked):
        return 0
    for index in asked[:-1]:
        # What failed and was asked again is one question.
        again = index > 0 and sent[index] == sent[index - 1]
        if not again and sent[index][1] not in held:  # the search resumes where it found one
            return index if index != asked[0] else _after_known_answer(thread, sent)
    return max(after_answer(sent), asked[-1])


def _after_known_answer(thread: Messages, sent: Messages) -> int:
    # A client may have replaced the first messages with a summary.
    known = {message for message in thread if message[0] == "assistant"}
    return max((i for i, message in enumerate(sent, 1) if message in known), default=0)


def _overlap(texts: Sequence[str], others: Sequence[str]) -> int:
    """Return how many texts at the end of `texts` are those that `others` begins with."""
    # The search of Knuth, Morris and Pratt: it never compares a text again, so it is linear.
    # After i texts of `others`, `shorter[i - 1]` is their overlap with themselves.
    shorter: list[int] = []

    def longer(known: int, text: str) -> int:
        while known and (known == len(others) or others[known] != text):
            known = shorter[known - 1]
        return known + 1 if others[known : known + 1] == [text] else 0

    for text in others:
        shorter.append(longer(shorter[-1], text) if shorter else 0)
    known = 0
    for text in texts:
        known = longer(known, text)
    return known


def _after_history(sent: Messages) -> int:
    """Return the length of the history: up to the last message that is not a question."""
    return max((i for i, (role, _) in enumerate(sent, 1) if role != "user"), default=0)


def _places(messages: Messages) -> list[int]:
    return [index for index, (role, _) in enumerate(messages) if role == "user"]


def _questions(messages: Messages) -> list[str]:
    return [text for role, text in messages if role == "user"]
