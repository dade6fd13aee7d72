"""What the log says when the event loop is held."""

import asyncio
import time

import pytest

from agent_server.server.watchdog import open_watchdog


async def hold() -> None:
    """Hold the event loop."""
    with open_watchdog():
        await asyncio.sleep(0.1)
        time.sleep(0.5)  # noqa: ASYNC251
        await asyncio.sleep(0.1)


async def wait() -> None:
    """Let the event loop turn."""
    with open_watchdog():
        await asyncio.sleep(0.5)


def test_a_held_event_loop_is_logged_with_the_place(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(hold())
    assert "the event loop was held for" in caplog.text and "in hold" in caplog.text


def test_a_loop_that_waits_is_not_held(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(wait())
    assert "in wait" not in caplog.text
