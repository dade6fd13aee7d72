"""The client's chat completions: answers as the SDK reads them, whoever gives them.

The SDK takes the content for a text, the ids of calls for unique, and does not say why an answer
ended.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from agent_server.answers.parts import (
    CUT_OFF,
    Content,
    Part,
    new_call_id,
    read_parts,
    to_annotation,
    unpacked,
)
from agent_server.answers.shaped import ShapedStream, cited_beside, shape_whole
from agent_server.errors import filtered
from agent_server.transport.model_client import QuickCompletions


@dataclass
class Heard:
    """What the SDK does not hand on of the model's last answer in a turn."""

    finish: str = ""
    annotations: list[Part] = field(default_factory=list)


# Of the turn that is running.
heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


class WholeCompletions(QuickCompletions):
    """Chat completions whose answers fit the SDK."""

    async def create(self, **request: Any) -> Any:
        """Return an answer, or its stream.

        Raises ModelError if it is something else, and a 400 ApiError if a filter left nothing.
        """
        calls = [c for m in request["messages"] for c in m.get("tool_calls") or ()]
        structured = isinstance(request.get("response_format"), dict)
        shaped = _Shaped({str(call["id"]) for call in calls}, structured)
        answer = await super().create(**request)
        if request.get("stream"):
            return ShapedStream(answer, shaped.shape)
        return shape_whole(answer, shaped.shape)


class _Shaped:
    """One answer, whose pieces are shaped as they come."""

    def __init__(self, taken: set[str], structured: bool) -> None:
        self._taken, self._structured = taken, structured
        self._ids: dict[int, str] = {}  # of this answer's calls, by their places
        self._names: dict[int, str] = {}  # of them, as far as they are said
        self._begun = False  # it has said something
        self._heard = heard.get() or Heard()
        self._heard.finish, self._heard.annotations = "", []

    def shape(self, said: Any, finish: str | None) -> None:
        """Let a message, or a piece of one, hold its text as content, and reasoning beside it.

        Raises a 400 ApiError at the end of an answer of which a filter left nothing.
        """
        found = _read(said)
        if not self._structured and (refusal := getattr(said, "refusal", None)):
            found.text, said.refusal = found.text + refusal, None
        if found.text or said.content:
            said.content = found.text or None
        if found.reasoning:
            said.reasoning_content, said.reasoning = found.reasoning, None
        if cited := cited_beside(said):
            found.annotations += map(to_annotation, cited)
            said.annotations = None
        self._heard.annotations += found.annotations
        self._heard.finish = CUT_OFF.get(finish or "", self._heard.finish)
        calls = getattr(said, "tool_calls", None) or ()
        self._begun |= bool(found.text or calls or getattr(said, "refusal", None))
        for place, call in enumerate(calls):
            self._name(call, getattr(call, "index", place))
        if finish and self._heard.finish == "content_filter" and not self._begun:
            raise filtered()

    def _name(self, call: Any, place: int) -> None:
        # Only the first piece of a call has an id, or each has the same.
        if place not in self._ids and (call.id or getattr(call.function, "name", None)):
            new = not call.id or call.id in self._taken
            self._ids[place] = new_call_id() if new else call.id
            self._taken.add(self._ids[place])
        call.id = self._ids.get(place, call.id)
        if name := getattr(call.function, "name", None):
            # Some say it in pieces, and the SDK takes the last one for all of it.
            self._names[place] = call.function.name = self._names.get(place, "") + name


def _read(said: Any) -> Content:
    content = said.content or ""
    found = read_parts(unpacked(content) if isinstance(content, str) else content)
    beside = getattr(said, "reasoning_content", None) or getattr(said, "reasoning", None)
    found.reasoning += beside if isinstance(beside, str) else ""
    return found
