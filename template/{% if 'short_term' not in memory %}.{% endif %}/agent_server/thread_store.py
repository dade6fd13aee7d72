"""Short-term memory is off: `copier update --trust -d memory=...` adds it."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any


def open_thread(*_: object) -> AbstractAsyncContextManager[Any]:
    """Open nothing: each turn stands alone."""
    return nullcontext()
