"""How many turns a second a server answers, by users and workers."""

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from benchmarks.databricks.subjects import Running, open_talk
from benchmarks.projects import report

Row = dict[str, float]


def measure_crowd(running: Running, users: int, workers: int, seconds: float = 12) -> Row:
    """Let users talk at once, each in one thread, and return the turns of a second."""
    report(f"{running.name}: {users} users, {workers} workers")
    with ThreadPoolExecutor(users) as pool:
        end = time.monotonic() + seconds
        begun = time.monotonic()
        done = list(pool.map(lambda user: _talk(running, f"user{user}", end), range(users)))
        spent = time.monotonic() - begun
    return {f"turns a second, {users} users, {workers} workers": sum(done) / spent}


def _talk(running: Running, user: str, end: float) -> int:
    done, thread = 0, uuid4().hex
    with open_talk(running, user) as talk:
        while time.monotonic() < end:
            talk.turns(thread, done, 1)
            done += 1
    return done
