"""Emits the items of a response as events of the OpenAI Responses API."""

import json
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from agent_server.errors import output_too_large
from agent_server.responses.events import EventLog
from agent_server.responses.written import KINDS, MESSAGE, REASONING, Item, Kind, Written
from agent_server.settings import limit


class ItemEmitter:
    """Adds items to the output in `body`, and emits them to the readers of `events`.

    Methods that take output raise a 502 ApiError when the events would be larger than the limit
    MAX_BYTES.
    """

    MAX_BYTES = "OUTPUT_BYTES"

    def __init__(self, body: Item) -> None:
        self._body = body
        self._deltas: list[str] = []  # of the open text; not yet in the body
        self._bytes = 0  # of all events
        self._emitted = self._opened = 0
        self._begun = False
        self._written: Written | None = None  # the open text
        self.events = EventLog()

    @property
    def body(self) -> Item:
        """The response as it is now."""
        if self._deltas:  # joined only here: adding each to the text would copy it every time
            item = self._body["output"][-1]
            item[KINDS[item["type"]].parts][0]["text"] += "".join(self._deltas)
            self._deltas.clear()
        return self._body

    def text(self, delta: str) -> None:
        """Append `delta` to the open message, opening one if necessary."""
        self._write(MESSAGE, delta)

    def reasoning(self, delta: str) -> None:
        """Append `delta` to the open reasoning, opening one if necessary."""
        self._write(REASONING, delta)

    def end_text(self, text: str = "", annotations: Sequence[Item] = ()) -> None:
        """Close the open message; `text` is its full text if it was not streamed.

        The annotations are those of the OpenAI API, such as `url_citation`.
        """
        self._end(MESSAGE, text, annotations)

    def end_reasoning(self, text: str = "") -> None:
        """Close the open reasoning; `text` is its full text if it was not streamed."""
        self._end(REASONING, text, ())

    def _write(self, kind: Kind, delta: str) -> None:
        if self._written and self._written.kind is not kind:
            self._close_text()
        written = self._written = self._written or Written(kind)
        self._append(written, written.clean(delta))

    def _append(self, written: Written, text: str) -> None:
        kind = written.kind
        if not text:
            return
        self._refuse_beyond(text)
        if not written.opened:
            written.opened = True
            item = self._open(kind.prefix, {**kind.item, kind.parts: []})
            item[kind.parts] = [part := {**kind.part}]
            self._emit_of_item(f"{kind.part_event}.added", **kind.place, part=part)
        self._deltas.append(text)
        self._emit_of_item(f"{kind.text_event}.delta", **kind.place, delta=text, **kind.more)

    def _end(self, kind: Kind, text: str, annotations: Sequence[Item]) -> None:
        if text and (self._written is None or self._written.kind is not kind):
            self._write(kind, text)
        if self._written and self._written.kind is kind:
            self._close_text(annotations)

    def _close_text(self, annotations: Sequence[Item] = ()) -> None:
        if (written := self._written) is None:
            return
        self._append(written, written.rest())
        self._written = None
        if written.opened:
            kind, item = written.kind, self.body["output"][-1]
            self._annotate(kind, item[kind.parts][0], annotations)
            part = item[kind.parts][0]
            text = {**kind.place, "text": part["text"], **kind.more}
            self._emit_of_item(f"{kind.text_event}.done", **text)
            self._emit_of_item(f"{kind.part_event}.done", **kind.place, part=part)
            self._close(item)

    def _annotate(self, kind: Kind, part: Item, annotations: Sequence[Item]) -> None:
        for number, annotation in enumerate(annotations):
            self._refuse_beyond(json.dumps(annotation))
            part["annotations"] = [*part["annotations"], annotation]
            event = {**kind.place, "annotation_index": number, "annotation": annotation}
            self._emit_of_item(f"{kind.text_event}.annotation.added", **event)

    def _interrupt(self) -> None:
        """Close the unfinished item, if there is one."""
        self._written = None
        if self.body["output"] and self.body["output"][-1]["status"] == "in_progress":
            self._close(self.body["output"][-1], "incomplete")

    def _begin(self) -> None:
        # Only once there is output: until then, a failure can still be an HTTP status.
        if not self._begun:
            self._begun = True
            self.body["status"] = "in_progress"
            if not self._emitted:
                self._emit("created", response=self.body)
            self._emit("in_progress", response=self.body)

    def _open(self, prefix: str, item: Item) -> Item:
        self._begin()
        item["id"] = item.get("id") or f"{prefix}_{uuid4().hex}"
        item["status"] = "in_progress"
        self.body["output"].append(item)
        self._opened += 1
        self._emit_of_item("output_item.added", item=item)
        return item

    def _close(self, item: Item, status: str = "completed") -> None:
        item["status"] = status
        self._emit_of_item("output_item.done", item=item)

    def _emit_of_item(self, event: str, **fields: Any) -> None:
        """Emit an event about the item that was opened last."""
        item = self._body["output"][-1]
        self._emit(event, item_id=item["id"], output_index=self._opened - 1, **fields)

    def _emit(self, event: str, **fields: Any) -> None:
        kind = f"response.{event}"
        number = {"sequence_number": self._emitted}
        text = json.dumps({"type": kind, **number, **fields})
        self.events.append((kind, text))
        self._bytes += len(text)
        self._emitted += 1

    def _refuse_beyond(self, more: str) -> None:
        # Checked before anything is emitted: an item that was opened must always be closed.
        most = limit(self.MAX_BYTES)
        if self._bytes + len(more) > most:
            raise output_too_large(f"The output is larger than {most} bytes.")
