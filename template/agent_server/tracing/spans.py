"""The spans of a turn's trace: what it was asked and answered, its models and its tools.

They are made by MLflow's own functions, so that what the agent's owner traces is among them. Of a
prompt, a span has what is new in it, unless TRACE_PROMPTS is "true".
"""

from contextlib import AbstractContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from agent_server.database.text import shortened
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.items import Message
from agent_server.responses.requests import Turn
from agent_server.responses.task import RunTurn
from agent_server.settings import limit, setting

# What MLflow's pages show besides inputs and outputs, by its documented names.
SESSION, USER = "mlflow.trace.session", "mlflow.trace.user"
USAGE, MODEL = "mlflow.chat.tokenUsage", "mlflow.llm.model"

# Those of the turn that is running, if it is traced, that have not ended.
_open_spans: ContextVar["set[Span] | None"] = ContextVar("open_spans", default=None)


@dataclass(frozen=True)
class Tokens:
    """What a call of a model used."""

    input: int
    output: int
    cached: int = 0  # of the input

    def to_json(self) -> dict[str, int]:
        """Return them as MLflow has them."""
        both = {"input_tokens": self.input, "output_tokens": self.output}
        return {
            **both, "total_tokens": self.input + self.output, "cache_read_input_tokens": self.cached
        }  # fmt: skip


class Span:
    """A span that has begun. With `opened`, what the current context runs is inside it."""

    def __init__(self, span: Any, opened: AbstractContextManager[Any] | None = None) -> None:
        self._span, self._opened = span, opened

    def note_inputs(self, inputs: Any) -> None:
        """Note what it was given."""
        self._span.set_inputs(_bounded(inputs))

    def note_model(self, name: str, tokens: Tokens | None) -> None:
        """Note which model it is, and what it used."""
        self._span.set_attribute(MODEL, name)
        if tokens:
            self._span.set_attribute(USAGE, tokens.to_json())

    def fail(self, error: BaseException) -> None:
        """End it with why nothing came out."""
        self._span.record_exception(error)
        self._end()

    def end(self, outputs: Any) -> None:
        """End it with what came out."""
        self._span.set_outputs(_bounded(outputs))
        self._end()

    def _end(self) -> None:
        (_open_spans.get() or set()).discard(self)
        if self._opened:
            self._opened.__exit__(None, None, None)
        else:
            self._span.end()


def traced(run_turn: RunTurn) -> RunTurn:
    """Return what runs turns as `run_turn` does, each in a trace of its own."""
    import mlflow

    async def run(turn: Turn, response: ResponseBuilder) -> None:
        with mlflow.start_span("turn", "AGENT") as span:
            if not mlflow.get_current_active_span():  # MLFLOW_TRACE_SAMPLING_RATIO left it out
                return await run_turn(turn, response)
            response.note(trace_id=span.trace_id)
            mlflow.update_current_trace(metadata={SESSION: turn.thread_id, USER: turn.user.id})
            span.set_inputs({"input": _bounded(_asked(turn))})
            unended: set[Span] = set()
            before = _open_spans.set(unended)
            try:
                await run_turn(turn, response)
            finally:
                _open_spans.reset(before)
                for one in list(unended):  # or MLflow would wait for it
                    one.fail(InterruptedError("The turn ended before this."))
                span.set_outputs({"output": _bounded(_answered(response))})

    return run


def is_traced() -> bool:
    """Return whether the code that asks runs in a traced turn."""
    return _open_spans.get() is not None


def open_model() -> Span | None:
    """Begin the call of a model; None if the turn is not traced."""
    return _open("model", "CHAT_MODEL", around=False)


def open_tool(name: str) -> Span | None:
    """Begin the call of a tool, which contains what its code traces."""
    return _open(name, "TOOL", around=True)


def whole_prompts() -> bool:
    """Return whether a model's span has its whole prompt."""
    return setting("TRACE_PROMPTS") == "true"


def _open(name: str, kind: str, around: bool) -> Span | None:
    import mlflow

    unended, parent = _open_spans.get(), mlflow.get_current_active_span()
    if unended is None or not parent:
        return None
    if around:
        opened = mlflow.start_span(name, kind)
        span = Span(opened.__enter__(), opened)
    else:
        span = Span(mlflow.start_span_no_context(name, kind, parent))
    unended.add(span)
    return span


def _asked(turn: Turn) -> list[Any]:
    """Return the last question: clients may send all that came before it."""
    asked = [item for item in turn.items if isinstance(item, Message) and item.role == "user"]
    return [{"type": "message", "role": "user", "content": item.text} for item in asked[-1:]]


def _answered(response: ResponseBuilder) -> list[Any]:
    # The tools have spans of their own.
    return [item for item in response.body["output"] if item["type"] == "message"]


def _bounded(value: Any) -> Any:
    """Return `value` with its texts cut off at TRACE_TEXT_BYTES."""
    match value:
        case str():
            return shortened(value, limit("TRACE_TEXT_BYTES"))
        case dict():
            return {key: _bounded(one) for key, one in value.items()}
        case list() | tuple():
            return [_bounded(one) for one in value]
    return value
