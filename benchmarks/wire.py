"""What a server says to Postgres, read on the way there: statements, round trips and bytes.

A proxy, because Postgres itself counts neither bytes nor round trips. Its log, with `log_statement`
set to `all`, has the same number of statements.
"""

import contextlib
import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PROTOCOL_3 = 3  # the upper half of the version in a startup message; other requests have 1234
CHECK = "(connection check)"


@dataclass
class Traffic:
    """What was counted so far, over all connections."""

    sent: int = 0
    received: int = 0
    statements: Counter[str] = field(default_factory=Counter)
    round_trips: int = 0

    def __sub__(self, earlier: "Traffic") -> "Traffic":
        sent, received = self.sent - earlier.sent, self.received - earlier.received
        round_trips = self.round_trips - earlier.round_trips
        return Traffic(sent, received, self.statements - earlier.statements, round_trips)

    def copy(self) -> "Traffic":
        """Return what was counted until now."""
        return Traffic(self.sent, self.received, self.statements.copy(), self.round_trips)


class Frontend:
    """Reads the messages of one connection's client."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._rest = b""
        self._started = False
        self._prepared: dict[bytes, str] = {}
        self._portals: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> None:
        """Count what `data` completes."""
        self._traffic.sent += len(data)
        self._rest += data
        while message := self._next():
            self._read(*message)

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 1 if self._started else 0  # the first messages have no type
        if len(self._rest) < head + 4:
            return None
        end = head + struct.unpack_from("!I", self._rest, head)[0]
        if len(self._rest) < end:
            return None
        kind, body, self._rest = self._rest[:head], self._rest[head + 4 : end], self._rest[end:]
        return kind, body

    def _read(self, kind: bytes, body: bytes) -> None:
        first, _, rest = body.partition(b"\0")
        match kind:
            case b"":
                self._started = body[:2] == struct.pack("!H", PROTOCOL_3)
            case b"Q":
                self._count(first.decode())
            case b"P":
                self._prepared[first] = rest.partition(b"\0")[0].decode()
            case b"B":
                self._portals[first] = rest.partition(b"\0")[0]
            case b"E":
                self._count(self._prepared[self._portals[first]])
        self._traffic.round_trips += kind in (b"Q", b"S")

    def _count(self, query: str) -> None:
        self._traffic.statements[" ".join(query.split()) or CHECK] += 1


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.traffic = Traffic()


class _Connection(socketserver.BaseRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            for end in (target, self.request):
                # As Postgres and its clients do: Nagle's algorithm would hold answers back.
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            arguments = (target, self.request, self._received)
            threading.Thread(target=_pump, args=arguments, daemon=True).start()
            _pump(self.request, target, Frontend(self.server.traffic).feed)

    def _received(self, data: bytes) -> None:
        self.server.traffic.received += len(data)


def _pump(source: socket.socket, sink: socket.socket, count: Callable[[bytes], None]) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            # First of all: when the answer is there, what was asked has been counted.
            count(data)
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def open_wire(target: int) -> Iterator[tuple[int, Traffic]]:
    """Yield the port of a way to `target`, and what goes over it (one turn at a time)."""
    with _Proxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy.server_address[1], proxy.traffic
        finally:
            proxy.shutdown()
