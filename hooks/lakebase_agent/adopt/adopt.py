"""`lakebase-agent adopt`: give an agent that was not generated its memory in Lakebase."""

import getpass
import io
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import questionary
from ruamel.yaml import YAML

from lakebase_agent.adopt.adoption import (
    ANSWERS,
    Adoption,
    AdoptOptions,
    ask_adoption,
    noted_adoption,
)
from lakebase_agent.adopt.bundle import bundle_additions
from lakebase_agent.adopt.existing_agent import ExistingAgent, examine_agent
from lakebase_agent.adopt.files import add_dependencies, add_env_lines, add_settings
from lakebase_agent.adopt.memory_modules import FOLDER, Rendered, merge_text, render_modules
from lakebase_agent.adopt.wiring import wiring
from lakebase_agent.asking import Asker
from lakebase_agent.errors import UsageError
from lakebase_agent.new.new import tag_of
from lakebase_agent.project.changes import Change, to_diff, write_together
from lakebase_agent.project.files import ADOPTED, read_adopted
from lakebase_agent.project.git import uncommitted
from lakebase_agent.project.yaml_lines import add_to_yaml
from lakebase_agent.workspace.schemas import personal_schema

Say = Callable[[str], None]
NOTE = "# Written by `lakebase-agent adopt`, which reads it. Belongs in git.\n"


def adopt(folder: Path, options: AdoptOptions, asker: Asker, say: Say) -> list[str]:
    """Add to the agent project in `folder` what gives it memory; return files with conflicts.

    Shows a diff, asks, then writes all of it or nothing. Run again, it brings the files that it
    added to the version of this package. Raises UsageError, SourceError, and KeyboardInterrupt.
    """
    found = examine_agent(folder)
    committed = _check_committed(folder, options)
    noted = read_adopted(folder)
    if noted:
        adoption = noted_adoption(noted, found, options)
    else:
        adoption = ask_adoption(found, options, asker)
    new = render_modules(adoption.source, tag_of(adoption.source), adoption.answers, adoption.place)
    changes, troubled = _plan(found, adoption, new)
    if not changes:
        say("nothing to do: the memory is in place")
        return []
    print(to_diff(changes), flush=True)
    for line in _summary(changes):
        say(line)
    if not committed:
        say("git does not track this folder: nothing but the diff above tells what changed")
    if options.dry_run:
        say("nothing was written: this was a dry run")
        return []
    last = _next(found, adoption, noted)
    _agree(len(changes), options, asker)
    write_together(folder, changes)
    print("\n".join(["", *last]))
    return troubled


def _check_committed(folder: Path, options: AdoptOptions) -> bool:
    """Return whether git tracks the project; raises UsageError while it has uncommitted changes."""
    unsaved = uncommitted(folder)
    if unsaved and not options.dry_run:
        files = ", ".join(unsaved[:10]) + (" ..." if len(unsaved) > 10 else "")
        raise UsageError(f"commit or stash your changes first: {files}")
    return unsaved is not None


def _summary(changes: Mapping[str, Change]) -> list[str]:
    """Return a line for each file that changes, and one for the folder of the modules."""
    lines = []
    for name, (old, new) in changes.items():
        kind = "add" if old is None else "delete" if new is None else "change"
        place = str(PurePosixPath(name).parent)
        whole = kind == "add" and place.endswith(FOLDER)
        lines.append(f"{kind:9} {place + '/' if whole else name}")
    return list(dict.fromkeys(lines))


def _agree(count: int, options: AdoptOptions, asker: Asker) -> None:
    if options.yes:
        return
    if not asker.interactive:
        raise UsageError("nobody is here to agree to these changes; nothing was written. Add --yes")
    if not questionary.confirm(f"Change these {count} files?").unsafe_ask():
        raise KeyboardInterrupt


def _plan(
    found: ExistingAgent, adoption: Adoption, new: Rendered
) -> tuple[dict[str, Change], list[str]]:
    """Return what changes, by file, and the files in which conflicts would be marked."""
    old = new
    if adoption.version and adoption.version != new.version:
        old = render_modules(adoption.source, adoption.version, adoption.answers, adoption.place)
    adopted_before = (found.folder / ADOPTED).is_file()
    texts, troubled = _modules(found.folder, old.files if adopted_before else {}, new.files)
    texts |= _owners_files(found, adoption, old, new)
    texts[ADOPTED] = _note(adoption, new)
    changes = {name: (_read(found.folder / name), text) for name, text in texts.items()}
    wanted = {name: change for name, change in changes.items() if change[0] != change[1]}
    # The owner's own files come last: what is shown last is read.
    return dict(sorted(wanted.items(), key=lambda item: item[1][0] is not None)), troubled


def _modules(
    folder: Path, old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[dict[str, str | None], list[str]]:
    """Return the modules merged: as they were rendered, as the owner has them, as they are now."""
    texts: dict[str, str | None] = {}
    troubled = []
    for name in sorted({*old, *new}):
        before, theirs, now = old.get(name), _read(folder / name), new.get(name)
        if before is None and theirs is not None:
            raise UsageError(f"{name} is new in this version, and exists: move it away")
        if before is None or now is None:
            texts[name] = now if theirs in (before, None) else theirs
        elif theirs is not None and before != now:  # else the owner has removed it
            texts[name], conflict = merge_text(before, theirs, now)
            troubled += [name] if conflict else []
    return texts, troubled


def _owners_files(
    found: ExistingAgent, adoption: Adoption, old: Rendered, new: Rendered
) -> dict[str, str | None]:
    before = old.requirements if adoption.version else []
    text = add_dependencies(found.text("pyproject.toml"), new.requirements, before)
    texts: dict[str, str | None] = {"pyproject.toml": add_settings(text, new.settings)}
    for name, addition in bundle_additions(found, adoption, new).items():
        texts[name] = add_to_yaml(name, found.text(name), addition, after="bundle")
    texts[".env.example"] = add_env_lines(found.text(".env.example"), new.env_example)
    if block := _env_values(adoption, new):
        texts[".env"] = add_env_lines(found.text(".env"), block)
    return texts


def _env_values(adoption: Adoption, new: Rendered) -> str:
    """Return the lines of a .env for the Lakebase that was named; a developer has a schema."""
    answers = new.answers
    lines = []
    if adoption.answers.get("lakebase_project"):
        lines.append(f"LAKEBASE_AUTOSCALING_PROJECT={answers['lakebase_project']}")
        lines.append(f"LAKEBASE_AUTOSCALING_BRANCH={answers['lakebase_branch']}")
    if adoption.answers.get("lakebase_instance"):
        lines.append(f"LAKEBASE_INSTANCE_NAME={answers['lakebase_instance']}")
    if lines:
        schema = personal_schema(f"{answers['memory_schema']}_dev_", getpass.getuser())
        lines.append(f"LAKEBASE_AGENT_MEMORY_SCHEMA={schema}")
    return "\n".join(lines)


def _note(adoption: Adoption, new: Rendered) -> str:
    noted: dict[str, Any] = {"source": adoption.source, "version": new.version}
    noted |= {name: new.answers[name] for name in ANSWERS if name in new.answers}
    noted["app"] = adoption.app.key if adoption.app else ""
    noted["place"] = vars(adoption.place)
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(noted, text)
    return NOTE + text.getvalue()


def _next(found: ExistingAgent, adoption: Adoption, noted: Mapping[str, Any]) -> list[str]:
    if noted:
        return ["the memory was brought to the version of this package; look at git diff"]
    return wiring(found, adoption.answers, adoption.place, adoption.app)


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8") if path.is_file() else None
