"""Which messages of a request the thread does not hold yet."""

from collections.abc import Sequence

Said = tuple[str, str]  # role ("user", "assistant", or anything else for tools), text


def first_new(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return the index in `sent` of the first message that `thread` does not hold.

    Many chat clients resend the whole conversation, or its last part, with every turn: what they
    repeat is told by the questions it starts with. A client that sends no answers repeats
    nothing, however alike its messages are. The last question is always new, unless the thread
    still waits for its answer: then the turn failed, and this is its retry.
    """
    start = _repeated(thread, sent) if any(role == "assistant" for role, _ in sent) else 0
    waiting = _unanswered(thread)
    asked = [index for index in range(start, len(sent)) if sent[index][0] == "user"]
    for count in range(min(len(waiting), len(asked)), 0, -1):
        if [sent[index][1] for index in asked[:count]] == waiting[-count:]:
            return asked[count - 1] + 1
    return start


def before_again(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    """Return how much of `thread` precedes its last question: all of it unless that is sent."""
    asked = max((i for i, (role, _) in enumerate(thread) if role == "user"), default=len(thread))
    return asked if thread[asked : asked + 1] == sent[-1:] else len(thread)


def _repeated(thread: Sequence[Said], sent: Sequence[Said]) -> int:
    held = [text for role, text in thread if role == "user"]
    asked = [index for index, (role, _) in enumerate(sent) if role == "user"]
    for count in range(min(len(held), len(asked) - 1), 0, -1):
        if [sent[index][1] for index in asked[:count]] == held[-count:]:
            return asked[count]
    return 0


def _unanswered(thread: Sequence[Said]) -> list[str]:
    answered = max((i for i, (role, _) in enumerate(thread) if role == "assistant"), default=-1)
    return [text for role, text in thread[answered + 1 :] if role == "user"]
