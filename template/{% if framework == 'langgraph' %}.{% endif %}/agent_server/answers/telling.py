"""Tells the client what a turn adds to its thread: each message once, whichever node adds it."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from langchain_core.messages import AIMessage, BaseMessage, RemoveMessage, ToolCall, ToolMessage

from agent_server.answers.content import read_content
from agent_server.answers.parts import Content
from agent_server.responses.builder import ResponseBuilder

TELLABLE = (AIMessage, ToolMessage, RemoveMessage)


class Teller:
    """Emits messages of the model and the tools to the response.

    A model's text is emitted while it is written, one model at a time. With `holds`, nothing is
    told before it is final: a middleware may still change or refuse it.
    """

    def __init__(self, response: ResponseBuilder, holds: bool) -> None:
        self._response, self._holds = response, holds
        self._known: dict[int, BaseMessage] = {}  # by identity: some have no id yet
        self._ids: set[str] = set()
        self._waiting: dict[str, BaseMessage] = {}  # while another model speaks, or until final
        self._speaking: UUID | None = None
        self._said: list[str] = []  # by that model
        self._broken = False  # it failed: what it said stays open, unless the turn goes on
        self._spoken: dict[str, Content] = {}  # what models said, by the ids of their messages
        self._calls: dict[str, ToolCall] = {}  # whose tools have not begun: they may have to wait
        self.last: Content | None = None  # of the model's last message

    def know(self, state: Any) -> None:
        """Take the messages in a state for told."""
        for message in _messages_in(state):
            self._note(message)

    def expect(self, state: Any) -> None:
        """Take the calls without results in a state for those that the turn makes."""
        messages = [*_messages_in(state)]
        done = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
        calls = [call for m in messages[-1:] if isinstance(m, AIMessage) for call in m.tool_calls]
        self._calls = {str(call["id"]): call for call in calls if call["id"] not in done}

    def begin_call(self, call_id: str | None) -> None:
        """Emit a call whose tool begins; all calls, if it can't be said which."""
        for key in [call_id] if call_id else [*self._calls]:
            if call := self._calls.pop(key, None):
                name, arguments = call["name"], json.dumps(call["args"])
                self._response.tool_call(key, name, arguments)

    def hear(self, run_id: UUID, piece: BaseMessage) -> None:
        """Emit a piece of what a model writes, unless it must wait."""
        self._close_broken()
        if self._holds or self._speaking not in (None, run_id):
            return
        found = read_content(piece)
        if found.reasoning or found.text:
            if self._speaking is None:
                self.begin_call(None)
            self._speaking = run_id
        if found.reasoning:
            self._response.reasoning(found.reasoning)
        if found.text:
            self._said.append(found.text)
            self._response.text(found.text)

    def stop_hearing(self, run_id: UUID) -> None:
        """Note that a model failed; if the turn goes on, what it wrote is closed."""
        self._broken = self._speaking == run_id

    def keep(self, message: AIMessage, content: Content) -> None:
        """Remember what a message held before only its text was kept."""
        self._spoken[str(message.id)] = content

    def tell(self, update: Any) -> None:
        """Emit the messages in what a step of the graph adds that have not been told yet."""
        for message in _messages_in(update):
            if isinstance(message, RemoveMessage):
                self._waiting.pop(str(message.id), None)
            elif str(message.id) in self._waiting:  # changed before it was told
                self._waiting[str(message.id)] = message
            elif self._is_new(message):
                self._tell(message)

    def tell_rest(self, waits: bool = False) -> None:
        """Emit what is still waiting, at the end of the turn; not calls that wait for approval."""
        self._tell_waiting()
        if not waits:
            self.begin_call(None)

    def _tell_waiting(self) -> None:
        self._close("")
        for message in [*self._waiting.values()]:
            self._emit(message)
        self._waiting.clear()

    def _close_broken(self) -> None:
        if self._broken:
            self._close("")

    def _tell(self, message: BaseMessage) -> None:
        self._close_broken()
        if self._holds and isinstance(message, ToolMessage):
            self._tell_waiting()  # its call is final
            self._emit(message)
        elif self._holds or (self._speaking and not self._is_spoken(message)):
            self._waiting[str(message.id or id(message))] = message
        else:
            self._emit(message)
            self._tell_waiting()

    def _is_spoken(self, message: BaseMessage) -> bool:
        text = self._read(message).text if isinstance(message, AIMessage) else None
        return text == "".join(self._said)

    def _read(self, message: BaseMessage) -> Content:
        return self._spoken.get(str(message.id)) or read_content(message)

    def _emit(self, message: BaseMessage) -> None:
        if isinstance(message, ToolMessage):
            self.begin_call(message.tool_call_id)
            self._response.tool_output(message.tool_call_id, read_content(message).text)
        elif isinstance(message, AIMessage):
            self.last = content = self._read(message)
            if not self._speaking:
                self.begin_call(None)
                self._response.end_reasoning(content.reasoning)
            # What a middleware made of the text, if it changed it.
            text = read_content(message).text if self._holds else content.text
            self._close(text, content.annotations)
            self._calls.update({str(call["id"]): call for call in message.tool_calls})
            self._count(message)

    def _close(self, text: str, annotations: Any = ()) -> None:
        self._response.end_text("" if self._speaking else text, annotations)
        self._response.end_reasoning()
        self._speaking, self._said, self._broken = None, [], False

    def _count(self, message: AIMessage) -> None:
        if used := message.usage_metadata:
            cached = used.get("input_token_details", {}).get("cache_read", 0)
            thought = used.get("output_token_details", {}).get("reasoning", 0)
            tokens = used["input_tokens"], used["output_tokens"]
            self._response.count(*tokens, cached=cached, reasoning=thought)

    def _is_new(self, message: BaseMessage) -> bool:
        if self._known:
            # Whoever keeps a message may give it an id later: the same object then has it, too.
            self._ids |= {known.id for known in self._known.values() if known.id}
            self._known = {key: known for key, known in self._known.items() if not known.id}
        new = id(message) not in self._known and message.id not in self._ids
        self._note(message)
        return new

    def _note(self, message: BaseMessage) -> None:
        if message.id:
            self._ids.add(message.id)
        else:
            self._known[id(message)] = message


def _messages_in(value: Any) -> Iterator[BaseMessage]:
    """Yield the messages in an update or a state: in a field, in a list of a field, or alone."""
    if isinstance(value, TELLABLE):
        yield value
    elif isinstance(value, dict):
        for field in value.values():
            yield from _messages_in(field)
    elif isinstance(value, list | tuple):
        for one in value:
            if isinstance(one, TELLABLE):
                yield one
            elif isinstance(one, dict):
                yield from _messages_in(one)
