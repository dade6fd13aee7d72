"""The call that builds an agent, with the tools of its memory."""

import ast

from lakebase_agent.adopt.code.edits.arguments import added
from lakebase_agent.adopt.code.edits.runs import check_arguments
from lakebase_agent.adopt.code.reading.modules import Site
from lakebase_agent.adopt.code.reading.names import last_name, loaded_names, own_name
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Edit

TOOLS = "memory_tools"
# The position of the tools among the arguments.
POSITION = {
    "create_agent": 1, "create_react_agent": 1, "create_deep_agent": 1, "Agent": 2, "ToolNode": 0,
}  # fmt: skip


def takes_tools(site: Site) -> bool:
    """Return whether an agent gets its tools in the call that builds it."""
    return _builder(site) not in ("compile", "create_swarm")


def build_edits(site: Site, tools: str = TOOLS) -> list[Edit]:
    """Return edits of a call that builds an agent; none if it has the tools already.

    Raises CantWireError for a call whose arguments can't be seen.
    """
    check_arguments(site)
    code, call = site.module.code, site.call
    given = _tools(call, _builder(site))
    if given is None:
        return added(code, call, [f"tools={tools}()"])
    value = _value_of(site, given)
    if tools in loaded_names(value):
        return []
    if isinstance(value, ast.Call) and own_name(value.func, site.module.origins) == "ToolNode":
        given = _tools(value, "ToolNode")
        if given is None:
            raise CantWireError(site.where, "it can't be seen which tools its ToolNode has")
    if isinstance(given, ast.Constant) and given.value is None:
        return [Edit(code.start(given), code.end(given), f"{tools}()")]
    if isinstance(given, ast.List):
        return _into_list(site, given, f"*{tools}()")
    return code.wraps(given, "[*", f", *{tools}()]")


def _builder(site: Site) -> str:
    """Return the name of what builds an agent, where it is defined."""
    return own_name(site.call.func, site.module.origins)


def _tools(call: ast.Call, builder: str) -> ast.expr | None:
    for word in call.keywords:
        if word.arg == "tools":
            return word.value
    position = POSITION.get(builder, len(call.args))
    return call.args[position] if len(call.args) > position else None


def _into_list(site: Site, given: ast.List, item: str) -> list[Edit]:
    code = site.module.code
    if not given.elts:
        return [Edit(code.end(given) - 1, code.end(given) - 1, item)]
    last = given.elts[-1]
    place, comma = code.after(last, code.end(given) - 1)
    return [Edit(place, place, f" {item}" if comma else f", {item}")]


def _value_of(site: Site, given: ast.expr) -> ast.AST:
    """Return what is assigned to a name in the same function or module, or the expression."""
    if not isinstance(given, ast.Name):
        return given
    inside = ast.walk(site.function) if site.function else ()
    values = [
        node.value
        for node in (*site.module.code.tree.body, *inside)
        if isinstance(node, ast.Assign) and given.id in map(last_name, node.targets)
    ]
    return values[-1] if values else given
