"""What the offline model says: fixed rules, enough to see memory and tools at work."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.conversation import Conversation, read_conversation
from local.samples import CODE, CUT_OFF, LONG, TABLE

NOTICE = "I am the offline stand-in, not a model, and follow a few fixed rules."
HINT = 'Try "My name is Ada", "What is my name?" or "What time is it?".'
SHOW_HINT = 'Or "Show me a table", "… some code", "… a long answer", "… a limit".'
GREETING = r"(?:hi|hello|hey|good (?:morning|evening))\b"
INTRODUCTION = r"\b(?:my name is|call me|i am called)\s+(?P<name>\w+)"
SHOW = r"^(?:please )?(?:show|give|write|reach|run into)\b[^.!?]*\b"
MEMORY_HINT = 'Also "Remember that I like teal", "What do you know about me?", "Forget teal".'


@dataclass(frozen=True)
class Reply:
    """The model's answer: a text, or tool calls as names and arguments.

    `pause` is the time in milliseconds after each streamed word; `cut_off` says that a limit ended
    the answer.
    """

    text: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    pause: int = 0
    cut_off: bool = False


Rule = Callable[[Conversation, re.Match[str]], Reply]


def reply(messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]]) -> Reply:
    """Return the answer to a conversation in the shape of the chat completions API."""
    return _answer(read_conversation(messages, tools))


def _answer(seen: Conversation) -> Reply:
    if seen.results:
        return _after_tools(seen)
    for pattern, rule in RULES:
        if match := re.search(pattern, seen.question, re.IGNORECASE | re.DOTALL):
            return rule(seen, match)
    count = len(seen.questions)
    text = f'You said: "{seen.question}". I can see {count} of your messages in this conversation.'
    name = _known_name(seen) if re.match(GREETING, seen.question, re.IGNORECASE) else ""
    return Reply(f"{f'Hello, {name}! ' if name else ''}{NOTICE} {text} {_hint(seen)}")


def _hint(seen: Conversation) -> str:
    hint = f"{HINT} {MEMORY_HINT}" if "save_user_memory" in seen.tools else HINT
    return f"{hint} {SHOW_HINT}"


def _after_tools(seen: Conversation) -> Reply:
    tool, output = seen.results[-1]
    if tool == "get_user_memory":
        return _after_search(seen, output)
    if tool == "save_user_memory":
        return Reply(f"I will remember that. {output}")
    if tool == "get_current_time":
        return Reply(f"It is {output}.")
    return Reply("\n".join(f"{name} returned: {text}" for name, text in seen.results))


def _after_search(seen: Conversation, output: str) -> Reply:
    try:
        found = json.loads(output)
    except ValueError:
        return Reply(f"get_user_memory returned: {output}")
    if re.search(r"\bforget\b", seen.question, re.IGNORECASE) and found:
        key = found[0]["memory_key"]
        return _call(seen, "delete_user_memory", memory_key=key)
    if not found:
        return Reply("I know nothing about you yet.")
    return Reply("This is what I remember about you:\n" + _listed(found))


def _listed(found: Sequence[dict[str, str]]) -> str:
    return "\n".join(f"- {item['memory']}" for item in found)


def _call(seen: Conversation, tool: str, **arguments: Any) -> Reply:
    if tool not in seen.tools:
        return Reply(f"{NOTICE} This agent has no tool {tool}.")
    return Reply(calls=[(tool, arguments)])


def _remember(seen: Conversation, match: re.Match[str]) -> Reply:
    memory = match["memory"].strip()
    key = "_".join(re.findall(r"[a-z0-9]+", memory.lower())[:6]) or "memory"
    return _call(seen, "save_user_memory", memory_key=key, memory=memory)


def _recall(seen: Conversation, _match: re.Match[str]) -> Reply:
    return _call(seen, "get_user_memory", query=seen.question)


def _known_name(seen: Conversation) -> str:
    for question in reversed(seen.questions[:-1]):
        if match := re.search(INTRODUCTION, question, re.IGNORECASE):
            return match["name"]
    return ""


def _greet(seen: Conversation, match: re.Match[str]) -> Reply:
    return Reply(f"Nice to meet you, {match['name']}! {NOTICE} {_hint(seen)}")


def _show(sample: str, cut_off: bool = False) -> Rule:
    text = sample if cut_off else f"{sample}\n\n{NOTICE}"
    return lambda _seen, _match: Reply(text, cut_off=cut_off)


def _name(seen: Conversation, _match: re.Match[str]) -> Reply:
    if name := _known_name(seen):
        return Reply(f"You told me in this conversation: your name is {name}.")
    if "get_user_memory" in seen.tools:
        return _call(seen, "get_user_memory", query=seen.question)
    return Reply("You have not told me your name in this conversation.")


def _said(seen: Conversation, _match: re.Match[str]) -> Reply:
    earlier = seen.questions[:-1]
    if not earlier:
        return Reply("This is your first message in this conversation.")
    return Reply("You said:\n" + "\n".join(f"- {question}" for question in earlier))


def _time(seen: Conversation, _match: re.Match[str]) -> Reply:
    return _call(seen, "get_current_time")


def _command(seen: Conversation, _match: re.Match[str]) -> Reply:
    found = re.findall(r"/call\s+([\w.-]+)\s*(\{.*?\})?\s*(?=/call|$)", seen.question, re.DOTALL)
    if not found:
        return Reply('Write it like this: /call get_current_time {"timezone": "UTC"}')
    try:
        calls = [(tool, json.loads(arguments or "{}")) for tool, arguments in found]
    except ValueError as error:
        return Reply(f"The arguments are not JSON: {error}.")
    missing = [tool for tool, _ in calls if tool not in seen.tools]
    return Reply(f"There is no tool {missing[0]}.") if missing else Reply(calls=calls)


def _repeat(_seen: Conversation, match: re.Match[str]) -> Reply:
    words = " ".join(f"word{number}" for number in range(1, int(match["count"]) + 1))
    return Reply(words, pause=int(match["pause"] or 0))


RULES: list[tuple[str, Rule]] = [
    (r"^/call\s", _command),
    (r"^/repeat (?P<count>\d{1,5})(?: every (?P<pause>\d{1,5}) ms)?$", _repeat),
    (r"^(?:please )?remember(?: that)?[:,]? (?P<memory>.+)", _remember),
    (rf"{SHOW}table\b", _show(TABLE)),
    (rf"{SHOW}code\b", _show(CODE)),
    (rf"{SHOW}long (?:answer|text|story)\b", _show(LONG)),
    (rf"{SHOW}limit\b", _show(CUT_OFF, cut_off=True)),
    (r"\bforget\b", _recall),
    (r"\bwhat(?:'s| is) my name\b", _name),
    (r"\bwhat did i (?:just )?say\b", _said),
    (r"\bwhat (?:time|day|date) is it\b|\bwhat is the (?:time|date)\b", _time),
    (r"\bdo you (?:know|remember)\b|\bwhat(?:'s| is) my\b", _recall),
    (rf"^(?:{GREETING}[,.!]? )?{INTRODUCTION}", _greet),
]
