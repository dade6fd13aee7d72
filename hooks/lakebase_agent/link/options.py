"""What `link` is given, and what it finds."""

from dataclasses import dataclass, field
from typing import Any

from lakebase_agent.link.created import Created
from lakebase_agent.project.bundle import DEV


@dataclass(frozen=True)
class LinkOptions:
    """What was given on the command line; empty if it was not."""

    profile: str = ""
    project: str = ""
    branch: str = ""
    instance: str = ""
    create_project: str = ""
    create: bool = False
    experiment: str = ""
    app: str = ""
    deployer: str = ""
    users: str = ""
    target: str = DEV


@dataclass
class LinkValues:
    """What was found: for the target's file, and for the .env, where None removes a variable.

    `resources` are what the bundle is to create, by kind and key; `own` are variables of the person
    who is signed in.
    """

    variables: dict[str, str] = field(default_factory=dict)
    env: dict[str, str | None] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    declared: dict[str, Any] = field(default_factory=dict)
    own: dict[str, str] = field(default_factory=dict)
    root_path: str = ""

    def add(self, created: Created) -> None:
        """Take what the bundle is to create, and the variables that refer to it."""
        self.variables |= created.variables
        self.resources |= created.resources
        self.declared |= created.declared
