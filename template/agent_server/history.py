"""Which messages of a request the thread does not hold yet."""

from collections.abc import Sequence

Said = tuple[str, str]  # role ("user", "assistant", or anything else for tools), text


def first_new(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return the index in `sent` of the first message that `thread` does not hold.

    Many chat clients resend the whole conversation, or its last part, with every turn. A client
    that sends no answers repeats nothing, however alike its messages are. The last question is
    always new, unless the thread still waits for its answer: then the turn failed, and this is its
    retry.
    """
    answered = after_answer(thread)
    start = _repeated(thread[:answered], sent)
    waiting = [text for role, text in thread[answered:] if role == "user"]
    asked = [index for index in range(start, len(sent)) if sent[index][0] == "user"]
    for count in range(min(len(waiting), len(asked)), 0, -1):
        if [sent[index][1] for index in asked[:count]] == waiting[-count:]:
            return asked[count - 1] + 1
    return start


def first_replaced(thread: Sequence[Said], sent: Sequence[Said], again: bool) -> int:
    """Return the index in `thread` of a question that is asked again, for another answer.

    That is the last one, once it has an answer: when the client says so (`again`), or the history
    that it sends ends just before, because that answer was lost on its way. Without such a question
    it is the length of `thread`.
    """
    last = max((i for i, (role, _) in enumerate(thread) if role == "user"), default=len(thread))
    if thread[last:][:1] != sent[-1:] or after_answer(thread) <= last:
        return len(thread)
    end = after_answer(sent)
    told, before = _questions(sent[:end]), _questions(thread[:last])
    lost = bool(told) and told == before[-len(told) :] and len(sent) == end + 1
    return last if again or (lost and sent[end - 1] != thread[-1]) else len(thread)


def _repeated(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return the index of the first message after those, up to the last answer, that are held."""
    end, held = after_answer(sent), iter(_questions(thread))
    told = [index for index in range(end) if sent[index][0] == "user"]
    for index in told:
        if sent[index][1] not in held:  # from where the search for the one before has stopped
            return index if index != told[0] else 0
    return end if told or thread else 0


def after_answer(messages: Sequence[Said]) -> int:
    """Return how many messages there are up to the last answer."""
    return max((i for i, (role, _) in enumerate(messages, 1) if role == "assistant"), default=0)


def _questions(messages: Sequence[Said]) -> list[str]:
    return [text for role, text in messages if role == "user"]
