"""What adoption changes in a project, worked out before anything is written."""

import getpass
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakebase_agent.adopt.adoption import Adoption, to_note
from lakebase_agent.adopt.bundle.additions import bundle_additions
from lakebase_agent.adopt.bundle.placeholders import filled, placeholders
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.modules.merge import merge_modules
from lakebase_agent.adopt.modules.rendered import Rendered, render_modules
from lakebase_agent.errors import UsageError
from lakebase_agent.merging.merged import Merged
from lakebase_agent.project.answers import ADOPTED
from lakebase_agent.project.changes import Replacement
from lakebase_agent.project.env_file import add_paragraphs
from lakebase_agent.project.pyproject import add_dependencies, add_settings
from lakebase_agent.project.yaml_lines import add_to_yaml
from lakebase_agent.workspace.schemas import personal_schema


@dataclass(frozen=True)
class Plan:
    """The files that change, those in which conflicts are marked, and what else to tell.

    `moved` are the new paths of modules by their old ones; `not_applied` are sentences.
    """

    changes: dict[str, Replacement]
    conflicts: list[str]
    moved: dict[str, str]
    not_applied: list[str]


def make_plan(
    agent: ExistingAgent, adoption: Adoption, new: Rendered, wired: Mapping[str, str]
) -> Plan:
    """Return what changes, new files first, so that changes to the owner's are shown last.

    `wired` are the owner's files that are connected to the memory.

    Raises UsageError if a file can't be changed, and SourceError.
    """
    old = new
    if adoption.version and adoption.version != new.version:
        old = render_modules(adoption.source, adoption.version, adoption.answers, adoption.place)
    merged = Merged(files=dict(new.files))
    if adoption.noted:
        merged = merge_modules(agent.folder, adoption.place, old, new)
    if both := sorted(merged.files.keys() & wired.keys()):
        raise UsageError(f"first update the memory without --wire: it changes {', '.join(both)}")
    texts: dict[str, str | None] = {
        **merged.files,
        **dict.fromkeys(merged.deleted),
        **_owners_files(agent, adoption, old, new),
        **wired,
        ADOPTED: to_note(adoption, new.version, new.answers),
    }
    changes = [
        (name, Replacement(_read(agent.folder / name), text)) for name, text in texts.items()
    ]
    wanted = [(name, change) for name, change in changes if change.old != change.new]
    wanted.sort(key=lambda item: item[1].old is not None)
    return Plan(
        dict(wanted),
        merged.conflicts,
        {item.old: item.new for item in merged.moved},
        [f"{item.path}, {item.reason}" for item in merged.not_applied],
    )


def _owners_files(
    agent: ExistingAgent, adoption: Adoption, old: Rendered, new: Rendered
) -> dict[str, str]:
    replaceable = old.requirements if adoption.version else []
    pyproject = add_dependencies(agent.text("pyproject.toml"), new.requirements, replaceable)
    texts = {"pyproject.toml": add_settings(pyproject, new.settings)}
    resources = adoption.app.settings.get("resources") if adoption.app else None
    found = placeholders(resources or [])
    for name, addition in bundle_additions(agent, adoption, new).items():
        text = filled(agent.text(name), found)
        texts[name] = add_to_yaml(name, text, addition, after="bundle")
    texts[".env.example"] = add_paragraphs(agent.text(".env.example"), new.env_example)
    if variables := _env_variables(adoption, new):
        texts[".env"] = add_paragraphs(agent.text(".env"), variables)
    return texts


def _env_variables(adoption: Adoption, new: Rendered) -> str:
    """Return lines of a .env for the Lakebase that was named, with the developer's own schema."""
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


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8") if path.is_file() else None
