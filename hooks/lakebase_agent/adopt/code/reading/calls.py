"""Where an agent is built and run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lakebase_agent.adopt.code.reading.names import called, last_name, origin_of, origins_of
from lakebase_agent.adopt.code.reading.text import Code
from lakebase_agent.adopt.existing_agent import IMPORTS, ExistingAgent
from lakebase_agent.merging.texts import plain
from lakebase_agent.project.sources import Source

BUILDERS = {
    "langgraph": (
        "langchain.agents.create_agent",
        "langgraph.prebuilt.create_react_agent",
        "langgraph.prebuilt.chat_agent_executor.create_react_agent",
        "deepagents.create_deep_agent",
        "langgraph_supervisor.create_supervisor",
        "langgraph_swarm.create_swarm",
    ),
    "openai": ("agents.Agent", "agents.agent.Agent"),
}
RUNNERS = {
    "langgraph": ("astream", "ainvoke", "astream_events", "invoke", "stream"),
    "openai": ("run", "run_streamed", "run_sync"),
}
OPEN_TURN = "open_turn"
AGENTS = ("agent", "graph", "workflow")  # in the names of what is run
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


@dataclass(frozen=True)
class AgentCalls:
    """The calls that build an agent, and those that run it."""

    builds: list[Site]
    runs: list[Site]


def read_modules(agent: ExistingAgent) -> list[Module]:
    """Return the sources of the project."""
    return [Module(source, agent.text(source.path.as_posix())) for source in agent.sources]


def find_calls(modules: list[Module], framework: str) -> AgentCalls:
    """Return where the project builds and runs its agent."""
    found = AgentCalls([], [])
    modules = [module for module in modules if module.source.imports & IMPORTS[framework]]
    makers = set(_makers(modules, framework))
    for module in modules:
        known = set(_agents(module, framework, makers))
        for call in module.calls:
            if is_build(module, call, framework):
                found.builds.append(Site(module, call))
            if _is_run(module, call, framework, known, makers) and not _in_turn(module, call):
                found.runs.append(Site(module, call))
    return found


def _in_turn(module: Module, call: ast.Call) -> bool:
    """Return whether a call is in a turn already."""
    around = (node for node in module.code.ancestors(call) if isinstance(node, ast.AsyncWith))
    opened = (item.context_expr for node in around for item in node.items)
    return any(isinstance(node, ast.Call) and last_name(node.func) == OPEN_TURN for node in opened)


def is_build(module: Module, call: ast.Call, framework: str) -> bool:
    """Return whether a call builds an agent."""
    if module.origin(call.func) in BUILDERS[framework]:
        return True
    if framework == "openai" or not isinstance(call.func, ast.Attribute):
        return False
    return call.func.attr == "compile" and not module.origin(call.func)


def _makers(modules: list[Module], framework: str) -> Iterator[str]:
    """Yield the functions of the project that build an agent, by name."""
    for module in modules:
        for function in ast.walk(module.code.tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
                if any(is_build(module, call, framework) for call in calls):
                    yield function.name


def _agents(module: Module, framework: str, makers: set[str]) -> Iterator[str]:
    """Yield the names that hold an agent, because they get one from a call that builds it."""
    for node in ast.walk(module.code.tree):
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) or not node.value:
            continue
        if _gives_agent(module, called(node.value), framework, makers):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (last_name(target) for target in targets)


def _gives_agent(module: Module, node: ast.AST, framework: str, makers: set[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr == "with_config":
        return _gives_agent(module, node.func.value, framework, makers)
    return is_build(module, node, framework) or last_name(node.func) in makers


def _is_run(
    module: Module, call: ast.Call, framework: str, known: set[str], makers: set[str]
) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in RUNNERS[framework]:
        return False
    owner = called(call.func.value)
    if framework == "openai":
        return module.origin(owner) in ("agents.Runner", "agents.run.Runner")
    if _gives_agent(module, owner, framework, makers):
        return True
    name = last_name(owner)
    likely = name in known or any(part in name.lower() for part in AGENTS)
    return likely and not _is_module(module, owner)


def _is_module(module: Module, node: ast.AST) -> bool:
    """Return whether a name is imported from a package, and so no agent of the project."""
    origin = module.origin(node)
    return origin.partition(".")[0] in ("langchain", "langgraph", "mlflow", "agents")
