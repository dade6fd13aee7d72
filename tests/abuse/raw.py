"""Requests as no client library would send them."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.support.project import Server

BODY = b'{"input": "Hello"}'


def head(*lines: str, path: str = "/responses", host: str = "localhost") -> bytes:
    """Return the head of a POST with these header lines."""
    fixed = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode("latin-1")


def connect(server: Server, *sent: bytes) -> socket.socket:
    """Return a connection on which these bytes were sent, as far as the server took them."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with suppress(ConnectionError):  # it refused the rest, and perhaps answered
        for part in sent:
            connection.sendall(part)
    return connection


def answer(connection: socket.socket, seconds: float = 5) -> tuple[int, str]:
    """Return the status and the whole answer, once the server has closed the connection."""
    connection.settimeout(seconds)
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:  # it closed with something unread
        pass
    finally:
        connection.close()
    text = received.decode("latin-1")
    return int(text.split(" ")[1]) if text else 0, text


def ask(server: Server, *sent: bytes) -> tuple[int, str]:
    """Send these bytes; return the status and the answer, which must end the connection."""
    return answer(connect(server, *sent))


@contextmanager
def crowd(server: Server, size: int, *sent: bytes) -> Iterator[list[socket.socket]]:
    """Yield so many connections, on each of which these bytes were sent."""
    with ExitStack() as stack:
        yield [stack.enter_context(connect(server, *sent)) for _ in range(size)]
