"""Who asks, and in which thread: the arguments of `open_turn`, in terms of the owner's code."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from lakebase_agent.adopt.code.reading.calls import Function, Site
from lakebase_agent.adopt.code.reading.names import last_name
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory
from lakebase_agent.adopt.code.reading.problems import CantWireError

THREADS = ("thread_id", "session_id", "conversation_id", "chat_id", "thread")
HEADERS = "get_request_headers"
THREAD_ID_OF = "thread_id_of"
NO_REQUEST = "no request is there to say who asks: give the function `request: Request`"
NO_THREAD = "it can't be seen which thread a request is about: assign it to `thread_id` first"


@dataclass(frozen=True)
class Asked:
    """The arguments of `open_turn`, and what they need to be imported."""

    headers: str
    thread: str

    @property
    def arguments(self) -> str:
        """Both, as code."""
        return f"{self.headers}, {self.thread}"

    @property
    def names(self) -> set[str]:
        """The functions that they call."""
        return {name for name in (HEADERS, THREAD_ID_OF) if f"{name}(" in self.arguments}


def asked_in(site: Site, own: OwnMemory, mlflow: bool, line: int) -> Asked:
    """Return how to open a turn at a line before a run.

    Raises CantWireError if it can't be seen who asks, or in which thread.
    """
    functions = [site.function] if site.function else []
    functions += [n for n in site.module.code.ancestors(functions[0]) if isinstance(n, Function)]
    request = next(_requests(functions), "")
    if not request:
        raise CantWireError(site.where, NO_REQUEST)
    thread = _own_thread(site, functions, own, line) or _named_thread(functions, line)
    if mlflow:
        return Asked(f"{HEADERS}()", _own_thread(site, functions, own, line) or thread_of(request))
    if not thread:
        raise CantWireError(site.where, NO_THREAD)
    return Asked(f"{request}.headers", thread)


def thread_of(request: str) -> str:
    """Return the code that reads the thread of a Responses API request."""
    return f"{THREAD_ID_OF}({request})"


def _requests(functions: list[Function]) -> Iterator[str]:
    """Yield the parameters that hold a request."""
    for function in functions:
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            kind = last_name(argument.annotation) if argument.annotation else ""
            if kind.endswith("Request") or argument.arg == "request":
                yield argument.arg


def _own_thread(site: Site, functions: list[Function], own: OwnMemory, line: int) -> str:
    """Return what the owner's own memory knows the thread by; empty if that can't be seen."""
    for value in _thread_values(functions[0], own):
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        if all(_is_assigned(name, functions, line) for name in names) and names:
            return site.module.code.of(value)
    return ""


def _thread_values(function: Function, own: OwnMemory) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and "session" in own.kinds(node):
            yield from (word.value for word in node.keywords if word.arg == "session_id")
            yield from node.args[:1]
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "thread_id":
                    yield value


def _named_thread(functions: list[Function], line: int) -> str:
    return next((name for name in THREADS if _is_assigned(name, functions, line)), "")


def _is_assigned(name: str, functions: list[Function], line: int) -> bool:
    """Return whether a name has a value before a line, in a function or in those around it."""
    for function in functions:
        if any(node.arg == name for node in ast.walk(function.args) if isinstance(node, ast.arg)):
            return True
        for node in ast.walk(function):
            stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if stored and node.id == name and node.lineno < line:  # type: ignore[attr-defined]
                return True
    return False
