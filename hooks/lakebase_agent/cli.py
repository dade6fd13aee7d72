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
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import questionary
from copier.errors import CopierError

from lakebase_agent.errors import WorkspaceError
from lakebase_agent.git import GitError
from lakebase_agent.new import (
    TEMPLATE,
    NewOptions,
    SourceError,
    new_project,
    read_answers_file,
    to_answers,
)
from lakebase_agent.update import LINK, UpdateOptions, update

Options = TypeVar("Options")
EXAMPLE = """\
examples:
  lakebase-agent new my-agent
  lakebase-agent new my-agent --data framework=openai --defaults
"""
EXAMPLE_OF_DOCTOR = """\
examples:
  lakebase-agent doctor
  lakebase-agent doctor --target prod --json

exit codes: 0 no problem, 1 at least one, 2 bad usage
"""
EXAMPLE_OF_UPDATE = """\
examples:
  lakebase-agent update --dry-run
  lakebase-agent update --data lakebase=autoscaling
  lakebase-agent update my-agent --to v0.3.0 --yes

exit codes: 0 done, 1 files need you (they are listed), 2 bad usage,
            3 the template can't be reached, 130 Ctrl-C
"""
EXAMPLE_OF_ADOPT = """\
examples:
  lakebase-agent adopt --dry-run
  lakebase-agent adopt my-agent --lakebase autoscaling --project memory --yes

exit codes: 0 done, 1 files need you (they are listed), 2 bad usage or refused,
            3 the template can't be reached, 130 Ctrl-C
"""
EXAMPLE_OF_LINK = """\
examples:
  lakebase-agent link
  lakebase-agent link --project memory --branch production --target prod --yes

exit codes: 0 done, 2 bad usage, 3 the workspace can't be reached or refuses,
            130 Ctrl-C
"""


HOW_TO_RESOLVE = """\
Edit them, `git add` them, and commit. To undo the whole update instead:
    git checkout HEAD -- . && git clean -d --force ."""


def main() -> None:
    """Run the command line; exit codes: 0 done, 2 bad usage, 3 no template, 130 Ctrl-C."""
    options = _parser().parse_args()
    # What it warns of comes back as an error, in one line.
    logging.getLogger("databricks.sdk").setLevel(logging.ERROR)
    try:
        options.run(options)
    except KeyboardInterrupt:
        _fail(130, "stopped; nothing was written")
    except (SourceError, WorkspaceError) as error:
        _fail(3, str(error))
    except (CopierError, GitError, ValueError, OSError) as error:
        _fail(2, " ".join(str(error).split()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakebase-agent",
        description="AI agents whose memory lives in Databricks Lakebase.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("lakebase-agent"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add = partial(commands.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "Generate a project in a new folder, and ask what it should be like."
    _add_arguments_of_new(add("new", help="generate a project", description=text, epilog=EXAMPLE))
    text = (
        "Take the next release of the template, or other answers. Shows what changes\n"
        "before it does it. Your agent.py, prompts.py, tools.py, evals/ and README.md\n"
        "are left alone; your edits elsewhere are merged."
    )
    short = "bring a project to the next release, or to other answers"
    _add_arguments_of_update(add("update", help=short, description=text, epilog=EXAMPLE_OF_UPDATE))
    text = (
        "Give memory in Lakebase to an agent that was not generated: dependencies, the\n"
        "resource and the environment of its app, the modules and the grant script.\n"
        "Shows a diff before it writes, and the lines that connect your agent. Run\n"
        "again, it brings what it added to the version of this package."
    )
    short = "give memory to an agent that was not generated"
    _add_arguments_of_adopt(add("adopt", help=short, description=text, epilog=EXAMPLE_OF_ADOPT))
    text = "Look up the Lakebase and the experiment of a project, and write them down."
    short = "connect a project to a workspace"
    _add_arguments_of_link(add("link", help=short, description=text, epilog=EXAMPLE_OF_LINK))
    text = "Check a project and its workspace, and say what mends it. Changes nothing."
    short = "find what is wrong between a project and its workspace"
    _add_arguments_of_doctor(add("doctor", help=short, description=text, epilog=EXAMPLE_OF_DOCTOR))
    return parser


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
        _link_after_update(project, interactive and not options.yes)
    if outcome.troubled:
        _fail(1, f"these files need you: {', '.join(outcome.troubled)}\n{HOW_TO_RESOLVE}")


def _link_after_update(project: Path, interactive: bool) -> None:
    from lakebase_agent.asking import Asker
    from lakebase_agent.link import LinkOptions, link

    question = "The project's Lakebase must be looked up. Do it now?"
    if interactive and questionary.confirm(question).unsafe_ask():
        link(project, LinkOptions(), Asker(interactive=True), _say)
    else:
        _say(f"its Lakebase must be looked up; commit, then run: {LINK}")


def _adopt(options: argparse.Namespace) -> None:
    from lakebase_agent.adopt import adopt
    from lakebase_agent.adoption import AdoptOptions
    from lakebase_agent.asking import Asker

    asker = Asker(interactive=_somebody_there() and not options.yes)
    troubled = adopt(Path(options.path).resolve(), _given(options, AdoptOptions), asker, _say)
    if troubled:
        _fail(1, f"these files need you, they hold conflicts: {', '.join(troubled)}")


def _link(options: argparse.Namespace) -> None:
    from lakebase_agent.asking import Asker
    from lakebase_agent.link import LinkOptions, link

    asker = Asker(interactive=_somebody_there() and not options.yes)
    link(Path(options.path).resolve(), _given(options, LinkOptions), asker, _say)


def _somebody_there() -> bool:
    return sys.stdin.isatty() and not os.environ.get("CI")


def _given(options: argparse.Namespace, kind: Callable[..., Options]) -> Options:
    """Return the options of a command, whose fields are named as its flags are."""
    return kind(**{name: getattr(options, name) for name in inspect.signature(kind).parameters})


def _doctor(options: argparse.Namespace) -> None:
    from lakebase_agent.doctor import examine

    findings = []
    for finding in examine(Path(options.path).resolve(), options.target, options.profile):
        findings.append(finding)
        if not options.json:
            print(finding, flush=True)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.state == "problem" for finding in findings):
        sys.exit(1)


def _add_arguments_of_update(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_update)
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")
    parser.add_argument(
        "--data", action="append", default=[], metavar="K=V", help="answer question K with V"
    )
    parser.add_argument(
        "--to",
        default="",
        metavar="TAG",
        help="a release of the template (the latest); `current` stays at the project's",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what changes, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing, and delete what must go")


def _add_arguments_of_adopt(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_adopt)
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")
    texts = {
        "framework": "langgraph or openai (from its dependencies)",
        "lakebase": "autoscaling or provisioned (from its bundle)",
        "memory": "short_term, long_term (both)",
        "project": "autoscaling project",
        "branch": "branch of it",
        "instance": "provisioned instance",
        "embedding-endpoint": "serving endpoint that makes vectors",
        "embedding-dims": "length of its vectors",
        "schema": "Postgres schema of the memory (from the app's name)",
        "app": "key of the app in the bundle, of several",
        "package": "folder that gets the memory modules",
        "source": "the template: a folder, or a git URL",
    }
    for name, text in texts.items():
        parser.add_argument(f"--{name}", default="", metavar="VALUE", help=text)
    parser.add_argument("--dry-run", action="store_true", help="show the diff, write nothing")
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_arguments_of_doctor(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_doctor)
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")
    parser.add_argument("--profile", default="", metavar="NAME", help="profile of the CLI")
    parser.add_argument(
        "--target", default="dev", metavar="NAME", help="bundle target (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def _add_arguments_of_link(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_link)
    parser.add_argument("path", nargs="?", default=".", metavar="PATH", help="the project (.)")
    texts = {
        "profile": "profile of the Databricks CLI",
        "project": "autoscaling project",
        "branch": "branch of it",
        "create-project": "create this autoscaling project",
        "instance": "provisioned instance",
        "experiment": "MLflow experiment, by id or full name",
        "app": "take the resources of this existing app, and deploy to it",
    }
    for name, text in texts.items():
        parser.add_argument(f"--{name}", default="", metavar="NAME", help=text)
    parser.add_argument(
        "--target", default="dev", metavar="NAME", help="bundle target (%(default)s)"
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")


def _add_arguments_of_new(new: argparse.ArgumentParser) -> None:
    new.set_defaults(run=_new)
    new.add_argument("destination", metavar="DEST", help="the project's folder, new or empty")
    new.add_argument(
        "--source",
        default=TEMPLATE,
        metavar="URL_OR_PATH",
        help="the template: a folder, or a git URL (%(default)s)",
    )
    new.add_argument(
        "--data", action="append", default=[], metavar="K=V", help="answer question K with V"
    )
    new.add_argument("--answers", metavar="FILE", help="answers from a YAML file; --data wins")
    new.add_argument("--defaults", action="store_true", help="ask nothing")
    new.add_argument("--json", action="store_true", help="ask nothing, and print JSON")
    new.add_argument("--no-install", action="store_true", help="do not install its packages")


def _fail(code: int, message: str) -> None:
    print(f"lakebase-agent: {message}", file=sys.stderr)
    sys.exit(code)
