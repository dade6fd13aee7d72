"""Which messages of a request the thread does not hold yet."""

from collections.abc import Sequence

Said = tuple[str, str]  # role ("user", "assistant", or anything else for tools), text


def first_new(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return the index in `sent` of the first message that `thread` does not hold.

    Many chat clients resend the whole conversation, or its last part, with every turn. A client
    that sends nothing but questions repeats none, however alike they are. The last question is
    always new, unless the thread still waits for its answer: then the turn failed, and this is its
    retry.
    """
    answered = after_answer(thread)
    start = _repeated(thread[:answered], sent)
    waiting = _questions(thread[answered:])
    asked = [index for index in _places(sent) if index >= start]
    for count in range(min(len(waiting), len(asked)), 0, -1):
        if [sent[index][1] for index in asked[:count]] == waiting[-count:]:
            return [*asked, len(sent)][count]
    return start


def first_replaced(thread: Sequence[Said], sent: Sequence[Said], again: bool) -> int:
    """Return the index in `thread` of a question that is asked again, for another answer.

    That is the last one, once it has an answer: when the client says so (`again`), or the history
    that it sends ends just before, because that answer was lost on its way. Without such a question
    it is the length of `thread`.
    """
    last = max(_places(thread), default=len(thread))
    if thread[last:][:1] != sent[-1:] or after_answer(thread) <= last:
        return len(thread)
    end = _after_told(sent)
    told, before = _questions(sent[:end]), _questions(thread[:last])
    lost = bool(told) and told == before[-len(told) :] and len(sent) == end + 1
    return last if again or (lost and sent[end - 1] != thread[-1]) else len(thread)


def after_answer(messages: Sequence[Said]) -> int:
    """Return how many messages there are up to the last answer."""
    return max((i for i, (role, _) in enumerate(messages, 1) if role == "assistant"), default=0)


def _repeated(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return the index of the first message after those that the thread holds with an answer."""
    asked, held = _places(sent), iter(_questions(thread))
    if not (_after_told(sent) and thread and asked):
        return 0
    for index in asked[:-1]:
        if sent[index][1] not in held:  # from where the search for the one before has stopped
            return index if index != asked[0] else _after_known(thread, sent)
    return max(after_answer(sent), asked[-1])


def _after_known(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    # A client may have put a summary in the place of what was said first.
    known = {said for said in thread if said[0] == "assistant"}
    return max((i for i, said in enumerate(sent, 1) if said in known), default=0)


def _after_told(sent: Sequence[Said]) -> int:
    """Return how many messages there are up to the last that is no question: they are a history."""
    return max((i for i, (role, _) in enumerate(sent, 1) if role != "user"), default=0)


def _places(messages: Sequence[Said]) -> list[int]:
    return [index for index, (role, _) in enumerate(messages) if role == "user"]


def _questions(messages: Sequence[Said]) -> list[str]:
    return [text for role, text in messages if role == "user"]
