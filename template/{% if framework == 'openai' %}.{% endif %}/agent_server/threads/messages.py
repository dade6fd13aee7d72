"""Finds which items of a session to keep, which are new, and which already answer this turn."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

from agents import TResponseInputItem
from agents.models.fake_id import FAKE_RESPONSES_ID

from agent_server.database.text import shortened, storable, to_storable_json
from agent_server.settings import limit
from agent_server.threads.deduplicate import (
    RoleAndText,
    first_edited,
    first_new,
    first_replaced,
    still_meant,
)

Items = Sequence[TResponseInputItem]
UNSENT = {"id", "status", "provider_data"}  # of an answer


def kept_and_new(
    held: Items,
    sent: Items,
    again: bool = False,
    cut: bool = False,
    replaced: Items = (),
    unfinished: Sequence[str] | None = None,
) -> tuple[Items, Items]:
    """Return the items of the session to keep, and those in `sent` that it does not hold.

    A question that is asked again is not kept, nor is its answer (see `first_replaced`).
    With `cut`, `held` is only the end of the thread. `replaced` is the question in whose place
    `sent` asks another one. `unfinished` is what there is of the answer to replace (see
    `still_meant`).
    """
    thread, texts = _roles_and_texts(held), _roles_and_texts(sent)
    stays = first_replaced(thread, texts, again)
    if replaced:
        stays = first_edited(thread, _roles_and_texts(replaced)[-1])
    stays = still_meant(thread, stays, unfinished)
    return held[:stays], sent[first_new(thread[:stays], texts, cut) :]


def plain(items: Items) -> list[TResponseInputItem]:
    """Return `items` for a run, with the text alone of each answer that has nothing else to tell.

    A run of the SDK copies every part of every item several times.
    """
    nothing: Any = {}
    around = zip([nothing, *items], items, [*items[1:], nothing], strict=False)
    return [
        # Reasoning needs the item after it as it was, and a tool call the text before it.
        _text_alone(item)
        if "type" in item and after.get("role") == "user" and before.get("type") != "reasoning"
        else item
        for before, item, after in around
    ]


def copies(items: Items) -> list[TResponseInputItem]:
    """Return items that a run may change, while `items` stay as they are."""
    return [
        # Most are texts alone: to copy one of those so takes a tenth of the time.
        cast(TResponseInputItem, {**item}) if _is_text(item) else deepcopy(item)
        for item in items
    ]


def signed(items: Items, response_id: str) -> list[TResponseInputItem]:
    """Return `items`, the last one carrying the id of the background response, if there is one."""
    sign = [cast(TResponseInputItem, {**item, "id": response_id}) for item in items[-1:]]
    return [*items[:-1], *sign] if response_id else [*items]


def stored_answer(held: Items, response_id: str) -> Items:
    """Return the answer that an earlier attempt stored before it was cut off; empty if none."""
    if not response_id or not held or held[-1].get("id") != response_id:
        return ()
    asked = max(index for index, item in enumerate(held) if item.get("role") == "user")
    return held[asked + 1 :]


def to_text(content: Any) -> str:
    """Return the text of an item's content, which is a string or a list of parts."""
    if isinstance(content, list):
        return "".join(part.get("text") or part.get("refusal") or "" for part in content)
    return content or ""


def clean(item: TResponseInputItem) -> TResponseInputItem:
    """Return the item with storable text; what a tool returned is cut to TOOL_OUTPUT_BYTES."""
    cleaned = storable(item)
    if "arguments" in cleaned:
        cleaned["arguments"] = to_storable_json(cleaned["arguments"])
    if "output" in cleaned:
        cleaned["output"] = _shortened(cleaned["output"], limit("TOOL_OUTPUT_BYTES"))
    return cast(TResponseInputItem, cleaned)


def says(item: TResponseInputItem) -> bool:
    """Return whether to keep the item: some models refuse empty messages in a history.

    Reasoning is kept only if its provider wants it back.
    """
    if item.get("type") == "reasoning":
        return needs_reasoning(item)
    return item.get("type") != "message" or bool(to_text(item.get("content")).strip())


def needs_reasoning(item: TResponseInputItem) -> bool:
    """Return whether the model must see its reasoning again: it is signed, or kept elsewhere."""
    known = item.get("id") not in (None, "", FAKE_RESPONSES_ID)
    return known or bool(item.get("encrypted_content"))


def _is_text(item: TResponseInputItem) -> bool:
    return item.keys() == {"role", "content"} and isinstance(item.get("content"), str)


def _text_alone(item: TResponseInputItem) -> TResponseInputItem:
    """Return an assistant's message of one text without what no model is sent of it."""
    match item:
        case {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": str(text), **part}],
            **more,
        } if not any(part.values()) and more.keys() <= UNSENT:
            return {"role": "assistant", "content": text}
    return item


def _shortened(output: Any, most: int) -> Any:
    """Return the output of a tool with its texts cut off; it is a string or a list of parts."""
    if isinstance(output, list):
        return [
            {k: _shortened(v, most) if k == "text" else v for k, v in p.items()} for p in output
        ]
    return shortened(output, most) if isinstance(output, str) else output


def _identity(content: Any) -> str:
    """Return the text with what tells it from others that are the same: its images and files."""
    if isinstance(content, str):
        return content
    parts = content or []
    files = [part.get("image_url") or part.get("file_data") for part in parts]
    return to_text(content) + "".join(f"\0{file}" for file in files if file)


def _roles_and_texts(items: Items) -> list[RoleAndText]:
    return [(str(item.get("role", "tool")), _identity(item.get("content"))) for item in items]
