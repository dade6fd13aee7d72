"""The sources of a project, each with its text and what its names stand for."""

import ast
from dataclasses import dataclass
from functools import cached_property

from lakebase_agent.adopt.code.reading.names import origin_of, origins_of
from lakebase_agent.adopt.code.reading.text import Code
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.merging.texts import plain
from lakebase_agent.project.sources import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Module:
    """A source of the project, with its text and what its names stand for."""

    def __init__(self, source: Source, text: str) -> None:
        self.source, self.path = source, source.path.as_posix()
        self.code = Code(plain(text))
        self.origins = origins_of(self.code.tree)

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call, in the order of the text."""
        found = [node for node in ast.walk(self.code.tree) if isinstance(node, ast.Call)]
        return sorted(found, key=self.code.start)

    def origin(self, node: ast.AST) -> str:
        """Return what an expression stands for; empty if it is not imported."""
        return origin_of(node, self.origins)


@dataclass(frozen=True)
class Site:
    """A call in a module."""

    module: Module
    call: ast.Call

    @property
    def where(self) -> str:
        """Where it is, such as "agent_server/agent.py:41"."""
        return f"{self.module.path}:{self.call.lineno}"

    @property
    def function(self) -> Function | None:
        """The innermost function that it is in; None at the top of the module."""
        found = self.module.code.ancestors(self.call)
        return next((node for node in found if isinstance(node, Function)), None)


def read_modules(agent: ExistingAgent) -> list[Module]:
    """Return the sources of the project."""
    return [Module(source, agent.text(source.path.as_posix())) for source in agent.sources]
