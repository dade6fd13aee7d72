"""The first messages of Postgres's protocol, up to where a server has let a client in.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import asyncio
import struct
from dataclasses import dataclass

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
ASK_PASSWORD = b"R" + struct.pack("!ii", 8, 3)  # AuthenticationCleartextPassword


@dataclass(frozen=True)
class Startup:
    """A client's first message."""

    code: int
    raw: bytes

    @property
    def parameters(self) -> dict[str, str]:
        """What the client wants: user, database..."""
        words = self.raw[8:].rstrip(b"\0").decode().split("\0")
        return dict(zip(words[::2], words[1::2], strict=True))


async def read_startup(reader: asyncio.StreamReader) -> Startup:
    """Read a message that has no type, as the first one has not."""
    head = await reader.readexactly(8)
    length, code = struct.unpack("!ii", head)
    return Startup(code, head + await reader.readexactly(length - 8))


async def read_password(reader: asyncio.StreamReader) -> str:
    """Read the answer to ASK_PASSWORD."""
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    body = await reader.readexactly(length - 4)
    return body.rstrip(b"\0").decode() if kind == b"p" else ""


def fatal(code: str, message: str) -> bytes:
    """Return an ErrorResponse that ends a connection."""
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": message}
    body = b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0"
    return b"E" + struct.pack("!i", len(body) + 4) + body
