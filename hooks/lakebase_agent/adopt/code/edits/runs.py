"""The call that runs an agent, in a turn."""

import ast

from lakebase_agent.adopt.code.edits.arguments import added
from lakebase_agent.adopt.code.reading.calls import STATES
from lakebase_agent.adopt.code.reading.modules import Site
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Edit

ASYNC_NAMES = {
    "invoke": "ainvoke", "stream": "astream", "run_sync": "run", "get_state": "aget_state",
    "get_state_history": "aget_state_history", "update_state": "aupdate_state",
}  # fmt: skip
STREAMS = (
    "stream", "astream", "astream_events", "run_streamed", "get_state_history",
    "aget_state_history",
)  # fmt: skip
INPUT = {"langgraph": 0, "openai": 1}  # its position among the arguments
GROWN = 60  # characters that other edits add, about
KEPT_BY_MODEL = ("previous_response_id", "conversation_id", "auto_previous_response_id")


def run_edits(site: Site, framework: str, turn: str) -> list[Edit]:
    """Return edits of a call that runs an agent; `turn` is the name of the turn.

    Raises CantWireError for a call whose arguments can't be seen.
    """
    check_arguments(site)
    if method_of(site) in STATES:
        return [*_outside(site, framework, turn), *_renamed(site), *_of_state(site, turn)]
    arguments = _langgraph if framework == "langgraph" else _openai
    return [
        *_outside(site, framework, turn), *_input(site, framework, turn),
        *_renamed(site), *arguments(site, turn),
    ]  # fmt: skip


def check_arguments(site: Site) -> None:
    """Raise CantWireError if the arguments of a call can't be seen."""
    call = site.call
    starred: list[ast.expr] = [item for item in call.args if isinstance(item, ast.Starred)]
    starred += [word.value for word in call.keywords if word.arg is None]
    if starred:
        text = site.module.code.of(starred[0]).lstrip("*")
        raise CantWireError(site.where, f"it can't be seen which arguments {text} holds")


def own_context(site: Site) -> bool:
    """Return whether a run has a context of its owner's, which the memory needs."""
    word = _word(site.call, "context")
    return word is not None and not _is_none(word.value)


def _langgraph(site: Site, turn: str) -> list[Edit]:
    code, call = site.module.code, site.call
    assert isinstance(call.func, ast.Attribute)
    edits = code.wraps(call.func.value, f"{turn}.graph(")
    word, more = _word(call, "config"), []
    config = call.args[1] if len(call.args) > 1 else word.value if word else None
    if config is None:
        more.append(f"config={turn}.config")
    elif _is_none(config):
        edits.append(Edit(code.start(config), code.end(config), f"{turn}.config"))
    else:
        edits += code.wraps(config, f"{turn}.config_with(")
    return edits + _context(site, f"{turn}.user", more)


def _of_state(site: Site, turn: str) -> list[Edit]:
    """Return edits of a call that reads or changes the state of a thread."""
    code, word = site.module.code, _word(site.call, "config")
    config = site.call.args[0] if site.call.args else word.value if word else None
    if config is None:
        raise CantWireError(site.where, "it can't be seen which thread it is about")
    assert isinstance(site.call.func, ast.Attribute)
    graph = code.wraps(site.call.func.value, f"{turn}.graph(")
    return [*graph, *code.wraps(config, f"{turn}.config_with(")]


def _openai(site: Site, turn: str) -> list[Edit]:
    for name in KEPT_BY_MODEL:
        if _word(site.call, name):
            reason = f"{name} lets the model's server keep the conversation: take it out first"
            raise CantWireError(site.where, reason)
    session = _word(site.call, "session")
    context = _word(site.call, "context")
    if session and context and _is_none(context.value):
        code = site.module.code
        new = ((session.value, "None"), (context.value, f"{turn}.context"))
        return [Edit(code.start(old), code.end(old), text) for old, text in new]
    if session and not context:
        code = site.module.code
        return [Edit(code.start(session), code.end(session), f"context={turn}.context")]
    if session:
        raise CantWireError(site.where, "it has a session and a context of its own")
    return _context(site, f"{turn}.context", [])


def _context(site: Site, value: str, more: list[str]) -> list[Edit]:
    code, word = site.module.code, _word(site.call, "context")
    if word:
        edits = [Edit(code.start(word.value), code.end(word.value), value)]
    else:
        edits, more = [], [*more, f"context={value}"]
    return edits + (added(code, site.call, more, GROWN) if more else [])


def _input(site: Site, framework: str, turn: str) -> list[Edit]:
    call, position = site.call, INPUT[framework]
    word = _word(call, "input")
    given = call.args[position] if len(call.args) > position else word.value if word else None
    if given is None or isinstance(given, ast.GeneratorExp):
        raise CantWireError(site.where, "it can't be seen what its input is")
    return site.module.code.wraps(given, f"await {turn}.to_input(")


def _renamed(site: Site) -> list[Edit]:
    assert isinstance(site.call.func, ast.Attribute)
    name, end = site.call.func.attr, site.module.code.end(site.call.func)
    return [Edit(end - len(name.encode()), end, ASYNC_NAMES[name])] if name in ASYNC_NAMES else []


def _outside(site: Site, framework: str, turn: str) -> list[Edit]:
    """Return edits around a call: it is awaited, and what it adds to a session is saved."""
    code, call = site.module.code, site.call
    name, parent = method_of(site), code.parents.get(call)
    if name in STREAMS:
        return _iterated(site, parent) if name in ASYNC_NAMES else []
    is_sync = name in ASYNC_NAMES
    if not is_sync and not isinstance(parent, ast.Await):
        raise CantWireError(site.where, "it is not awaited where it is called")
    opening = "await " if is_sync else ""
    if framework == "openai":
        opening = f"await {turn}.save({opening}"
    closing = ")" if framework == "openai" else ""
    outer = call if is_sync else parent
    assert outer
    stands_alone = isinstance(
        code.parents.get(outer), ast.Assign | ast.AnnAssign | ast.Expr | ast.Return
    )
    if opening and is_sync and not stands_alone:
        opening, closing = f"({opening}", f"{closing})"
    return code.wraps(outer, opening, closing) if opening else []


def _iterated(site: Site, parent: ast.AST | None) -> list[Edit]:
    """Return an edit that makes `async for` of the loop over a stream."""
    if isinstance(parent, ast.For) and parent.iter is site.call:
        start = site.module.code.start(parent)
        return [Edit(start, start, "async ")]
    raise CantWireError(site.where, "its stream is not read by a loop here")


def method_of(site: Site) -> str:
    """Return the name of the method by which an agent is run."""
    return site.call.func.attr if isinstance(site.call.func, ast.Attribute) else ""


def _word(call: ast.Call, name: str) -> ast.keyword | None:
    return next((word for word in call.keywords if word.arg == name), None)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
