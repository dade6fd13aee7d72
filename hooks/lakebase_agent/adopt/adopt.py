"""`lakebase-agent adopt`: add memory in Lakebase to an agent that was not generated."""

from collections.abc import Mapping
from pathlib import Path

import questionary

from lakebase_agent.adopt.adoption import Adoption, AdoptOptions, noted_adoption
from lakebase_agent.adopt.code.wire import Wired, wire
from lakebase_agent.adopt.existing_agent import MEMORY_FOLDER, ExistingAgent, examine_agent
from lakebase_agent.adopt.modules.rendered import render_modules
from lakebase_agent.adopt.plan import Plan, make_plan
from lakebase_agent.adopt.questions import ask_adoption
from lakebase_agent.adopt.wiring import Instructions
from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import read_adopted
from lakebase_agent.project.changes import Replacement, to_diff, write_together
from lakebase_agent.project.git import shortened, uncommitted
from lakebase_agent.template import version_of
from lakebase_agent.terminal import Asker, Say, ask

LACKING = """\
its packages lack what the memory calls: {problems}. Raise their versions in pyproject.toml,
run `uv sync`, commit, and run this command again"""
NOT_WIRED = """\
can't connect the agent by edits: {problems}. Without --wire, the lines to paste are printed"""


def adopt(folder: Path, options: AdoptOptions, asker: Asker, say: Say) -> list[str]:
    """Add memory to the agent project in `folder`; return the files with conflicts.

    Shows a diff, asks, then writes all of it or nothing. Run again, it updates the files that it
    added to the version of this package. Raises UsageError, SourceError, and KeyboardInterrupt.
    """
    agent = examine_agent(folder, options.framework)
    tracked = _check_committed(folder, options)
    note = read_adopted(folder)
    adoption = _adoption(note, agent, options, asker)
    version = version_of(adoption.source)
    new = render_modules(adoption.source, version, adoption.answers, adoption.place)
    instructions = Instructions(agent, adoption.answers, adoption.place, adoption.app)
    wired = _wire(agent, adoption, instructions, options)
    plan = make_plan(agent, adoption, new, wired.files if options.wire else {})
    if not plan.changes:
        say("nothing to do: the memory is in place")
        return []
    _show(plan, tracked, say)
    if options.dry_run:
        say("nothing was written: this was a dry run")
        _say_not_applied(plan, say)
        return []
    _confirm(len(plan.changes), options, asker)
    write_together(folder, plan.changes)
    print("\n".join(["", *_next_steps(adoption, instructions, wired, options)]), flush=True)
    _say_not_applied(plan, say)
    return plan.conflicts


def _check_committed(folder: Path, options: AdoptOptions) -> bool:
    """Return whether git tracks the project; raises UsageError if it has uncommitted changes."""
    unsaved = uncommitted(folder)
    if unsaved and not options.dry_run:
        raise UsageError(f"commit or stash your changes first: {shortened(unsaved)}")
    return unsaved is not None


def _adoption(
    note: Mapping[str, object], agent: ExistingAgent, options: AdoptOptions, asker: Asker
) -> Adoption:
    if note:
        return noted_adoption(note, agent, options)
    return ask_adoption(agent, options, asker)


def _show(plan: Plan, tracked: bool, say: Say) -> None:
    print(to_diff(plan.changes), flush=True)
    for line in _summary(plan):
        say(line)
    if not tracked:
        say("git does not track this folder: the diff above is the only record of what changes")


def _say_not_applied(plan: Plan, say: Say) -> None:
    for line in plan.not_applied:
        say(f"not applied: {line}")


def _summary(plan: Plan) -> list[str]:
    """Return a line for each file that changes, but only one for all new modules."""
    lines = []
    for name, change in plan.changes.items():
        kind = "conflict" if name in plan.conflicts else _kind(change)
        if name in plan.moved:
            lines.append(f"move      {name} -> {plan.moved[name]}")
        elif kind != "add":
            lines.append(f"{kind:9} {name}")
        elif name not in plan.moved.values():
            lines.append(f"{kind:9} {_shortened(name)}")
    return list(dict.fromkeys(lines))


def _shortened(name: str) -> str:
    """Return the folder of the modules for a file in it, else the name itself."""
    before, found, _ = name.partition(f"{MEMORY_FOLDER}/")
    return before + found if found else name


def _kind(change: Replacement) -> str:
    if change.old is None:
        return "add"
    return "delete" if change.new is None else "change"


def _confirm(count: int, options: AdoptOptions, asker: Asker) -> None:
    """Return if a person agrees; raises UsageError if nobody is there, else KeyboardInterrupt."""
    if options.yes:
        return
    if not asker.interactive:
        raise UsageError("nobody is here to agree to these changes; nothing was written. Add --yes")
    if not ask(questionary.confirm(f"Change these {count} files?")):
        raise KeyboardInterrupt


def _wire(
    agent: ExistingAgent, adoption: Adoption, instructions: Instructions, options: AdoptOptions
) -> Wired:
    """Return the files that connect the agent, which may not be written; checks what they call.

    Raises UsageError if its packages lack that, or if it is to be connected and can't be.
    """
    if instructions.calls.runs and (lacking := instructions.unmet()):
        raise UsageError(LACKING.format(problems="; ".join(lacking)))
    wired = wire(agent, adoption.answers, adoption.place)
    if options.wire and wired.problems and not wired.connected:
        raise UsageError(NOT_WIRED.format(problems="; ".join(wired.problems)))
    return wired


def _next_steps(
    adoption: Adoption, instructions: Instructions, wired: Wired, options: AdoptOptions
) -> list[str]:
    if options.wire:
        return instructions.after_wiring()
    if adoption.noted:
        return ["The memory was updated to the version of this package: look at `git diff`."]
    return instructions.lines(wired.problems)
