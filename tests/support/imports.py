"""Which modules of a project import which: circles, and imports against the direction."""

import ast
import re
from collections.abc import Iterator, Sequence, Set
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

Graph = dict[str, set[str]]
SERVER, OFFLINE = "agent_server", "local"
# The layers of the server, lowest first, by the modules and packages in them; what none names is in
# the second. A module imports what is in its own layer, or in a lower one: the runtime puts the
# rooms together, a start opens it, and what answers requests takes it from the start.
LAYERS = (
    ("settings", "errors", "identity", "database"),
    (),
    ("server.runtime",),
    ("server.startup",),
    ("*.routes", "chat.answers*"),
    ("server.app",),
    ("server.start",),
)
# What may import the offline stand-ins.
STARTS = "agent_server.server.start"


def graph_of(project: Path) -> Graph:
    """Return each module of a project with the modules of the project that it imports.

    Imports in functions and under TYPE_CHECKING count. A package counts only where a name is taken
    from it, not where one of its modules is imported.
    """
    paths = [path.relative_to(project) for path in sorted(project.rglob("*.py"))]
    names = {_name(path): path for path in paths}
    return {
        name: {
            found
            for place, taken in _imports((project / path).read_text("utf-8"))
            if (found := _resolve(place, taken, path, names.keys())) and found != name
        }
        for name, path in names.items()
    }


def circles(graph: Graph) -> list[str]:
    """Return a circle of imports for each group of modules that import each other."""
    found: list[str] = []
    seen: set[str] = set()
    for start in sorted(graph):
        if start not in seen and (circle := _circle(graph, start)):
            seen.update(circle)
            found.append(" -> ".join(circle))
    return found


def upward_imports(
    graph: Graph, layers: Sequence[Sequence[str]] = LAYERS, unnamed: int = 1
) -> list[str]:
    """Return the imports in which a module of the server knows one of a higher layer."""

    def layer(module: str) -> int:
        name = module.removeprefix(f"{SERVER}.")
        places = [
            n
            for n, names in enumerate(layers)
            if any(_within(name, at) or fnmatch(name, at) for at in names)
        ]
        return places[0] if places else unnamed

    return [
        f"{module} imports {other}"
        for module, other in _edges(graph)
        if _within(module, SERVER) and _within(other, SERVER) and layer(other) > layer(module)
    ]


def offline_imports(graph: Graph, allowed: str = STARTS) -> list[str]:
    """Return the imports in which the server knows what replaces a workspace offline."""
    return [
        f"{module} imports {other}"
        for module, other in _edges(graph)
        if _within(module, SERVER) and _within(other, OFFLINE) and module != allowed
    ]


def against_the_map(graph: Graph, text: str) -> list[str]:
    """Return the imports of a module in a row of the map above that of the module with it."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    place = {
        _name(Path(SERVER, file)): n
        for n, row in enumerate(rows)
        for file in re.findall(r"`([\w/]+(?:\.py|/))`", row)
    }
    return [
        f"{module} imports {other}"
        for module, other in _edges(graph)
        if place.get(other, len(rows)) < place.get(module, 0)
    ]


def _edges(graph: Graph) -> Iterator[tuple[str, str]]:
    for module in sorted(graph):
        for other in sorted(graph[module]):
            yield module, other


def _circle(graph: Graph, start: str) -> list[str]:
    """Return the shortest way from a module back to itself, or nothing."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for other in sorted(graph[way[-1]] - seen):
            if other == start:
                return [*way, start]
            seen.add(other)
            ways.append([*way, other])
    return []


def _name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _within(name: str, place: str) -> bool:
    return name == place or name.startswith(f"{place}.")


def _resolve(place: str, taken: str, path: Path, names: Set[str]) -> str:
    """Return the module that an import in the file at `path` leads to, or nothing."""
    if place.startswith("."):
        level = len(place) - len(place.lstrip("."))
        package = path.parts[: len(path.parts) - level]
        place = ".".join((*package, *filter(None, [place.lstrip(".")])))
    candidates = (f"{place}.{taken}", place)
    return next((name for name in candidates if name in names), "")


@cache
def _imports(source: str) -> tuple[tuple[str, str], ...]:
    """Return what a module imports: the place, with a dot for each level, and what is taken."""
    found: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            place = "." * node.level + (node.module or "")
            found += [(place, alias.name) for alias in node.names]
    return tuple(found)
