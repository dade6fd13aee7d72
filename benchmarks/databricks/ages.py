"""What turns cost the processor, the database and the workspace, by the age of their thread."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

from benchmarks.databricks.place import Counts, Place
from benchmarks.databricks.subjects import Running, Talk, open_talk
from benchmarks.projects import report

QUIET_SECONDS = 6.5  # MLflow sends what it has collected every five seconds, or sooner
WAIT_SECONDS = 120
WINDOW = 10  # turns, around the age that is measured
WARM_TURNS = 20
Row = dict[str, float]


@dataclass
class Spent:
    """What some turns took."""

    turns: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    counts: Counts | None = None

    def row(self, title: str) -> Row:
        """Return what one turn took, with the names that the results have."""
        assert self.counts
        each = {name: value / self.turns for name, value in vars(self.counts).items()}
        return {
            f"CPU a turn, {title}, ms": self.cpu / self.turns,
            f"time a turn, {title}, ms": self.wall / self.turns,
            f"statements, {title}": each["statements"],
            f"statements around, {title}": each["around"],
            f"round trips, {title}": each["round_trips"],
            f"bytes from Postgres, {title}": each["received"],
            f"bytes to Postgres, {title}": each["sent"],
            f"bytes of the trace, {title}": each["trace_bytes"],
            f"calls of the workspace, {title}": each["calls"],
        }


class Meter:
    """Measures one server; every turn must have been traced, once."""

    def __init__(self, place: Place, running: Running, traced: bool = True) -> None:
        self._place, self._running, self._traced = place, running, traced
        self.settle()
        self.idle = self._idle()  # ms of CPU in a second

    def settle(self) -> Counts:
        """Return the counts once nothing has been asked of the workspace for a while."""
        counts, quiet = self._place.counts(), time.monotonic()
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < min(deadline, quiet + QUIET_SECONDS):
            time.sleep(0.5)
            if (now := self._place.counts()).calls != counts.calls:
                counts, quiet = now, time.monotonic()
        return self._place.counts()

    @contextmanager
    def measure(self, turns: int, spent: Spent) -> Iterator[None]:
        """Add what the turns in the body take to `spent`, what is sent after them included."""
        before, cpu, begun = self.settle(), self._running.cpu(), time.monotonic()
        yield
        spent.wall += 1000 * (time.monotonic() - begun)
        counts = self.settle() - before
        spent.cpu += self._running.cpu() - cpu - self.idle * (time.monotonic() - begun)
        spent.turns += turns
        spent.counts = counts if spent.counts is None else _sum(spent.counts, counts)
        if self._traced:
            assert counts.begun == counts.uploaded == turns, (turns, counts)

    def _idle(self) -> float:
        cpu, begun = self._running.cpu(), time.monotonic()
        time.sleep(QUIET_SECONDS)
        return (self._running.cpu() - cpu) / (time.monotonic() - begun)


def _sum(one: Counts, other: Counts) -> Counts:
    values = zip(vars(one).values(), vars(other).values(), strict=True)
    return Counts(*(first + second for first, second in values))


def measure_ages(meter: Meter, running: Running, ages: list[int], threads: int) -> Row:
    """Return the costs of turns in new threads, and at each age of some long ones."""
    rows: Row = {}
    with open_talk(running) as talk:
        talk.turns(uuid4().hex, 0, WARM_TURNS)
        report(f"{running.name}: new threads")
        rows |= _measured(meter, "new thread", 30, lambda: _new_threads(talk, 30))
        names, at = [uuid4().hex for _ in range(threads)], 0
        for age in ages:
            report(f"{running.name}: {age} turns")
            first = max(age - WINDOW // 2, 0)
            for name in names:
                talk.turns(name, at, first - at)
            at = first + WINDOW
            work = partial(_all, talk, names, first)
            rows |= _measured(meter, f"{age} turns", WINDOW * threads, work)
    return rows


def _measured(meter: Meter, title: str, turns: int, work: Callable[[], None]) -> Row:
    spent = Spent()
    with meter.measure(turns, spent):
        work()
    row = spent.row(title)
    for name, value in row.items():
        report(f"{name}: {value:,.1f}")
    return row


def _new_threads(talk: Talk, count: int) -> None:
    for number in range(count):
        talk.turns(uuid4().hex, number, 1)


def _all(talk: Talk, names: list[str], first: int) -> None:
    for name in names:
        talk.turns(name, first, WINDOW)


def measure_kinds(meter: Meter, running: Running) -> Row:
    """Return the costs of turns that stream, and of turns that call a tool."""
    rows: Row = {}
    with open_talk(running) as talk:
        for title, ask in {
            "streamed": lambda n, thread: talk.say(thread, f"Say something ({n})", stream=True),
            "a tool": lambda n, thread: talk.say(thread, f"What time is it? ({n})"),
        }.items():
            report(f"{running.name}: {title}")
            rows |= _measured(meter, title, 30, lambda ask=ask: _asked(ask))  # type: ignore[misc]
    return rows


def _asked(ask: Callable[[int, str], Any]) -> None:
    threads = [uuid4().hex for _ in range(3)]
    for number in range(10):
        for thread in threads:
            ask(number, thread)


def measure_first_token(running: Running, rounds: int = 8) -> Row:
    """Return how much later than in the foreground the first token of a background turn comes."""
    late = []
    with open_talk(running) as talk:
        for number in range(rounds):
            direct = _first_token(talk, f"foreground {number}", background=False)
            late.append(_first_token(talk, f"background {number}", background=True) - direct)
    late.sort()
    return {"first background token after the foreground's, ms": 1000 * late[len(late) // 2]}


def _first_token(talk: Talk, text: str, background: bool) -> float:
    body = talk.running.question(uuid4().hex, text, stream=True, background=background)
    begun, first = time.monotonic(), 0.0
    with talk.http.stream("POST", "/responses", json=body) as response:
        for line in response.iter_lines():
            data = line.removeprefix("data:").strip()
            if line.startswith("data:") and data != "[DONE]" and not first:
                told = json.loads(data).get("type") == "response.output_text.delta"
                first = time.monotonic() - begun if told else 0.0
    assert first, "no token came"
    return first
