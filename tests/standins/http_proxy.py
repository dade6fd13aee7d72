"""A company's HTTP proxy, which counts what is sent through it, and reaches nothing."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class HttpProxy(socketserver.ThreadingTCPServer):
    """Refuses every request; `asked` has their first lines."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.asked: list[str] = []

    @property
    def variables(self) -> dict[str, str]:
        """What makes programs use the proxy, in both spellings, and no exception."""
        url = f"http://127.0.0.1:{self.server_address[1]}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {spelt: url for name in names for spelt in (name, name.lower())}


class _Connection(socketserver.StreamRequestHandler):
    server: HttpProxy

    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode(errors="replace"))
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def open_http_proxy() -> Iterator[HttpProxy]:
    """Yield a running proxy."""
    with HttpProxy() as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()
