"""Bounds on how many values a body holds, and how deep it is: checked before it is parsed.

As objects, JSON takes fifty times its bytes; to validate a million of them takes seconds.
"""

from itertools import accumulate

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent_server.errors import bad_request
from agent_server.settings import limit

BRACKETS = b"[]{}"
OTHER_SIGNS = bytes(sign for sign in range(256) if sign not in BRACKETS)


class JsonBounds:
    """ASGI middleware that hands a body on when it is whole, if it is within the bounds."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer; whoever reads a body beyond the bounds gets a 400 ApiError."""
        parts: list[bytes] = []

        async def receive_whole() -> Message:
            while (message := await receive())["type"] == "http.request":
                parts.append(message.get("body", b""))
                if not message.get("more_body"):
                    body = b"".join(parts)
                    parts.clear()
                    _check_body(body)
                    return {**message, "body": body}
            return message

        await self.app(scope, receive_whole if scope["type"] == "http" else receive, send)


def _check_body(body: bytes) -> None:
    try:
        check_json(body)
    except ValueError as error:
        raise bad_request(f"body: {error}.") from None


def check_json(*texts: bytes) -> None:
    """Raise ValueError if one of the texts is too deep, or all together hold too many values.

    Takes milliseconds for megabytes, whatever they are. It does not tell whether they are JSON.
    """
    if any(b"\0" in text for text in texts):  # as in UTF-16, whose quotes could not be told
        raise ValueError("must be JSON in UTF-8, without NUL")
    most, deepest = limit("MAX_REQUEST_VALUES"), limit("MAX_REQUEST_DEPTH")
    # Strings count, too; but it is soon said, and holds for nearly every request.
    if sum(map(_values, texts)) <= min(most, deepest):
        return
    outside = [_outside_strings(text, most) for text in texts]
    if sum(map(_values, outside)) > most:
        raise _too_many(most)
    if max(map(_depth, outside)) > deepest:
        raise ValueError(f"must be at most {deepest} levels deep (the limit MAX_REQUEST_DEPTH)")


def _outside_strings(text: bytes, most: int) -> bytes:
    bare = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    # A value has at most two strings: itself, and its key. More could not be split in time.
    if bare.count(b'"') > 4 * most:
        raise _too_many(most)
    return b"".join(bare.split(b'"')[::2])


def _too_many(most: int) -> ValueError:
    return ValueError(f"must hold at most {most} values (the limit MAX_REQUEST_VALUES)")


def _values(json: bytes) -> int:
    # Each value follows one of these, but for the only one or the one after a key.
    return json.count(b",") + json.count(b"{") + json.count(b"[")


def _depth(json: bytes) -> int:
    brackets = json.translate(None, OTHER_SIGNS)
    # Beyond these it has more ends than beginnings, and is no JSON.
    possible = brackets[: 2 * _values(brackets)]
    return max(accumulate(1 if sign in b"[{" else -1 for sign in possible), default=0)
