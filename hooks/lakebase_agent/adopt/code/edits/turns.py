"""Opening a turn around the runs of a function, in place of the memory that it opened itself."""

import ast
from dataclasses import dataclass
from functools import cached_property

from lakebase_agent.adopt.code.edits.blocks import common_block, indented, is_alone, unit_of
from lakebase_agent.adopt.code.edits.replaced import (
    Opened,
    find_opened,
    replaced_lines,
    session_edits,
    setup_edits,
)
from lakebase_agent.adopt.code.edits.requests import Asked, asked_in
from lakebase_agent.adopt.code.edits.runs import method_of, own_context, run_edits
from lakebase_agent.adopt.code.edits.streams import read_here, result_name
from lakebase_agent.adopt.code.reading.calls import OPEN_TURN
from lakebase_agent.adopt.code.reading.modules import Site
from lakebase_agent.adopt.code.reading.names import bound_names, loaded_names
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Edit

CONTEXT = "it has a context of its own, which memory_tools() would need: connect it by hand"


@dataclass(frozen=True)
class Turn:
    """A turn to be opened in a function, around all runs in it."""

    sites: list[Site]
    own: OwnMemory
    framework: str
    mlflow: bool

    def edits(self) -> tuple[list[Edit], Asked]:
        """Return the edits, and what they call; raises CantWireError if it takes more than that."""
        self._check()
        calls = [e for site in self.sites for e in run_edits(site, self.framework, self.name)]
        if self.opened and isinstance(self.opened.statement, ast.AsyncWith):
            asked = self._asked(self.opened.statement.lineno)
            edits = calls + self._replaced_header(asked)
        else:
            asked = self._asked(self.block[self.place].lineno)
            edits = self._wrapped(calls, asked)
        return self._saves() + edits, asked

    @property
    def first(self) -> Site:
        """The first run."""
        return self.sites[0]

    @cached_property
    def name(self) -> str:
        """A name for the turn that the module does not use."""
        tree = self.first.module.code.tree
        taken = {*bound_names(tree), *loaded_names(tree)}
        return next(name for name in ("turn", "memory_turn", "lakebase_turn") if name not in taken)

    @cached_property
    def opened(self) -> Opened | None:
        """The memory that the function opens itself."""
        return find_opened(self.first, self.own)

    @cached_property
    def block(self) -> list[ast.stmt]:
        """The statements around which the turn is opened, from `place` on."""
        return self._place[0]

    @property
    def place(self) -> int:
        """Where in `block` the turn begins."""
        return self._place[1]

    @cached_property
    def _place(self) -> tuple[list[ast.stmt], int]:
        nodes = [node for site in self.sites for node in read_here(site)]
        if self.opened:
            nodes.append(self.opened.statement)
            nodes += self.opened.uses
        function = self.first.function
        assert function
        return common_block(self.first.module.code, function, nodes)

    def _check(self) -> None:
        function = self.first.function
        if not isinstance(function, ast.AsyncFunctionDef):
            raise CantWireError(self.first.where, _not_async(function))
        if len(self.sites) > 1 and self.framework == "openai":
            raise CantWireError(self.sites[1].where, "a second run in one function")
        for site in self.sites:
            read_here(site)
            if own_context(site):
                raise CantWireError(site.where, CONTEXT)

    def _asked(self, line: int) -> Asked:
        return asked_in(self.first, self.own, self.mlflow, line)

    def _header(self, asked: Asked) -> str:
        return f"{OPEN_TURN}({asked.arguments}) as {self.name}"

    def _replaced_header(self, asked: Asked) -> list[Edit]:
        """Return edits that open the turn in place of the owner's memory."""
        assert self.opened and isinstance(self.opened.statement, ast.AsyncWith)
        code, items = self.first.module.code, self.opened.statement.items
        last = items[-1].optional_vars or items[-1].context_expr
        start, end = code.start(items[0].context_expr), code.end(last)
        return [
            Edit(start, end, self._header(asked)), *setup_edits(self.first, self.opened, self.name)
        ]  # fmt: skip

    def _wrapped(self, calls: list[Edit], asked: Asked) -> list[Edit]:
        """Return edits that put the rest of the block into a turn."""
        code, function = self.first.module.code, self.first.function
        statement, last = self.block[self.place], self.block[-1].end_lineno
        assert function and last
        for item in self.block[self.place :]:
            if not is_alone(code, item):
                raise CantWireError(self.first.where, "several statements are in one line")
        unit, start = unit_of(code, function), code.line(statement.lineno)
        indent = code.indent(statement.lineno)
        header = f"{indent}async with {self._header(asked)}:\n"
        more = session_edits(self.first, self.opened, self.name) if self.opened else []
        deeper = [e._replace(text=e.text.replace("\n", f"\n{unit}")) for e in calls]
        gone = replaced_lines(self.opened) if self.opened else set()
        shifted = indented(code, statement.lineno, last, unit, gone)
        return [Edit(start, start, header), *shifted, *deeper, *more]

    def _saves(self) -> list[Edit]:
        """Return an edit that saves what a stream of OpenAI's SDK said, once it is read."""
        site = self.first
        if self.framework != "openai" or method_of(site) != "run_streamed":
            return []
        name = result_name(site)
        if not name:
            raise CantWireError(site.where, "assign its result to a name, to be saved when read")
        code, uses = site.module.code, {id(node) for node in read_here(site)}
        place = max(n for n, s in enumerate(self.block) if uses & {id(x) for x in ast.walk(s)})
        statement, after = self.block[place], not isinstance(self.block[place], ast.Return)
        assert statement.end_lineno
        line = statement.end_lineno + 1 if after else statement.lineno
        indent = code.indent(statement.lineno) + self._unit()
        start = code.line(line)
        newline = "" if code.data[:start].endswith(b"\n") else "\n"
        return [Edit(start, start, f"{newline}{indent}await {self.name}.save({name})\n")]

    def _unit(self) -> str:
        function = self.first.function
        assert function
        return unit_of(self.first.module.code, function)


def _not_async(function: ast.AST | None) -> str:
    if function is None:
        return "it runs when the module is imported, for no user: run it in a function"
    name = function.name if isinstance(function, ast.FunctionDef) else "the function that it is in"
    return f"{name} is not async, as a turn has to be: make it `async def`"
