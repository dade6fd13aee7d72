"""The terminal: what is printed there, and the questions to the person at it, if there is one."""

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import questionary

from lakebase_agent.errors import UsageError, WorkspaceError

NEW = "(create a new one)"
Say = Callable[[str], None]


def say(line: str) -> None:
    """Print a line about the progress of a command."""
    print(f"  {line}", flush=True)


def complain(message: str) -> None:
    """Print what went wrong to standard error."""
    print(f"lakebase-agent: {message}", file=sys.stderr)


def is_interactive() -> bool:
    """Return whether a person is at the terminal; in CI nobody is, whatever standard input is."""
    # Without standard input at all, there is no such file.
    return sys.stdin is not None and sys.stdin.isatty() and not os.environ.get("CI")


def ask(question: questionary.Question) -> Any:
    """Return what a person answers; raises KeyboardInterrupt on Ctrl-C, and on Ctrl-D."""
    try:
        return question.unsafe_ask()
    except EOFError as error:
        raise KeyboardInterrupt from error


@dataclass(frozen=True)
class Asker:
    """Picks from what exists: by the name given, because there is only one, or by asking."""

    interactive: bool

    def pick(self, kind: str, flag: str, given: str, names: Sequence[str]) -> str:
        """Return one of `names`: the one given with `flag`, the only one, or the one chosen.

        `kind` says what they are, as in "Which project?". Raises WorkspaceError if the name given
        does not exist, with the closest names, or if there are none; UsageError if nobody can be
        asked; KeyboardInterrupt on Ctrl-C.
        """
        if given and given not in names:
            raise _no_such(kind, given, names)
        if given:
            return given
        if not names:
            raise WorkspaceError(f"the workspace has no {kind} that you may use")
        if len(names) == 1:
            return names[0]
        if not self.interactive:
            raise UsageError(f"which {kind}? Add {flag}: {', '.join(names)}")
        chosen: str = ask(questionary.select(f"Which {kind}?", choices=list(names)))
        return chosen

    def choose(self, kind: str, flag: str, given: str, values: Sequence[str]) -> str:
        """Return one of `values`, as `pick` does; raises UsageError if the one given is not."""
        if given and given not in values:
            raise UsageError(f"{flag} {given!r} does not work: {' or '.join(values)}")
        return self.pick(kind, flag, given, values)

    def text(self, question: str, default: str = "") -> str:
        """Return what the person types; raises KeyboardInterrupt on Ctrl-C and Ctrl-D."""
        typed: str = ask(questionary.text(question, default=default))
        return typed.strip()

    @contextmanager
    def spinner(self, label: str) -> Iterator[None]:
        """Show a spinner beside `label` while the body runs, if a person is there to see it."""
        done = threading.Event()
        thread = threading.Thread(target=_spin, args=(label, done), daemon=True)
        if self.interactive:
            thread.start()
        try:
            yield
        finally:
            done.set()
            if self.interactive:
                thread.join()


def _spin(label: str, done: threading.Event) -> None:
    start = time.monotonic()
    # Not the progress bar of prompt_toolkit, which reads the keyboard, too.
    for sign in itertools.cycle("|/-\\"):
        print(f"\r{sign} {label} {time.monotonic() - start:.0f} s", end="", flush=True)
        if done.wait(0.2):
            break
    print()


def _no_such(kind: str, given: str, names: Sequence[str]) -> WorkspaceError:
    near = get_close_matches(given, names, n=3, cutoff=0.4) or list(names)[:3]
    hint = f"did you mean {' or '.join(near)}?" if near else f"the workspace has no {kind} at all"
    return WorkspaceError(f"there is no {kind} {given!r}: {hint}")
