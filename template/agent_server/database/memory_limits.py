"""What may be saved as a memory, and searched for: not too much, and not nothing."""

from langgraph.store.base import ListNamespacesOp, Op, PutOp, SearchOp

from agent_server.errors import bad_request
from agent_server.identity import MEMORIES
from agent_server.settings import limit


def owner_of(op: Op) -> str:
    """Return the namespace of the user whose memories an operation is about; empty if it is not.

    Namespaces of other kinds have no limits.
    """
    if isinstance(op, ListNamespacesOp):
        return ""
    place = op.namespace_prefix if isinstance(op, SearchOp) else op.namespace
    return ".".join(place[:2]) if place[:1] == (MEMORIES,) else ""


def check_text(op: Op) -> None:
    """Raise ApiError when a memory or a query is too long, or a memory is empty."""
    if isinstance(op, PutOp) and op.value is not None and owner_of(op):
        memory = " ".join(str(value) for value in op.value.values())
        _check("memory_key", op.key, limit("MEMORY_KEY_CHARACTERS"))
        _check("memory", memory, limit("MEMORY_CHARACTERS"))
    elif isinstance(op, SearchOp) and owner_of(op) and (op.query or "").strip():
        _check("query", op.query or "", limit("MEMORY_CHARACTERS"))


def _check(name: str, text: str, most: int) -> None:
    if not text.strip():
        raise bad_request(f"{name} is empty.")
    if len(text) > most:
        text = f"{name} has {len(text)} characters, and may have {most}. Choose a shorter one."
        raise bad_request(text)
