"""What the owner's own memory is replaced by, in the function that opened it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from lakebase_agent.adopt.code.edits.blocks import is_alone, without_statement
from lakebase_agent.adopt.code.reading.modules import Site
from lakebase_agent.adopt.code.reading.names import called
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.reading.text import Edit

# What an agent of the OpenAI Agents SDK may use of its session; the last has another value.
SESSION = ("get_items", "add_items", "session_id")


@dataclass(frozen=True)
class Opened:
    """The memory that a function opens: `async with ... as ...`, or an assigned session.

    `kinds` are the kinds of its values by their names; `uses` are the places that read them.
    """

    statement: ast.AsyncWith | ast.Assign
    kinds: dict[str, str]
    uses: list[ast.Name] = field(default_factory=list)


def find_opened(site: Site, own: OwnMemory) -> Opened | None:
    """Return what the function of a run opens; None if that is nothing.

    Raises CantWireError if it can't be replaced.
    """
    code = site.module.code
    for node in code.ancestors(site.call):
        if isinstance(node, ast.AsyncWith) and any(_kinds(item, own) for item in node.items):
            return _of_with(site, node, own)
        if node is site.function:
            break
    assert site.function
    for node in ast.walk(site.function):
        if isinstance(node, ast.Assign) and "session" in own.kinds(called(node.value)):
            return _of_session(site, node)
    return None


def _kinds(item: ast.withitem, own: OwnMemory) -> tuple[str, ...]:
    return own.kinds(called(item.context_expr))


def _of_with(site: Site, node: ast.AsyncWith, own: OwnMemory) -> Opened:
    kinds: dict[str, str] = {}
    for item in node.items:
        target = item.optional_vars
        opened = _kinds(item, own)
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if not opened or not all(isinstance(name, ast.Name) for name in names):
            raise CantWireError(_where(site, node), "it opens more than a memory")
        for name in names:
            assert isinstance(name, ast.Name)
            kinds[name.id] = opened[0] if len(opened) == 1 else _kind_of(name.id)
    if "" in kinds.values() or "session" in kinds.values():
        text = f"it can't be seen which is which of {', '.join(kinds)}"
        raise CantWireError(_where(site, node), text)
    return Opened(node, kinds, list(_uses(node, kinds)))


def _kind_of(name: str) -> str:
    if "store" in name:
        return "store"
    return "checkpointer" if "check" in name or "saver" in name else ""


def _of_session(site: Site, node: ast.Assign) -> Opened:
    [target, *others] = node.targets
    if others or not isinstance(target, ast.Name) or not is_alone(site.module.code, node):
        raise CantWireError(_where(site, node), "a session in no variable of its own")
    assert site.function
    opened = Opened(node, {target.id: "session"}, list(_uses(site.function, {target.id: ""})))
    for use in opened.uses:
        parent = site.module.code.parents.get(use)
        if isinstance(parent, ast.Attribute) and parent.attr not in SESSION:
            raise CantWireError(_where(site, use), f"a memory's session has no {parent.attr}")
    return opened


def _uses(tree: ast.AST, names: dict[str, str]) -> Iterator[ast.Name]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
            yield node


def _where(site: Site, node: ast.stmt | ast.expr) -> str:
    return f"{site.module.path}:{node.lineno}"


def setup_edits(site: Site, opened: Opened, turn: str) -> list[Edit]:
    """Return edits in `async with`: its values are those of the turn, which are set up."""
    code = site.module.code
    setups = [node for node in ast.walk(opened.statement) if _sets_up(node, opened)]
    gone = {id(use) for node in setups for use in ast.walk(node)}
    used = [n for n in opened.kinds if any(u.id == n and id(u) not in gone for u in opened.uses)]
    edits = [without_statement(code, node) for node in setups if isinstance(node, ast.stmt)]
    if used:
        body = opened.statement.body  # type: ignore[union-attr]
        values = ", ".join(f"{turn}.{opened.kinds[name]}" for name in used)
        line = f"{code.indent(body[0].lineno)}{', '.join(used)} = {values}\n"
        start = code.line(body[0].lineno)
        edits.insert(0, Edit(start, start, line))
    return edits


def _sets_up(node: ast.AST, opened: Opened) -> bool:
    """Return whether a statement is `await checkpointer.setup()`."""
    call = called(node.value) if isinstance(node, ast.Expr) else None
    function = call.func if isinstance(call, ast.Call) else None
    if not isinstance(function, ast.Attribute) or function.attr != "setup":
        return False
    return isinstance(function.value, ast.Name) and function.value.id in opened.kinds


def replaced_lines(opened: Opened) -> set[int]:
    """Return the numbers of the lines that `session_edits` replaces or deletes."""
    statement = opened.statement
    assert statement.end_lineno
    return set(range(statement.lineno + 1, statement.end_lineno + 1))


def session_edits(site: Site, opened: Opened, turn: str) -> list[Edit]:
    """Return edits that use the turn's session in place of the owner's, and the turn's own id.

    The assignment stays in its place, where its line is indented, or leaves an empty one.
    """
    code, rest = site.module.code, 0
    edits = []
    for use in opened.uses:
        parent = code.parents.get(use)
        if isinstance(parent, ast.Attribute) and parent.attr == "session_id":
            edits.append(Edit(code.start(parent), code.end(parent), f"{turn}.thread_id"))
        elif not (isinstance(parent, ast.keyword) and code.parents.get(parent) is site.call):
            rest += 1
    statement = opened.statement
    text = f"{next(iter(opened.kinds))} = {turn}.session" if rest else ""
    return [*edits, Edit(code.start(statement), code.end(statement), text)]
