"""The console script `lakebase-agent`.

What needs the SDK of Databricks is imported where it is used: that takes seconds.
"""

import argparse
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import questionary
from copier.errors import CopierError

from lakebase_agent.arguments import build_parser
from lakebase_agent.errors import WorkspaceError
from lakebase_agent.new.new import (
    NewOptions,
    SourceError,
    new_project,
    read_answers_file,
    to_answers,
)
from lakebase_agent.project.git import GitError
from lakebase_agent.update.update import LINK, UpdateOptions, update

Options = TypeVar("Options")
HOW_TO_RESOLVE = """\
Edit them, `git add` them, and commit. To undo the whole update instead:
    git checkout HEAD -- . && git clean -d --force ."""


def main() -> None:
    """Run the command line; exit codes: 0 done, 2 bad usage, 3 no template, 130 Ctrl-C."""
    options = build_parser().parse_args()
    # What it warns of comes back as an error, in one line.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    try:
        COMMANDS[options.command](options)
    except KeyboardInterrupt:
        _fail(130, "stopped; nothing was written")
    except (SourceError, WorkspaceError) as error:
        _fail(3, str(error))
    except (CopierError, GitError, ValueError, OSError) as error:
        _fail(2, " ".join(str(error).split()))


def _new(options: argparse.Namespace) -> None:
    answers = read_answers_file(options.answers) if options.answers else {}
    wanted = NewOptions(
        options.destination,
        options.source,
        answers | to_answers(options.data),
        ask=not (options.defaults or options.json),
        install=not options.no_install,
        progress=sys.stderr.isatty() and not options.json,
    )
    with _output_to_stderr() if options.json else nullcontext():
        project = new_project(wanted)
    if options.json:
        print(json.dumps(asdict(project), indent=2))
        return
    if wanted.install and not project.installed:
        print("Its packages are not installed yet.")
    print(f"\n{project.answers['app_name']} is ready, and needs no account to start:\n")
    print("\n".join(f"    {command}" for command in project.next))


@contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Send to standard error what this process and its children print."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def _update(options: argparse.Namespace) -> None:
    project = Path(options.path).resolve()
    interactive = _somebody_there()
    wanted = UpdateOptions(
        to_answers(options.data), options.to, options.dry_run, options.yes, interactive
    )
    outcome = update(project, wanted, _say)
    if outcome.link:
        _link_after_update(project, interactive and not options.yes and not outcome.troubled)
    if outcome.troubled:
        _fail(1, f"these files need you: {', '.join(outcome.troubled)}\n{HOW_TO_RESOLVE}")


def _link_after_update(project: Path, interactive: bool) -> None:
    from lakebase_agent.asking import Asker
    from lakebase_agent.link.link import link
    from lakebase_agent.link.lookup import LinkOptions

    question = "The project's Lakebase must be looked up. Do it now?"
    with suppress(KeyboardInterrupt):  # enough of questions: the update is done
        if interactive and questionary.confirm(question).unsafe_ask():
            return link(project, LinkOptions(), Asker(interactive=True), _say)
    return _say(f"its Lakebase must be looked up; commit, then run: {LINK}")


def _adopt(options: argparse.Namespace) -> None:
    from lakebase_agent.adopt.adopt import adopt
    from lakebase_agent.adopt.adoption import AdoptOptions
    from lakebase_agent.asking import Asker

    asker = Asker(interactive=_somebody_there() and not options.yes)
    troubled = adopt(Path(options.path).resolve(), _given(options, AdoptOptions), asker, _say)
    if troubled:
        _fail(1, f"these files need you, they hold conflicts: {', '.join(troubled)}")


def _link(options: argparse.Namespace) -> None:
    from lakebase_agent.asking import Asker
    from lakebase_agent.link.link import link
    from lakebase_agent.link.lookup import LinkOptions

    asker = Asker(interactive=_somebody_there() and not options.yes)
    link(Path(options.path).resolve(), _given(options, LinkOptions), asker, _say)


def _somebody_there() -> bool:
    return sys.stdin.isatty() and not os.environ.get("CI")


def _given(options: argparse.Namespace, kind: Callable[..., Options]) -> Options:
    """Return the options of a command, whose fields are named as its flags are."""
    return kind(**{name: getattr(options, name) for name in inspect.signature(kind).parameters})


def _doctor(options: argparse.Namespace) -> None:
    from lakebase_agent.doctor.doctor import examine

    findings = []
    for finding in examine(Path(options.path).resolve(), options.target, options.profile):
        findings.append(finding)
        if not options.json:
            print(finding, flush=True)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.state == "problem" for finding in findings):
        sys.exit(1)


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


COMMANDS = {"new": _new, "update": _update, "adopt": _adopt, "link": _link, "doctor": _doctor}


def _fail(code: int, message: str) -> None:
    print(f"lakebase-agent: {message}", file=sys.stderr)
    sys.exit(code)
