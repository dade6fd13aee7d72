"""Runs of random fates, in two processes' worth of `BackgroundRuns` on a real Postgres.

A program, not a test file: `project/test_background.py` runs it inside a generated project, whose
modules it needs. A process that "dies" here is only taken for dead and goes on writing, which must
change nothing; so that nothing waits, its last heartbeat is moved into the past.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from

from agent_server.background.runs import BackgroundRuns
from agent_server.background.store import create_response_tables
from agent_server.background.stream import stream_events
from agent_server.database.pool import open_pool, open_setup
from agent_server.identity import User
from agent_server.responses.items import Message
from agent_server.responses.requests import Turn
from agent_server.server.workspace import workspace_client
from local.services import open_services

USER = "ada"
STALE = "UPDATE responses SET heartbeat_at = now() - interval '1 minute'"
TERMINAL = ("completed", "failed", "cancelled")


class Script:
    """Turns that do what they are told, one word after the other."""

    def __init__(self) -> None:
        self.attempts: list[asyncio.Queue[str]] = []

    async def run(self, _turn: Turn, response: Any) -> None:
        """Run until told to end."""
        orders: asyncio.Queue[str] = asyncio.Queue()
        self.attempts.append(orders)
        while (word := await orders.get()) != "end":
            response.text(word) if word != "tool" else response.tool_call(uuid4().hex, "t", "{}")
        response.complete()


@asynccontextmanager
async def open_database() -> AsyncIterator[Any]:
    """Yield a pool on a schema of its own."""
    os.environ["LAKEBASE_AGENT_MEMORY_SCHEMA"] = f"random_{uuid4().hex[:8]}"
    async with open_pool(workspace_client) as pool:
        async with open_setup(pool) as connection:
            await create_response_tables(connection)
        yield pool


class Interleavings(RuleBasedStateMachine):
    """One response, the processes that may run it, and readers at all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.database = open_database()
        self.pool = self.do(self.database.__aenter__())
        self.script = Script()
        self.processes = [self.do(self.process()) for _ in range(2)]
        self.readers: list[asyncio.Task[tuple[int, list[int], bool]]] = []

    def do(self, work: Any) -> Any:
        """Return what a coroutine returns."""
        return self.loop.run(work)

    async def process(self) -> BackgroundRuns:
        """Return what a process has."""
        return BackgroundRuns(self.pool, self.script.run, asyncio.Event(), None)

    @initialize()
    def begin(self) -> None:
        """Begin the response in the first process."""
        items: Any = [Message(type="message", role="user", content="hello")]
        turn = Turn(User(USER), uuid4().hex, items, stream=False)
        self.id = self.do(self.processes[0].create(turn))
        for process in range(2):
            self.read(process, 0)

    @rule(word=sampled_from(["tool"] * 8 + ["a ", "end"]), attempt=integers(0, 3))
    def append(self, word: str, attempt: int) -> None:
        """Let an attempt say something, be it one that was given up long ago."""
        if self.script.attempts:
            self.script.attempts[attempt % len(self.script.attempts)].put_nowait(word)
            self.wait(40)  # until it is written down, or refused

    @rule(ms=integers(0, 60))
    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.do(asyncio.sleep(ms / 1000))

    @rule(process=integers(0, 1), position=integers(0, 12))
    def read(self, process: int, position: int) -> None:
        """Let a reader follow from some position on."""
        self.readers.append(self.do(self.start_reader(process, position)))

    @rule()
    def crash_and_claim(self) -> None:
        """Take the process that runs it for dead, and let the other one look."""
        self.do(self.claim(1 if self.processes[0].get(self.id) else 0))

    @rule(process=integers(0, 15))
    def cancel(self, process: int) -> None:
        """Cancel it from any process: not often, for nothing happens after it."""
        if process < 2:
            self.do(self.processes[process].cancel(self.id, USER))

    @rule(process=integers(0, 1))
    def hand_over(self, process: int) -> None:
        """Stop a process, and start another in its place."""
        self.do(self.replace(process))

    async def start_reader(self, process: int, position: int) -> Any:
        """Return a task that reads to the end of the stream."""
        return asyncio.create_task(self.collect(self.processes[process], position))

    async def collect(self, runs: BackgroundRuns, position: int) -> tuple[int, list[str], bool]:
        """Return what a reader sees, and whether it saw the end."""
        chunks = [chunk async for chunk in stream_events(runs, self.id, position)]
        done = chunks[-1:] == ["data: [DONE]\n\n"]
        return (
            position,
            [c.split("data: ", 1)[1].strip() for c in chunks[: -1 if done else None]],
            done,
        )

    async def claim(self, process: int) -> None:
        """Make the heartbeat old, and let a process look."""
        async with self.pool.connection() as connection:
            await connection.execute(STALE)
        self.processes[process].request_recovery(at_once=True)
        await asyncio.sleep(0.02)

    async def replace(self, process: int) -> None:
        """Let a process hand over what it has."""
        self.processes[process].stop()
        await self.processes[process].stopped()
        self.processes[process] = await self.process()

    async def events(self) -> list[str]:
        """Return what is stored."""
        async with self.pool.connection() as connection:
            query = "SELECT sequence, event::text FROM response_events ORDER BY sequence"
            rows = await (await connection.execute(query)).fetchall()
        assert [row["sequence"] for row in rows] == list(range(len(rows)))
        return [row["event"] for row in rows]

    async def finish(self) -> list[str]:
        """Bring the response to its end, whatever happened to it, and return its events."""
        async with asyncio.timeout(30):
            while not _ends(events := await self.events()):
                self.processes[0].request_recovery(at_once=True)
                await asyncio.sleep(0.05)
                for orders in self.script.attempts:
                    orders.put_nowait("end")
            return events

    def teardown(self) -> None:
        """Check what every reader saw against what is stored."""
        events = self.do(self.finish())
        numbers = [json.loads(event)["sequence_number"] for event in events]
        assert numbers == list(range(len(events)))
        assert [i for i, event in enumerate(events) if _ends([event])] == [len(events) - 1]
        for position, seen, done in self.do(self.gather()):
            assert seen == events[position:][: len(seen)]
            assert not done or seen == events[position:]
        self.do(self.close())
        self.loop.close()

    async def gather(self) -> list[Any]:
        """Return what the readers saw."""
        async with asyncio.timeout(20):
            return await asyncio.gather(*self.readers)

    async def close(self) -> None:
        """End everything."""
        for runs in self.processes:
            runs.stop()
            await runs.stopped()
        await self.database.__aexit__(None, None, None)


def _ends(events: list[str]) -> bool:
    return bool(events) and json.loads(events[-1])["type"].removeprefix("response.") in TERMINAL


if __name__ == "__main__":
    with open_services(postgres=True, model=False) as variables:
        os.environ.update(variables)
        examples = int(os.environ.get("EXAMPLES", "15"))
        how = settings(max_examples=examples, stateful_step_count=25, deadline=None)
        run_state_machine_as_test(Interleavings, settings=how)
        print(f"{examples} interleavings held")
