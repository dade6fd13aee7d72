"""Tool calls as endpoints say them, whole or in pieces, in the shape that a framework reads."""

import json
from collections.abc import Iterable
from typing import Any


class CallPieces:
    """The calls of one answer that is streamed; each piece gets the place of its call.

    Endpoints leave places out, begin every call at the first, or continue one at another.
    """

    def __init__(self) -> None:
        self._calls: list[tuple[str, str]] = []  # the id and the name of each
        self._places: dict[int, int] = {}  # by those of the endpoint

    def shape(self, pieces: Iterable[Any]) -> None:
        """Give the pieces their places; only the first of a call keeps its id and its name."""
        for piece in pieces:
            to_text(piece.function)
            said, call_id = getattr(piece, "index", None), piece.id or ""
            name = getattr(piece.function, "name", None) or ""
            place = self._find(said, call_id, name)
            if place is None:
                place = len(self._calls)
                self._calls.append((call_id, name))
            else:
                piece.id = None
                if name == self._calls[place][1]:
                    piece.function.name = None
            piece.index = place
            if said is not None:
                self._places[said] = place

    def _find(self, said: int | None, call_id: str, name: str) -> int | None:
        """Return the place of the call that a piece continues, or None if it begins one."""
        if said in self._places:
            place = self._places[said]
            return place if call_id in ("", self._calls[place][0]) else None
        if call_id and said is None:
            known = [place for place, call in enumerate(self._calls) if call[0] == call_id]
            return known[-1] if known else None
        return None if call_id or name or not self._calls else len(self._calls) - 1


def to_text(function: Any) -> None:
    """Let the arguments of a function be JSON in a text; some endpoints send the object."""
    arguments = getattr(function, "arguments", None)
    if arguments is not None and not isinstance(arguments, str):
        function.arguments = json.dumps(arguments)
