"""Questions to the person at the terminal, or the refusal to ask when nobody is there."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

import questionary

from lakebase_agent.errors import UsageError, WorkspaceError

NEW = "(create a new one)"


@dataclass(frozen=True)
class Asker:
    """Picks from what exists: by the name given, because there is only one, or by asking."""

    interactive: bool

    def pick(self, what: str, flag: str, given: str, names: Sequence[str]) -> str:
        """Return one of `names`, of a kind called `what` and given by the option `flag`.

        Raises WorkspaceError for a name that is not there, with the nearest ones; UsageError when
        nobody is here to choose; KeyboardInterrupt on Ctrl-C.
        """
        if given:
            return given if given in names else _refuse(what, given, names)
        if not names:
            raise WorkspaceError(f"the workspace has no {what} that you may use")
        if len(names) == 1:
            return names[0]
        if not self.interactive:
            raise UsageError(f"which {what}? Add {flag}: {', '.join(names)}")
        chosen: str = questionary.select(f"Which {what}?", choices=list(names)).unsafe_ask()
        return chosen

    def choose(self, what: str, flag: str, given: str, names: Sequence[str]) -> str:
        """Return one of `names`, as `pick` does, of what is the project's: raises UsageError."""
        if given and given not in names:
            raise UsageError(f"{flag} {given!r} does not work: {' or '.join(names)}")
        return self.pick(what, flag, given, names)

    def text(self, question: str, default: str = "") -> str:
        """Return what the person types."""
        typed: str = questionary.text(question, default=default).unsafe_ask()
        return typed.strip()

    @contextmanager
    def spinner(self, label: str) -> Iterator[None]:
        """Turn a wheel beside `label` while the body runs, when a person is here to see it."""
        done = threading.Event()
        wheel = threading.Thread(target=_turn, args=(label, done), daemon=True)
        if self.interactive:
            wheel.start()
        try:
            yield
        finally:
            done.set()
            if self.interactive:
                wheel.join()


def _turn(label: str, done: threading.Event) -> None:
    start = time.monotonic()
    # Not the progress bar of prompt_toolkit, which reads the keyboard, too.
    for sign in itertools.cycle("|/-\\"):
        print(f"\r{sign} {label} {time.monotonic() - start:.0f} s", end="", flush=True)
        if done.wait(0.2):
            return print()


def _refuse(what: str, given: str, names: Sequence[str]) -> str:
    near = get_close_matches(given, names, n=3, cutoff=0.4) or list(names)[:3]
    offer = f"did you mean {' or '.join(near)}?" if near else f"the workspace has no {what} at all"
    raise WorkspaceError(f"there is no {what} {given!r}: {offer}")
