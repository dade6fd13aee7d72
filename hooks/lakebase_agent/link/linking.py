"""What everything that `link` does for one target shares."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from lakebase_agent.link.created import PR
from lakebase_agent.link.options import LinkOptions
from lakebase_agent.targets.target import Target
from lakebase_agent.terminal import Asker, Say
from lakebase_agent.workspace.client import Workspace

Kind = TypeVar("Kind")
ENDPOINT = "LAKEBASE_AUTOSCALING_ENDPOINT"
PROJECT = "LAKEBASE_AUTOSCALING_PROJECT"
BRANCH = "LAKEBASE_AUTOSCALING_BRANCH"
INSTANCE = "LAKEBASE_INSTANCE_NAME"


@dataclass(frozen=True)
class Linking:
    """A target that is being linked, and how to ask; `others` are the project's other targets."""

    workspace: Workspace
    answers: Mapping[str, Any]
    options: LinkOptions
    asker: Asker
    say: Say
    target: Target
    others: Sequence[Target]

    @property
    def creates(self) -> bool:
        """Return whether the bundle is to create what the target needs."""
        return self.options.create or self.target.name == PR

    def to(self, kind: Callable[..., Kind]) -> Kind:
        """Return another part of the same linking."""
        return kind(*(getattr(self, field.name) for field in fields(Linking)))

    def linked(self, name: str) -> str:
        """Return what a variable of the bundle was before; empty if it had no value."""
        return self.target.variables.get(name, "")


def split_path(path: str) -> tuple[str, str]:
    """Return the project and the branch of projects/P/branches/B; empty if it is another path."""
    match = re.fullmatch("projects/([^/]+)/branches/([^/]+)", path)
    return (match[1], match[2]) if match else ("", "")
