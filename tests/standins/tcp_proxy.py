"""A TCP proxy that a test can switch off: connections break, and new ones are not served."""

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Proxy(socketserver.ThreadingTCPServer):
    """Passes connections on to a port of this machine."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, target: int) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.target = target
        self.off = self.silent = False
        self.passing = threading.Event()
        self.passing.set()
        self.open: set[socket.socket] = set()

    @property
    def port(self) -> int:
        """Where the proxy listens."""
        port: int = self.server_address[1]
        return port

    @contextmanager
    def switched_off(self, silent: bool = False) -> Iterator[None]:
        """Break every connection, and serve none until the end; `silent` ones are never closed."""
        self.off, self.silent = True, silent
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self.off = False

    @contextmanager
    def black_hole(self) -> Iterator[None]:
        """Swallow all that is sent until the end, and close nothing, as a lost route does."""
        self.passing.clear()
        try:
            yield
        finally:
            self.passing.set()


class _Connection(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        if self.server.off:
            while self.server.silent and self.request.recv(65536):
                pass
            return
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            ends = {self.request, target}
            self.server.open |= ends
            passing = self.server.passing
            ways = (target, self.request, passing), (self.request, target, passing)
            back = threading.Thread(target=_pump, args=ways[0], daemon=True)
            back.start()
            _pump(*ways[1])
            back.join()
            self.server.open -= ends


def _pump(source: socket.socket, sink: socket.socket, passing: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            passing.wait()
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def open_proxy(target: int) -> Iterator[Proxy]:
    """Yield a running proxy to `target`."""
    with Proxy(target) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
