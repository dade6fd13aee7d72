"""A client that costs little beside the server it asks: one connection, the standard library."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from random import Random
from uuid import uuid4

# Each with a number in it: a question that was asked before may be taken for one sent again.
PLAIN = "Please tell me in a few plain words what number {} is good for."
TOOL = "What time is it? ({})"
REMEMBER = "Remember that number {} is mine"
RECALL = "What do you know about me? ({})"
LETTERS = "aabcdeeefghiiklmnnoooprrsssttuuvw"
VOCABULARY = ["".join(Random(n).choices(LETTERS, k=2 + n % 8)) for n in range(800)]


@dataclass(frozen=True)
class Client:
    """One user's connection to a server."""

    http: HTTPConnection

    def turn(self, thread: str, question: str = PLAIN, stream: bool = False) -> str:
        """Run a turn, and return the body of the response."""
        place = {"thread_id": thread}
        body = json.dumps({"input": question, "stream": stream, "custom_inputs": place}).encode()
        self.http.request("POST", "/responses", body, {"Content-Type": "application/json"})
        response = self.http.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        return text

    def turns(self, thread: str, count: int, question: str = PLAIN, stream: bool = False) -> None:
        """Run turns in a thread, one after another, each with a question of its own."""
        for number in range(count):
            self.turn(thread, question.format(number), stream)


@contextmanager
def open_client(port: int) -> Iterator[Client]:
    """Yield a client; between its turns may be no more than seconds."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as http:
        yield Client(http)


def new_thread() -> str:
    """Return a thread that nobody used."""
    return uuid4().hex


def make_text(seed: int, words: int = 40) -> str:
    """Return a text that compresses about as well as what people write, not better."""
    return " ".join(Random(seed).choices(VOCABULARY, k=words))
