"""One user who opens streams and hangs up on them, at moments that nobody chose."""

import asyncio
import json
import random
import socket
import struct
from collections.abc import Sequence
from typing import Any

AT_ONCE = 5
LONGEST_SECONDS = 0.6
PAUSE_SECONDS = 0.05  # before the next: how many turns one user may begin is another matter
THREADS = 40  # some turns wait for another of their thread
RESET = struct.pack("ii", 1, 0)  # a connection closed with it is reset
QUESTION = "/repeat 40 every 20 ms"


def hang_up_on(port: int, streams: int, seed: int = 0) -> None:
    """Open so many streams, and hang up on each: before its first byte, within it, or by a reset.

    No more than AT_ONCE are open at the same time.
    """
    asyncio.run(_hang_up_on_all(port, _fates(random.Random(seed), streams)))


def _fates(chance: random.Random, streams: int) -> Sequence[tuple[bytes, float, bool]]:
    fates = []
    for _ in range(streams):
        thread = f"thread {chance.randrange(THREADS)}"
        body: dict[str, Any] = {"input": QUESTION, "custom_inputs": {"thread_id": thread}}
        body["stream"] = chance.random() < 0.8
        seconds = chance.choice([0, chance.random() * 0.05, chance.random() * LONGEST_SECONDS])
        fates.append((_request(body), seconds, chance.random() < 0.5))
    return fates


def _request(body: dict[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        "POST /responses HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-User: mallory\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


async def _hang_up_on_all(port: int, fates: Sequence[tuple[bytes, float, bool]]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def hang_up_on_one(request: bytes, seconds: float, reset: bool) -> None:
        async with slots:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            await asyncio.sleep(seconds)
            if reset:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort() if reset else writer.close()
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(*(hang_up_on_one(*fate) for fate in fates))
