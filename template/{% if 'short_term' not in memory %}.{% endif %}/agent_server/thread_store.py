"""Short-term memory is off: `copier update --trust -d memory=...` adds it."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any


def open_thread(_pool: object, _thread_key: str) -> AbstractAsyncContextManager[Any]:
    """Open nothing: each turn stands alone."""
    return nullcontext()
