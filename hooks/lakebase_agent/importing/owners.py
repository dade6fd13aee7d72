"""Whose the rows are that an agent stored under keys of its own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

FACTS = "user_memories"  # the kind of a namespace in Databricks' own templates
MEMORIES = "memories"


def user_key(user: str) -> str:
    """Return a user's id as it is in the keys of the memory; see `identity.py` of a project."""
    return quote(user, safe="").replace(".", "%2E").replace("~", "%7E")


@dataclass(frozen=True)
class Owners:
    """Who is meant by an old id: the user who was given for it, or else the id itself.

    `known` are ids that the threads name. In a namespace a period was written as a hyphen, so that
    one with a hyphen says whose it is only if a known id, or one that was given, reads like it.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def of_thread(self, users: Iterable[str | None]) -> str:
        """Return the owner of a thread that names these users; empty if that can't be told."""
        named = {str(user) for user in users if user}
        return self._meant(named.pop()) if len(named) == 1 else ""

    def of_namespace(self, prefix: str) -> str:
        """Return the owner of a namespace of facts; empty if that can't be told."""
        label = prefix.removeprefix(f"{FACTS}.")
        if label in self.given:
            return self.given[label]
        like = {user for user in {*self.known, *self.given} if user.replace(".", "-") == label}
        if len(like) == 1:
            return self._meant(like.pop())
        return "" if like or "-" in label else self._meant(label)

    def _meant(self, user: str) -> str:
        return self.given.get(user, user)
