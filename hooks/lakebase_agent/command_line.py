"""How a command is described to argparse, and the arguments that several commands share."""

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lakebase_agent.errors import UsageError
from lakebase_agent.nearest import did_you_mean
from lakebase_agent.project.bundle import DEV

Options = TypeVar("Options")


@dataclass(frozen=True)
class Command:
    """A command of `lakebase-agent`; `run` executes it, and returns the exit code."""

    name: str
    summary: str
    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def add_path(parser: argparse.ArgumentParser) -> None:
    """Add the folder of the project."""
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the target of the bundle."""
    parser.add_argument("--target", default=DEV, metavar="NAME", help="bundle target (%(default)s)")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the answers to questions of the template, which `to_answers` reads."""
    parser.add_argument(
        "--data", action="append", default=[], metavar="K=V", help="answer question K with V"
    )


def add_texts(parser: argparse.ArgumentParser, metavar: str, texts: dict[str, str]) -> None:
    """Add flags that take a text, by name, each with its help; the default is empty."""
    for name, text in texts.items():
        parser.add_argument(f"--{name}", default="", metavar=metavar, help=text)


def to_answers(data: Sequence[str]) -> dict[str, str]:
    """Return `["framework=openai", …]` as answers; Copier reads the values as YAML.

    Raises UsageError for anything without an equals sign.
    """
    answers = {}
    for pair in data:
        question, separator, answer = pair.partition("=")
        if not separator:
            raise UsageError(f"--data takes question=answer, not {pair!r}")
        answers[question] = answer
    return answers


def refuse_unknown(parser: argparse.ArgumentParser, unknown: Sequence[str]) -> None:
    """Exit with 2 if there are arguments that a parser does not know, with the nearest option."""
    options = re.findall(r"--[\w-]+", parser.format_usage())
    for name in (word.partition("=")[0] for word in unknown if word.startswith("-")):
        hint = did_you_mean(name, options)
        parser.error(f"there is no option {name}" + (f": {hint}" if hint else ""))
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")


def to_options(arguments: argparse.Namespace, kind: Callable[..., Options]) -> Options:
    """Return the options of a command, a dataclass whose fields are named as the flags are."""
    return kind(**{name: getattr(arguments, name) for name in inspect.signature(kind).parameters})
