"""A project as `doctor` examines it: its own files, and the workspace that it is linked to."""

from dataclasses import dataclass
from typing import Any

from lakebase_agent.project.bundle import DEV
from lakebase_agent.workspace.client import Workspace


@dataclass(frozen=True)
class LinkedProject:
    """A project and its workspace; `variables` are those of the bundle for `target`."""

    answers: dict[str, Any]
    bundle: dict[str, Any]
    settings: dict[str, str]
    target: str
    variables: dict[str, str]
    workspace: Workspace

    @property
    def app(self) -> str:
        """The name of the app; empty if it is not known."""
        return str(self.variables.get("app_name", ""))

    @property
    def link_command(self) -> str:
        """The command that looks up the variables of this target."""
        return link_command(self.target)

    def remembers(self, memory: str) -> bool:
        """Return whether the project has a kind of memory, such as long_term."""
        return memory in self.answers.get("memory", [])


def link_command(target: str) -> str:
    """Return the command that looks up the variables of a target."""
    return "lakebase-agent link" + (f" --target {target}" if target != DEV else "")
