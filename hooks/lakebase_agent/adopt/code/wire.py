"""An agent's files with its memory connected, as far as edits can do that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakebase_agent.adopt.code.edits.builds import TOOLS, build_edits, takes_tools
from lakebase_agent.adopt.code.edits.imports import taken_names, with_imports, without_unused
from lakebase_agent.adopt.code.edits.requests import HEADERS
from lakebase_agent.adopt.code.edits.startup import startup_edits
from lakebase_agent.adopt.code.edits.turns import Turn
from lakebase_agent.adopt.code.reading.calls import OPEN_TURN, AgentCalls, find_calls
from lakebase_agent.adopt.code.reading.modules import Module, Site, read_modules
from lakebase_agent.adopt.code.reading.names import last_name
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory, find_own_memory
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Code, Edit
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.place import Place
from lakebase_agent.merging.texts import as_before

MLFLOW = "mlflow.genai.agent_server"
NO_CALLS = "no call was found that runs an agent"


@dataclass
class Wired:
    """New texts of files, by path, and why others could not be written."""

    files: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    connected: bool = False  # an earlier run did it


@dataclass
class _Edited:
    """A module with its edits, and what they need to be imported."""

    module: Module
    edits: list[Edit] = field(default_factory=list)
    wanted: dict[str, str] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)  # imported names that others take the place of


def wire(agent: ExistingAgent, answers: Mapping[str, Any], place: Place) -> Wired:
    """Return the files that connect an agent to its memory, which is not yet written."""
    return _Wiring(agent, str(answers["framework"]), "long_term" in answers["memory"], place).wire()


class _Wiring:
    def __init__(self, agent: ExistingAgent, framework: str, long_term: bool, place: Place) -> None:
        self.agent, self.framework, self.long_term, self.place = agent, framework, long_term, place
        modules = read_modules(agent)
        self.modules = {module.path: _Edited(module) for module in modules}
        self.calls: AgentCalls = find_calls(modules, framework)
        self.own: OwnMemory = find_own_memory(modules)
        self.mlflow = any(MLFLOW in source.imports for source in agent.sources)
        self.result = Wired()

    def wire(self) -> Wired:
        """Return the result."""
        if not self.calls.runs:
            self.result.connected = self._is_connected()
            self.result.problems.append(NO_CALLS)
            return self.result
        self.result.problems += self.calls.handed
        for sites in self._by_function():
            self._try(self._open_turn, sites)
        if self.long_term:
            self._add_all_tools()
        for edited in self.modules.values():
            self._try(self._start, edited)
        for edited in self.modules.values():
            if edited.edits or edited.wanted:
                self._try(self._write, edited)
        return self.result

    def _is_connected(self) -> bool:
        name = f"{self.place.module}.turn.{OPEN_TURN}"
        return any(name in edited.module.origins.values() for edited in self.modules.values())

    def _try(self, step: Any, *arguments: Any) -> None:
        try:
            step(*arguments)
        except CantWireError as error:
            self.result.problems.append(str(error))

    def _by_function(self) -> list[list[Site]]:
        found: dict[int, list[Site]] = {}
        for site in self.calls.runs:
            found.setdefault(id(site.function or site.call), []).append(site)
        return list(found.values())

    def _open_turn(self, sites: list[Site]) -> None:
        edited = self.modules[sites[0].module.path]
        edits, asked = Turn(sites, self.own, self.framework, self.mlflow).edits()
        edited.edits += edits
        edited.wanted[OPEN_TURN] = f"{self.place.module}.turn"
        for name in asked.names:
            edited.wanted[name] = MLFLOW if name == HEADERS else f"{self.place.module}.caller"

    def _add_all_tools(self) -> None:
        """Give agents the memory's tools, or let these take the place of the owner's."""
        makers = [
            (edited, name)
            for edited in self.modules.values()
            for name, origin in edited.module.origins.items()
            if origin.rpartition(".")[2] in self.own.makers
        ]
        for edited, name in makers:
            self._try(self._replace_maker, edited, name)
        if not makers:
            for site in self.calls.builds:
                self._try(self._add_tools, site)

    def _replace_maker(self, edited: _Edited, name: str) -> None:
        for call in edited.module.calls:
            if last_name(call.func) == name and (call.args or call.keywords):
                where = f"{edited.module.path}:{call.lineno}"
                raise CantWireError(where, f"{name}() makes tools from what it is given")
        imported = TOOLS if name == TOOLS else f"{TOOLS} as {name}"
        edited.wanted[imported] = f"{self.place.module}.memory"
        edited.replaced.add(name)

    def _add_tools(self, site: Site) -> None:
        taken = {*self.own.tools, *(n for n, p in self.own.makers.items() if p == site.module.path)}
        if taken:
            names = ", ".join(sorted(taken))
            raise CantWireError(site.where, f"{names} of yours is a memory, too: delete it")
        edits = build_edits(site) if takes_tools(site) else []
        edited = self.modules[site.module.path]
        place = {TOOLS: f"{self.place.module}.memory"}
        if takes_tools(site) and not edits and taken_names(site.module.code, place):
            raise CantWireError(site.where, f"{TOOLS} means something else there: rename it")
        if edits:
            edited.edits += [edit for edit in edits if edit not in edited.edits]
            edited.wanted[TOOLS] = f"{self.place.module}.memory"

    def _start(self, edited: _Edited) -> None:
        edited.edits += startup_edits(edited.module, self.own, self.calls.runs)

    def _write(self, edited: _Edited) -> None:
        module = edited.module
        code = module.code
        text = code.edited(edited.edits)
        kept = set(self._imported_elsewhere(module)) - edited.replaced
        text = without_unused(text, code.text, kept, edited.replaced)
        if taken := taken_names(Code(text), edited.wanted):
            names = ", ".join(taken)
            raise CantWireError(module.path, f"{names} means something else there: rename it")
        text = with_imports(text, edited.wanted)
        try:
            compile(text, module.path, "exec")
        except SyntaxError as error:
            raise CantWireError(module.path, f"it would not compile: {error}") from error
        original = self.agent.text(module.path)
        self.result.files[module.path] = as_before(original, text)

    def _imported_elsewhere(self, module: Module) -> list[str]:
        """Return the names that other modules import from a module."""
        dotted = module.path.removesuffix(".py").replace("/", ".")
        origins = [o for other in self.modules.values() for o in other.module.origins.values()]
        return [o.rpartition(".")[2] for o in origins if dotted.endswith(o.rpartition(".")[0])]
