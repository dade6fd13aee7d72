"""Running a command of the package: in this process with nobody there, or at a terminal."""

import io
import sys
from contextlib import ExitStack, chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pexpect

from lakebase_agent.cli import main
from tests.support.project import clean_environment
from tests.support.releases import PROGRAMS

PROGRAM = PROGRAMS / "lakebase-agent"
# `CI` says that nobody is there. prompt_toolkit asks where the cursor is; nobody would tell it.
TERMINAL = {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run_here(folder: Path, *command: str) -> Done:
    """Run a command of `lakebase-agent` in a folder."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err), ExitStack() as stack:
        code = 0
        stack.callback(setattr, sys, "argv", sys.argv)
        stack.callback(setattr, sys, "stdin", sys.stdin)
        sys.argv, sys.stdin = ["lakebase-agent", *command], io.StringIO()
        try:
            main()
        except SystemExit as exit:
            code = int(str(exit.code))
    return Done(code, out.getvalue(), err.getvalue())


def at_terminal(folder: Path, *command: str, **variables: str) -> "pexpect.spawn[str]":
    """Run a command of `lakebase-agent` in a folder, as a person at a terminal does."""
    given = {**clean_environment(), **variables, **TERMINAL}
    given.pop("CI", None)
    return pexpect.spawn(
        str(PROGRAM), list(command), cwd=str(folder), env=given, encoding="utf-8", timeout=60,
        dimensions=(50, 80),
    )  # fmt: skip
