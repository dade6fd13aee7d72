"""Who asks, and in which thread: the arguments of `open_turn`, in terms of the owner's code."""

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lakebase_agent.adopt.code.reading.modules import Function, Module, Site
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory
from lakebase_agent.adopt.code.reading.problems import CantWireError

THREADS = ("thread_id", "session_id", "conversation_id", "chat_id", "thread")
# The classes of requests with headers, and of requests to MLflow's server.
HTTP = r"(fastapi|starlette)\..*\b(Request|WebSocket|HTTPConnection)"
MLFLOW = r"mlflow\..*Request"
ANY = "typing.Any"
BUILT_IN = set(dir(builtins))
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
    thread = _own_thread(site, functions, own, line)
    of_http = _parameter(site.module, functions, HTTP, "" if mlflow else "request")
    of_mlflow = _parameter(site.module, functions, MLFLOW, "request") if mlflow else ""
    if of_mlflow and not of_http:
        return Asked(f"{HEADERS}()", thread or thread_of(of_mlflow))
    if not of_http:
        raise CantWireError(site.where, NO_REQUEST)
    thread = thread or _named_thread(functions, line)
    if not thread:
        raise CantWireError(site.where, NO_THREAD)
    return Asked(f"{of_http}.headers", thread)


def thread_of(request: str) -> str:
    """Return the code that reads the thread of a Responses API request."""
    return f"{THREAD_ID_OF}({request})"


def _parameter(module: Module, functions: list[Function], origin: str, untyped: str) -> str:
    """Return the parameter that holds a request of a kind; empty if there is none.

    Without an annotation, or with `Any`, it is the one called `untyped`.
    """
    for function in functions:
        arguments = function.args
        for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
            kind = _kind(module, argument.annotation) if argument.annotation else ANY
            if re.fullmatch(origin, kind) or (kind == ANY and argument.arg == untyped):
                return argument.arg
    return ""


def _kind(module: Module, annotation: ast.expr) -> str:
    """Return the class that an annotation names, quoted or not, where it is defined."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return module.origins.get(annotation.value, "")
    return module.origin(annotation)


def _own_thread(site: Site, functions: list[Function], own: OwnMemory, line: int) -> str:
    """Return what the owner's own memory knows the thread by; empty if that can't be seen."""
    for value in _thread_values(functions[0], own):
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)} - BUILT_IN
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
