"""An honest user beside an attack: how long they wait, and what they are told."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import psutil

from tests.support.project import Server

HEALTHY_SECONDS = 0.25
WORK_SECONDS = 0.005  # of a processor, that the control needs to answer
# In a process of its own: the longer it takes, the fewer processors the machine has left for all.
CONTROL = f"""
import asyncio, time

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    end = time.process_time() + {WORK_SECONDS}
    while time.process_time() < end:
        pass
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
    await writer.drain()
    writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
REFUSALS = (429, 503)
PAUSE_SECONDS = 0.05
SETTLE_SECONDS = 15
# What the server's watchdog says. The machine may leave a loop waiting that does nothing, so that
# what it did counts; beyond some time, it waited for something else.
HELD = re.compile(r"event loop was held for (\d+) ms \(CPU (\d+) ms\)(?:\n .*)*")
# The watchdog reports from 100 ms on; a slow machine takes some times as long for the same work,
# and what is attacked here used to hold the loop for seconds.
HELD_CPU_MILLISECONDS = 400
HELD_MILLISECONDS = 3000


@dataclass
class HonestUser:
    """Asks /health again and again, and has a conversation of their own."""

    server: Server
    name: str = "honest"
    control: str = ""  # the address of a server that always does the same
    waits: list[float] = field(default_factory=list)  # for /health, in seconds
    noise: list[float] = field(default_factory=list)  # what the control took, in seconds
    turns: list[httpx.Response] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Fail unless /health was quick, and every turn worked or said truthfully why not."""
        assert not self.errors, self.errors[0]
        assert self.waits and self.turns, "the attack was over before anything was measured"
        longest, noise = max(self.waits), max(self.noise)
        allowed = HEALTHY_SECONDS * max(noise / WORK_SECONDS, 1)
        assert longest <= allowed, f"/health {longest:.2f} s, control {noise:.3f} s"
        for turn in self.turns:
            assert turn.status_code in (200, *REFUSALS), turn.text
            assert turn.status_code == 200 or turn.headers.get("Retry-After"), turn.text

    def ask_for_health(self) -> None:
        """Ask /health until stopped."""
        self._until_stopped(lambda http: self._time_health(http), PAUSE_SECONDS)

    def converse(self) -> None:
        """Send one turn after the other until stopped."""
        self._until_stopped(lambda http: self.turns.append(self._say(http)), 10 * PAUSE_SECONDS)

    def stop(self) -> None:
        """Finish the request that is under way, and send no more."""
        self._stopped.set()

    def _time_health(self, http: httpx.Client) -> None:
        for url, times in (("/health", self.waits), (self.control, self.noise)):
            began = time.monotonic()
            assert http.get(url).status_code == 200
            times.append(time.monotonic() - began)

    def _say(self, http: httpx.Client) -> httpx.Response:
        body = {"input": "Hello", "custom_inputs": {"thread_id": f"of {self.name}"}}
        return http.post("/responses", json=body, headers={"X-Forwarded-User": self.name})

    def _until_stopped(self, act: Callable[[httpx.Client], None], pause: float) -> None:
        url = f"http://127.0.0.1:{self.server.port}"
        with httpx.Client(base_url=url, timeout=60) as http:
            stopped = False  # at first: an attack may be over before this thread begins
            while not stopped:
                try:
                    act(http)
                except (AssertionError, httpx.TransportError) as error:
                    self.errors.append(error)
                stopped = self._stopped.wait(pause)


@contextmanager
def honest_user(server: Server, name: str = "honest") -> Iterator[HonestUser]:
    """Yield an honest user who is there while the body attacks; check at its end how they fared."""
    with _open_control() as control:
        user = HonestUser(server, name, control)
        with _at_work(user):
            yield user
            time.sleep(2 * PAUSE_SECONDS)
    user.check()


@contextmanager
def _at_work(user: HonestUser) -> Iterator[None]:
    threads = [threading.Thread(target=work) for work in (user.ask_for_health, user.converse)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        user.stop()
        for thread in threads:
            thread.join()


@contextmanager
def _open_control() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-c", CONTROL], stdout=subprocess.PIPE) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/"
        finally:
            process.terminate()


@contextmanager
def free_event_loop(server: Server) -> Iterator[None]:
    """Fail if the server's event loop was held during the body; needs WATCH_EVENT_LOOP in it."""
    before = len(server.log)
    yield
    time.sleep(2 * PAUSE_SECONDS)
    for line in HELD.finditer(server.log[before:]):
        held, cpu = map(int, line.groups())
        assert cpu <= HELD_CPU_MILLISECONDS and held <= HELD_MILLISECONDS, line.group()


def memory_of(server: Server) -> int:
    """Return the bytes of memory that the server's processes hold."""
    parent = psutil.Process(server.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    named = ("python", "start-app")  # what runs a script is named after it
    return sum(p.memory_info().rss for p in processes if p.name().startswith(named))


def assert_memory_returns(server: Server, idle: int, share: float = 0.2) -> None:
    """Fail unless the server's memory soon is within `share` of what it was when idle."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while (held := memory_of(server)) > idle * (1 + share):
        assert time.monotonic() < deadline, f"{held / 2**20:.0f} MiB, {idle / 2**20:.0f} when idle"
        time.sleep(0.5)
