"""What the model sees of a thread: the newest whole turns that fit CONTEXT_TOKENS.

It works on the messages of a request to the model, in the shape of the Chat Completions API, so it
holds for every agent and graph whose model `model.py` builds.
"""

import json
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agent_server.answers.parts import new_call_id
from agent_server.settings import limit

Message = dict[str, Any]
SYSTEM = ("system", "developer")
LETTERS = 4  # of UTF-8 for a token, as a rule of thumb
AROUND = 4  # tokens around each message
FILE_TOKENS = 1500  # for an image or a file, whatever its size
EVERYTHING = 2**40  # bytes
INTERRUPTED = "The tool was interrupted; its result is unknown."


@dataclass
class Seen:
    """What of its thread the model was not shown in a turn."""

    before: int = 0  # those before what was read of the thread
    of_read: int = 0  # the first ones of what was read
    fallen: Sequence[Message] = ()  # these
    summary: str = ""  # of them, and of those before
    files: int = 0  # images and files that it refused

    @property
    def told(self) -> dict[str, int]:
        """What the client is told, in `custom_outputs`."""
        counts = {"left_out": self.before + self.of_read, "files_left_out": self.files}
        return {name: count for name, count in counts.items() if count}


# Of the turn that is running, if it wants to know.
seen: ContextVar[Seen | None] = ContextVar("seen", default=None)


def fit(messages: Sequence[Message], tokens: int) -> list[Message]:
    """Return the system's messages and the newest whole turns that take at most `tokens`.

    The last turn is always among them, however long. Notes in `seen` how many are left out.
    """
    head = [message for message in messages if message["role"] in SYSTEM]
    rest = [message for message in messages if message["role"] not in SYSTEM]
    room = tokens - sum(map(size, head))
    start = len(rest)
    for begin, end in _turns(rest):
        room -= sum(map(size, rest[begin:end]))
        if room < 0 and end != len(rest):
            break
        start = begin
    if start and (noted := seen.get()):
        if start > noted.of_read:
            noted.of_read, noted.fallen = start, rest[:start]
        head = _with_summary(head, noted.summary)
    return [*head, *rest[start:]]


def _with_summary(head: list[Message], summary: str) -> list[Message]:
    """Return the system's messages with the summary at the end; some models take only one."""
    if not summary:
        return head
    said = f"What was said earlier in this conversation, in short:\n{summary}"
    if not head or not isinstance(head[-1].get("content"), str):
        return [*head, {"role": "system", "content": said}]
    return [*head[:-1], {**head[-1], "content": f"{head[-1]['content']}\n\n{said}"}]


def size(message: Message) -> int:
    """Return about how many tokens a message takes."""
    letters = sum(len(json.dumps(call)) for call in message.get("tool_calls") or ())
    content, files = message.get("content"), 0
    if isinstance(content, str):
        letters += len(content.encode(errors="replace"))
    for part in content if isinstance(content, list) else ():
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            letters += len(text.encode(errors="replace"))
        else:
            files += 1
    return AROUND + letters // LETTERS + files * FILE_TOKENS


def begin() -> Seen:
    """Return what this turn will have left out, from now on."""
    if (noted := seen.get()) is None:
        seen.set(noted := Seen())
    return noted


def context_tokens() -> int:
    """Return CONTEXT_TOKENS; 0 is for everything."""
    return limit("CONTEXT_TOKENS")


def bytes_read() -> int:
    """Return how many bytes of a thread's items are read: more than the model may see."""
    return 3 * LETTERS * context_tokens() or EVERYTHING


def paired(messages: Sequence[Message]) -> list[Message]:
    """Return messages that endpoints accept: each call followed by its result, and none without.

    Calls and results are paired by their places: ids may repeat.
    """
    found: list[Message] = []
    place, ids = 0, set[str]()
    while place < len(messages):
        message = messages[place]
        place += 1
        if message["role"] == "tool":
            continue  # its call is gone
        calls = message.get("tool_calls") or []
        results: list[Message] = []
        while calls and place < len(messages) and messages[place]["role"] == "tool":
            results.append(messages[place])
            place += 1
        found += _paired(message, calls, results, ids) if calls else [message]
    return found


def _paired(
    message: Message, calls: Sequence[Message], results: Sequence[Message], ids: set[str]
) -> Iterator[Message]:
    answers, named = [*results], []
    texts: list[Message] = []
    for call in calls:
        index = next((i for i, r in enumerate(answers) if r["tool_call_id"] == call["id"]), None)
        result = answers.pop(index) if index is not None else {"content": INTERRUPTED}
        known = call["id"] and call["id"] not in ids
        call_id = call["id"] if known else new_call_id()
        ids.add(call_id)
        named.append({**call, "id": call_id, "function": _readable(call["function"])})
        texts.append({**result, "role": "tool", "tool_call_id": call_id})
    yield {**message, "tool_calls": named}
    yield from texts


def _readable(function: Message) -> Message:
    """Return a call's function with arguments that are a JSON object, which endpoints want."""
    try:
        if isinstance(json.loads(function.get("arguments") or "null"), dict):
            return function
    except ValueError:
        pass
    return {**function, "arguments": "{}"}


def _turns(messages: Sequence[Message]) -> Iterator[tuple[int, int]]:
    """Yield where each turn begins and ends, the newest first."""
    end = len(messages)
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user" or index == 0:
            yield index, end
            end = index
