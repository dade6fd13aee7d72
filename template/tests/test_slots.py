"""Slots of background runs: who may run, and who waits."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agent_server.background.slots import SAVING_SECONDS, Slots

Check = Callable[["Runs"], Awaitable[None]]


class Runs:
    """Runs that hold a slot until they are ended, by name; the name's first letter is the user."""

    def __init__(self) -> None:
        self.slots = Slots()
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.running: list[str] = []
        self.waited: list[str] = []

    async def begin(self, *names: str, suspect: bool = False) -> None:
        for name in names:
            self.tasks[name] = asyncio.create_task(self._run(name, suspect))
            await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.tasks[name].cancel()
        await asyncio.wait([self.tasks.pop(name)])
        await asyncio.sleep(0)

    async def _run(self, name: str, suspect: bool) -> None:
        async with self.slots.hold(name[0], suspect, lambda: self.waited.append(name)):
            self.running.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.running.remove(name)


@asynccontextmanager
async def opened() -> AsyncIterator[Runs]:
    runs = Runs()
    yield runs
    for name in list(runs.tasks):
        await runs.end(name)
    assert not runs.running


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKGROUND_RUNS_AT_ONCE", "4")
    monkeypatch.setenv("BACKGROUND_RUNS_AT_ONCE_PER_USER", "3")


def check(steps: Check) -> None:
    async def run() -> None:
        async with opened() as runs:
            await steps(runs)

    asyncio.run(run())


def test_a_user_runs_no_more_than_their_share() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "a2", "a3", "a4")
        assert (runs.running, runs.waited) == (["a1", "a2", "a3"], ["a4"])
        await runs.end("a2")
        assert runs.running == ["a1", "a3", "a4"]

    check(steps)


def test_a_user_who_runs_nothing_does_not_wait() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "a2", "a3", "b1", "c1", "d1")
        assert runs.running == ["a1", "a2", "a3", "b1", "c1", "d1"] and not runs.waited

    check(steps)


def test_a_free_slot_goes_to_the_user_who_runs_the_fewest() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "a2", "b1", "c1", "a3", "b2")
        assert runs.waited == ["a3", "b2"]
        await runs.end("c1")
        assert runs.running[-1] == "b2" and "a3" not in runs.running

    check(steps)


def test_a_run_that_is_cancelled_while_it_waits_takes_no_slot() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "a2", "a3", "a4", "a5")
        await runs.end("a4")
        await runs.end("a1")
        assert runs.running == ["a2", "a3", "a5"]

    check(steps)


def test_a_run_that_is_cancelled_as_it_gets_a_slot_gives_it_back() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "a2", "a3", "a4", "a5")
        runs.tasks["a1"].cancel()
        await asyncio.sleep(0)  # a4 has the slot now, and does not know it yet
        await runs.end("a4")
        assert runs.running == ["a2", "a3", "a5"]

    check(steps)


def test_suspects_run_apart_and_others_beside_them() -> None:
    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "b1", suspect=True)
        await runs.begin("c1")
        assert (runs.running, runs.waited) == (["a1", "c1"], ["b1"])
        await runs.end("a1")
        assert runs.running == ["c1"]  # the end of a1 may not be saved yet
        await asyncio.sleep(SAVING_SECONDS + 0.1)
        assert runs.running == ["c1", "b1"]

    check(steps)


def test_a_suspect_that_has_run_for_a_while_no_longer_keeps_others_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUSPECT_SECONDS", "1")

    async def steps(runs: Runs) -> None:
        await runs.begin("a1", "b1", suspect=True)
        await asyncio.sleep(1.1)
        assert runs.running == ["a1", "b1"]

    check(steps)
