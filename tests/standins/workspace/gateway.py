"""A TLS front for a Postgres that has none, whose passwords are tokens of the workspace.

`databricks-ai-bridge` connects to port 5432 with `sslmode=require`, so that each gateway needs an
address of its own: one of the loopback's, all of which Linux serves without being asked.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.standins.workspace.certificate import tls_context
from tests.standins.workspace.wire import (
    ASK_PASSWORD,
    CANCEL_REQUEST,
    SSL_REQUEST,
    fatal,
    read_password,
    read_startup,
)

PORT = 5432
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Switches:
    """What a test makes the database do."""

    away: bool = False  # connections are closed at once
    failures: int = 0  # so many logins fail, because it is waking up
    seconds: float = 0.0  # a login takes so long


@dataclass
class Gateway:
    """Lets in who has a token, and passes the rest on to `port()` of this machine."""

    folder: Path
    port: Callable[[], int]
    may_log_in: Callable[[str, str], bool]
    switches: Switches = field(default_factory=Switches)
    logins: list[str] = field(default_factory=list)  # by user
    refused: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = _free_address()
        self.host: str = self._listener.getsockname()[0]
        self._tls = tls_context(self.host, self.folder)
        self._open: set[asyncio.BaseTransport] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])

    def start(self) -> None:
        """Begin to serve."""
        self._accepting = self._loop.create_task(self._accept())
        self._thread.start()

    def stop(self) -> None:
        """Serve nobody any more."""
        self._loop.call_soon_threadsafe(self._accepting.cancel)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    def drop(self) -> None:
        """Break every connection."""
        done = threading.Event()

        def abort() -> None:
            for transport in list(self._open):
                if isinstance(transport, asyncio.WriteTransport):
                    transport.abort()  # which closes it soon
            self._loop.call_soon(done.set)

        self._loop.call_soon_threadsafe(abort)
        done.wait()

    async def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await self._accepting
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            task = self._loop.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, client: socket.socket) -> None:
        # What a client breaks off is its own affair.
        with contextlib.suppress(OSError, EOFError, ssl.SSLError), client:
            if self.switches.away or not await self._asks_for_tls(client):
                return
            await self._loop.sock_sendall(client, b"S")
            reader, writer = await self._streams(client)
            self._open.add(writer.transport)
            try:
                if not self.switches.away:  # it may have come while others were broken
                    await self._let_in(reader, writer)
            finally:
                self._open.discard(writer.transport)
                writer.close()
                await writer.wait_closed()

    async def _asks_for_tls(self, client: socket.socket) -> bool:
        while head := await self._loop.sock_recv(client, 8):
            if int.from_bytes(head[4:]) == SSL_REQUEST:
                return True
            if int.from_bytes(head[:4]) != len(head):  # a login without TLS
                await self._loop.sock_sendall(client, fatal("28000", "TLS is required"))
                return False
            await self._loop.sock_sendall(client, b"N")  # GSS encryption
        return False

    async def _streams(self, client: socket.socket) -> Streams:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(
            lambda: protocol, client, ssl=self._tls
        )
        assert isinstance(transport, asyncio.WriteTransport)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self._loop)

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await read_startup(reader)
        asks = startup.code != CANCEL_REQUEST
        if asks and (refusal := await self._refusal(startup.parameters["user"], reader, writer)):
            writer.write(refusal)
            return
        try:
            server = await asyncio.open_connection("127.0.0.1", self.port())
        except OSError:
            writer.write(fatal("57P03", "the database system is starting up"))
            return
        server[1].write(startup.raw)
        try:
            await _pass_on((reader, writer), server)
        finally:
            server[1].close()

    async def _refusal(
        self, user: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        await asyncio.sleep(self.switches.seconds)
        if self.switches.failures > 0:
            self.switches.failures -= 1
            return fatal("57P03", "the database system is starting up")
        writer.write(ASK_PASSWORD)
        if self.may_log_in(user, await read_password(reader)):
            self.logins.append(user)
            return b""
        self.refused.append(user)
        return fatal("28P01", f'password authentication failed for user "{user}"')


async def _pass_on(client: Streams, server: Streams) -> None:
    """Pass bytes on in both directions, until one side ends."""
    both = [_pump(client[0], server[1]), _pump(server[0], client[1])]
    tasks = [asyncio.ensure_future(one) for one in both]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()


def _free_address() -> socket.socket:
    for last in range(2, 255):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((f"127.0.0.{last}", PORT))
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            listener.listen()
            listener.setblocking(False)
            return listener
    raise OSError(f"Port {PORT} of every address from 127.0.0.2 on is taken.")
