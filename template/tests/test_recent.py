"""What a process remembers of threads."""

import pytest

from agent_server.threads import recent
from agent_server.threads.recent import Recent


def test_the_latest_of_a_thread_is_kept() -> None:
    threads = Recent[str]()
    threads.keep("ada/one", "first", 5)
    threads.keep("ada/one", "second", 6)
    assert threads.find("ada/one") == ("second", 6)


def test_nothing_is_kept_of_another_thread() -> None:
    threads = Recent[str]()
    threads.keep("ada/one", "secret", 6)
    assert threads.find("eve/one") is None and threads.find("ada/two") is None


def test_the_oldest_go_when_there_are_too_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECENT_BYTES", "10")
    threads = Recent[str]()
    for name in ("one", "two", "three"):
        threads.keep(name, name, 5)
    assert [threads.find(name) for name in ("one", "two", "three")] == [
        None, ("two", 5), ("three", 5)
    ]  # fmt: skip


def test_a_thread_that_is_too_large_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECENT_BYTES", "10")
    threads = Recent[str]()
    threads.keep("large", "large", 11)
    threads.keep("small", "small", 10)
    assert threads.find("large") is None and threads.find("small") == ("small", 10)


def test_what_nobody_used_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "RECENT_SECONDS", 0)
    threads = Recent[str]()
    threads.keep("ada/one", "old", 3)
    assert threads.find("ada/one") is None
