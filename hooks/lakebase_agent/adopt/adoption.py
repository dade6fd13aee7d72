"""An adoption: its answers, where its modules go, and the note that records both."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ruamel.yaml import YAML

from lakebase_agent.adopt.bundle.apps import App
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.place import Place
from lakebase_agent.errors import UsageError
from lakebase_agent.project.answers import ADOPTED

ANSWERS = (
    "app_name", "framework", "memory", "lakebase", "lakebase_project", "lakebase_branch",
    "lakebase_instance", "embedding_endpoint", "embedding_dims", "memory_schema",
)  # fmt: skip
HEADER = "# Written by `lakebase-agent adopt`, which reads it. Belongs in git.\n"


@dataclass(frozen=True)
class AdoptOptions:
    """What was given on the command line; empty if it was not."""

    framework: str = ""
    lakebase: str = ""
    memory: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    embedding_endpoint: str = ""
    embedding_dims: str = ""
    schema: str = ""
    app: str = ""
    package: str = ""
    source: str = ""
    wire: bool = False
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True)
class Adoption:
    """The answers to the template, the app, and where things go.

    `noted` is true if an earlier run adopted the project; `version` is the template's version
    then, empty if it had none.
    """

    answers: dict[str, Any]
    app: App | None
    place: Place
    source: str
    noted: bool = False
    version: str = ""


def noted_adoption(
    note: Mapping[str, Any], agent: ExistingAgent, options: AdoptOptions
) -> Adoption:
    """Return what an earlier run noted.

    Raises UsageError for flags that would change it, and if the note is not complete.
    """
    _refuse_answers(options)
    try:
        return Adoption(
            answers={name: note[name] for name in ANSWERS if name in note},
            app=agent.app_with_key(note["app"]),
            place=Place(**note["place"]),
            source=options.source or str(note["source"]),
            noted=True,
            version=str(note.get("version") or ""),
        )
    except (KeyError, TypeError) as error:
        raise UsageError(f"{ADOPTED} lacks {error}; was it edited by hand?") from error


def _refuse_answers(options: AdoptOptions) -> None:
    allowed = ("source", "wire", "dry_run", "yes")
    given = [name for name, value in asdict(options).items() if value and name not in allowed]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{ADOPTED} has the answers already: edit it, and leave out {flags}")


def to_note(adoption: Adoption, version: str, answers: Mapping[str, Any]) -> str:
    """Return the text of the note; `answers` are all that the template was rendered with."""
    note = {
        "source": adoption.source,
        "version": version,
        **{name: answers[name] for name in ANSWERS if name in answers},
        "app": adoption.app.key if adoption.app else "",
        "place": asdict(adoption.place),
    }
    text = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(note, text)
    return HEADER + text.getvalue()
