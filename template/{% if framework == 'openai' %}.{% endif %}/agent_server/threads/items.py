"""The newest items of a session, as a process keeps them between two turns."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from agents import TResponseInputItem

from agent_server.threads.messages import plain
from agent_server.threads.window import bytes_read

MOST_ITEMS = 2000  # that are read of a session
AROUND_ITEM = 300  # bytes of memory, beside its text


@dataclass(frozen=True)
class Items:
    """The newest items of a session, as `plain` makes them. A turn is given copies of them."""

    last: int | None  # the id of the last
    total: int  # in the session
    agent: str = ""  # that answered before these, if it is not the first
    found: list[TResponseInputItem] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # of each as JSON, in bytes
    agents: list[str] = field(default_factory=list)  # who answers from each on; "" is no change

    @property
    def size(self) -> int:
        """How many bytes of memory they take, about."""
        return sum(self.sizes) + AROUND_ITEM * len(self.sizes)

    def followed_by(
        self, texts: Sequence[str], last: int, instead_of: int = 0, agent: str = ""
    ) -> "Items":
        """Return what is read of the session once `texts` replace its last `instead_of` items."""
        stay = len(self.found) - instead_of
        return replace(
            self,
            last=last,
            total=self.total - instead_of + len(texts),
            found=plain([*self.found[:stay], *_parsed(texts)]),
            sizes=[*self.sizes[:stay], *map(_size, texts)],
            agents=[*self.agents[:stay], agent, *[""] * (len(texts) - 1)],
        )._newest()

    def _newest(self) -> "Items":
        """Return as many as are read of a session, so that a long one costs no more."""
        sums, most = accumulate(reversed(self.sizes[-MOST_ITEMS:])), bytes_read()
        start = len(self.sizes) - sum(size <= most for size in sums)
        named = [agent for agent in (self.agent, *self.agents[:start]) if agent]
        newest = self.found[start:], self.sizes[start:], self.agents[start:]
        return Items(self.last, self.total, named[-1] if named else "", *newest)


def from_rows(rows: Sequence[dict[str, Any]]) -> Items:
    """Return what was read of a session: each row has an item, and what holds for all of them."""
    first, held = rows[0], [row for row in rows if row["message_data"] is not None]
    texts = [row["message_data"] for row in held]
    agents = [row["agent"] or "" for row in held]
    items = plain(_parsed(texts)), list(map(_size, texts)), agents
    return Items(first["last"], first["total"], first["before"] or "", *items)


def _parsed(texts: Sequence[str]) -> list[TResponseInputItem]:
    parsed: list[TResponseInputItem] = json.loads(f"[{','.join(texts)}]")
    return parsed


def _size(text: str) -> int:
    return len(text.encode())
