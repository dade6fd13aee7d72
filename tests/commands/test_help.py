"""What `lakebase-agent --help` says, of every command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = str(Path(sys.executable).with_name("lakebase-agent"))
COMMANDS = ("new", "adopt", "link", "doctor", "update", "add-tool")


def help_of(*command: str) -> str:
    """Return the help of a command in a terminal of 80 columns."""
    variables = {**os.environ, "COLUMNS": "80"}
    done = subprocess.run(
        [COMMAND, *command, "--help"], env=variables, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check_help(said: str, command: str) -> None:
    """The help of a command fits into 80 columns, and ends with examples."""
    assert max(map(len, said.splitlines())) <= 80
    assert f"  lakebase-agent {command}" in said.partition("\nexample")[2]


def test_every_command_is_listed() -> None:
    assert set(re.findall(r"^    ([\w-]+)  ", help_of(), re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_fits_80_columns_and_ends_with_examples(command: str) -> None:
    check_help(help_of(command), command)


def test_the_general_help_fits_80_columns_and_has_an_example() -> None:
    said = help_of()
    assert max(map(len, said.splitlines())) <= 80
    assert "lakebase-agent new my-agent" in said.partition("\nexample")[2]
