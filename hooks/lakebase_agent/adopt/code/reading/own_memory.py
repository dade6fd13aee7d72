"""The memory that an agent has already: what opens it, and the tools that use it."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lakebase_agent.adopt.code.reading.modules import Module
from lakebase_agent.adopt.code.reading.names import called, last_name

KINDS = {
    "AsyncCheckpointSaver": "checkpointer", "CheckpointSaver": "checkpointer",
    "AsyncPostgresSaver": "checkpointer", "PostgresSaver": "checkpointer",
    "AsyncDatabricksStore": "store", "DatabricksStore": "store",
    "AsyncPostgresStore": "store", "PostgresStore": "store",
    "AsyncDatabricksSession": "session", "SQLAlchemySession": "session",
    "SQLiteSession": "session",
}  # fmt: skip
TOOLS = {"get_user_memory", "save_user_memory", "delete_user_memory"}
FunctionDef = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class OwnMemory:
    """What the project has of its own.

    `openers` are the functions that open it, by name, each with the kinds that it opens; `makers`
    are the functions that make tools of it; `tools` are such tools at the top of a module. `lines`
    say where all of this is.
    """

    openers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)  # the files of the openers
    makers: dict[str, str] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)
    lines: list[str] = field(default_factory=list)

    def left_over(self) -> list[tuple[str, str]]:
        """Return the functions that are of no use without this memory, each with its file."""
        return [*self.places.items(), *self.makers.items()]

    def kinds(self, call: ast.AST) -> tuple[str, ...]:
        """Return the kinds of memory that a call opens; none if it opens none."""
        name = _class_of(call) if isinstance(call, ast.Call) else ""
        return (KINDS[name],) if name in KINDS else self.openers.get(name, ())


def _class_of(call: ast.Call) -> str:
    """Return the name that is called; for `AsyncPostgresSaver.from_conn_string()`, the class."""
    name = last_name(call.func)
    if isinstance(call.func, ast.Attribute) and name.startswith("from_"):
        return last_name(call.func.value)
    return name


def find_own_memory(modules: Iterable[Module]) -> OwnMemory:
    """Return the memory that a project has of its own; empty if it has none."""
    modules = list(modules)
    found = OwnMemory(dict(_openers(modules)))
    for module in modules:
        for node in module.code.tree.body:
            if isinstance(node, FunctionDef) and node.name in TOOLS:
                found.tools.add(node.name)
            elif isinstance(node, FunctionDef) and node.name in found.openers:
                found.places[node.name] = module.path
            elif isinstance(node, FunctionDef) and _defines_tools(node):
                found.makers[node.name] = module.path
        found.lines.extend(_lines(module, found))
    return found


def _openers(modules: list[Module]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the context managers that open a memory, and those that use these."""
    functions = [
        node
        for module in modules
        for node in ast.walk(module.code.tree)
        if isinstance(node, FunctionDef) and _yields_value(node)
    ]
    known: dict[str, tuple[str, ...]] = {}
    for _ in functions:
        for function in functions:
            names = [_class_of(n) for n in ast.walk(function) if isinstance(n, ast.Call)]
            kinds = [KINDS[name] for name in names if name in KINDS]
            kinds += [kind for name in names for kind in known.get(name, ())]
            if kinds and function.name not in names:
                known[function.name] = tuple(dict.fromkeys(kinds))
    yield from known.items()


def _yields_value(function: FunctionDef) -> bool:
    """Return whether it is a context manager with a value; a server's lifespan has none."""
    names = " ".join(last_name(node) for node in function.decorator_list)
    yields = [node for node in ast.walk(function) if isinstance(node, ast.Yield)]
    return "contextmanager" in names and any(node.value for node in yields)


def _defines_tools(function: FunctionDef) -> bool:
    inner = (node for node in ast.walk(function) if node is not function)
    return any(isinstance(node, FunctionDef) and node.name in TOOLS for node in inner)


def _lines(module: Module, found: OwnMemory) -> Iterator[str]:
    """Yield where a module opens a memory or makes tools of it."""
    assigned = set()
    for node in ast.walk(module.code.tree):
        if isinstance(node, ast.Call) and found.kinds(node) and id(node) not in assigned:
            yield f"{module.path}:{node.lineno} opens it"
        elif isinstance(node, FunctionDef) and node.name in {*found.openers, *found.makers}:
            yield f"{module.path}:{node.lineno} {node.name}"
        elif isinstance(node, ast.Assign) and "session" in found.kinds(called(node.value)):
            assigned.add(id(called(node.value)))
            yield f"{module.path}:{node.lineno} {module.code.of(node.targets[0])}"
