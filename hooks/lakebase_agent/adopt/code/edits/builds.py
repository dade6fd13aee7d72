"""The call that builds an agent, with the tools of its memory."""

import ast

from lakebase_agent.adopt.code.edits.arguments import added
from lakebase_agent.adopt.code.edits.runs import check_arguments
from lakebase_agent.adopt.code.reading.calls import Site
from lakebase_agent.adopt.code.reading.names import last_name, loaded_names
from lakebase_agent.adopt.code.reading.text import Edit

TOOLS = "memory_tools"
POSITION = {"create_agent": 1, "create_react_agent": 1, "create_deep_agent": 1}


def takes_tools(site: Site) -> bool:
    """Return whether an agent gets its tools in the call that builds it."""
    return last_name(site.call.func) not in ("compile", "create_swarm")


def build_edits(site: Site, tools: str = TOOLS) -> list[Edit]:
    """Return edits of a call that builds an agent; none if it has the tools already.

    Raises CantWireError for a call whose arguments can't be seen.
    """
    check_arguments(site)
    code, call = site.module.code, site.call
    given = _tools(call)
    if given is None:
        return added(code, call, [f"tools={tools}()"])
    if tools in loaded_names(_value_of(site, given)):
        return []
    if isinstance(given, ast.Constant) and given.value is None:
        return [Edit(code.start(given), code.end(given), f"{tools}()")]
    if isinstance(given, ast.List):
        return _into_list(site, given, f"*{tools}()")
    return code.wraps(given, "[*", f", *{tools}()]")


def _tools(call: ast.Call) -> ast.expr | None:
    for word in call.keywords:
        if word.arg == "tools":
            return word.value
    position = POSITION.get(last_name(call.func))
    return call.args[position] if position and len(call.args) > position else None


def _into_list(site: Site, given: ast.List, item: str) -> list[Edit]:
    code = site.module.code
    if not given.elts:
        return [Edit(code.end(given) - 1, code.end(given) - 1, item)]
    last = given.elts[-1]
    place, comma = code.after(last, code.end(given) - 1)
    return [Edit(place, place, f" {item}" if comma else f", {item}")]


def _value_of(site: Site, given: ast.expr) -> ast.AST:
    """Return what is assigned to a name in the same function, or the expression itself."""
    function = site.function
    if not isinstance(given, ast.Name) or function is None:
        return given
    values = [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and given.id in map(last_name, node.targets)
    ]
    return values[-1] if values else given
