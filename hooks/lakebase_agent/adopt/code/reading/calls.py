"""Where an agent is built and run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from lakebase_agent.adopt.code.reading.modules import Module, Site
from lakebase_agent.adopt.code.reading.names import called, last_name, own_name
from lakebase_agent.adopt.existing_agent import IMPORTS

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
STATES = (
    "aget_state", "aget_state_history", "aupdate_state", "get_state", "get_state_history",
    "update_state",
)  # fmt: skip
RUNNERS = {
    "langgraph": ("astream", "ainvoke", "astream_events", "invoke", "stream", *STATES),
    "openai": ("run", "run_streamed", "run_sync"),
}
OPEN_TURN = "open_turn"
HANDED = "is handed on, to run without a turn: call it in an async function instead"
INNER = "a tool runs an agent: give that the context of its own call, as `context=`"
AGENTS = ("agent", "graph", "workflow")  # in the names of what is run


@dataclass(frozen=True)
class AgentCalls:
    """The calls that build an agent, and those that run it or use its threads.

    `handed` says where it runs without a turn, because a method is handed on or a tool runs it.
    """

    builds: list[Site]
    runs: list[Site]
    handed: list[str]


def find_calls(modules: list[Module], framework: str) -> AgentCalls:
    """Return where the project builds and runs its agent."""
    found = AgentCalls([], [], [])
    builders = [module for module in modules if module.source.imports & IMPORTS[framework]]
    makers = set(_makers(builders, framework))
    agents = {name for m in builders for name in _agents(m, framework, makers)} | makers
    steps = set(_steps(modules, framework))
    own = {part for m in modules for part in PurePosixPath(m.path).with_suffix("").parts}
    for module in modules:
        imported = agents & set(_imported(module, own))
        if module not in builders and not imported:
            continue
        known = imported | set(_agents(module, framework, makers))
        runs = AgentRuns(module, framework, known, makers)
        for call in module.calls:
            if is_build(module, call, framework):
                found.builds.append(Site(module, call))
            if not runs.has(call.func) or _in_turn(module, call):
                continue
            if not steps & _functions_around(module, call):
                found.runs.append(Site(module, call))
            elif framework == "openai" and "context" not in {word.arg for word in call.keywords}:
                found.handed.append(f"{Site(module, call).where}: {INNER}")
        found.handed.extend(runs.handed())
    return found


def _steps(modules: list[Module], framework: str) -> Iterator[str]:
    """Yield the functions that a graph runs as its nodes or tools: in the turn of who runs it."""
    for module in modules:
        for call in module.calls:
            given = [*call.args, *(word.value for word in call.keywords)]
            if last_name(call.func) == "add_node":
                yield from filter(None, map(last_name, given))
                yield from (str(id(item)) for item in given)  # of a lambda
            elif is_build(module, call, framework):
                lists = (item.elts for item in given if isinstance(item, ast.List))
                yield from filter(None, (last_name(tool) for tools in lists for tool in tools))
        for node in ast.walk(module.code.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                marks = (m.func if isinstance(m, ast.Call) else m for m in node.decorator_list)
                if any(last_name(mark) in ("tool", "function_tool") for mark in marks):
                    yield node.name


def _functions_around(module: Module, call: ast.Call) -> set[str]:
    """Return what `_steps` calls the functions that a call is in."""
    around = list(module.code.ancestors(call))
    return {str(getattr(node, "name", id(node))) for node in around}


def _imported(module: Module, own: set[str]) -> Iterator[str]:
    """Yield the names, at home, of what a module has from others of the project."""
    for node in ast.walk(module.code.tree):
        origin = module.origin(node)
        if origin.startswith(".") or origin.partition(".")[0] in own:
            yield origin.rpartition(".")[2]


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


def _without_config(node: ast.AST) -> ast.AST:
    """Return what runs, without `await` and `with_config()` around it."""
    node = called(node)
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return node
    return _without_config(node.func.value) if node.func.attr == "with_config" else node


def _gives_agent(module: Module, node: ast.AST, framework: str, makers: set[str]) -> bool:
    node = _without_config(node)
    if not isinstance(node, ast.Call):
        return False
    return is_build(module, node, framework) or last_name(node.func) in makers


@dataclass(frozen=True)
class AgentRuns:
    """Tells what runs an agent in a module; `known` are the names that hold one."""

    module: Module
    framework: str
    known: set[str]
    makers: set[str]

    def has(self, function: ast.expr) -> bool:
        """Return whether a call of a function runs an agent."""
        if not isinstance(function, ast.Attribute):
            return False
        if function.attr not in RUNNERS[self.framework]:
            return False
        owner = _without_config(function.value)
        if self.framework == "openai":
            return self.module.origin(owner) in ("agents.Runner", "agents.run.Runner")
        if _gives_agent(self.module, owner, self.framework, self.makers):
            return True
        names = {last_name(owner), own_name(owner, self.module.origins)}
        likely = names & self.known or any(w in last_name(owner).lower() for w in AGENTS)
        return bool(likely) and not _is_module(self.module, owner)

    def handed(self) -> Iterator[str]:
        """Yield where a method that runs an agent is handed on."""
        functions = {id(call.func) for call in self.module.calls}
        for node in ast.walk(self.module.code.tree):
            if isinstance(node, ast.Attribute) and id(node) not in functions and self.has(node):
                yield f"{self.module.path}:{node.lineno}: {self.module.code.of(node)} {HANDED}"


def _is_module(module: Module, node: ast.AST) -> bool:
    """Return whether a name is imported from a package, and so no agent of the project."""
    origin = module.origin(node)
    return origin.partition(".")[0] in ("langchain", "langgraph", "mlflow", "agents")
