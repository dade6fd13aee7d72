"""Answers that keep to no specification, as endpoints and gateways were seen to give them.

Whole, each is an ordinary answer; it is the stream that is odd.
"""

import json
from typing import Any

from tests.standins.answers import HEAD, Answer, Call

DONE = "data: [DONE]\n\n"
SAID = "Hello Ada."
ECHO = '{"text": "one"}'


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _raw(**chunk: Any) -> str:
    return f"data: {json.dumps({**HEAD, 'object': 'chat.completion.chunk', **chunk})}\n\n"


def _answer(*chunks: Any) -> Answer:
    return Answer(SAID, chunks=chunks)


def _call(arguments: Any = None, **more: Any) -> dict[str, Any]:
    function = {"name": more.pop("name", None), "arguments": arguments}
    return {"type": "function", "function": function, **more}


HELLO, ADA = _delta(role="assistant", content="Hello "), _delta(content="Ada.")
STOP = _delta("stop")

# That say "Hello Ada.".
ODD = {
    # Azure, "Content streaming": what a filter found comes before the first choice.
    "a chunk without choices first": _answer(
        _raw(choices=[], prompt_filter_results=[{"prompt_index": 0}]), HELLO, ADA, STOP, DONE
    ),
    # OpenAI's API reference, `stream_options`: a last chunk with the usage alone.
    "usage alone": _answer(
        HELLO,
        ADA,
        STOP,
        _raw(choices=[], usage={"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}),
        DONE,
    ),
    # bagofwords pull request 742: Azure's packets of annotations have no delta.
    "no delta": _answer(HELLO, {"index": 0, "delta": None, "finish_reason": None}, ADA, STOP, DONE),
    "choices that are null": _answer(HELLO, _raw(choices=None), ADA, STOP, DONE),
    "no choices at all": _answer(HELLO, _raw(), ADA, STOP, DONE),
    "no finish reason": _answer(HELLO, ADA, DONE),
    "no end": _answer(HELLO, ADA, STOP),
    "an unknown finish reason": _answer(HELLO, ADA, _delta("eos_token"), DONE),
    # The specification of server-sent events: a comment keeps a connection open.
    "heartbeats": _answer(": OPENROUTER PROCESSING\n\n", HELLO, ": ping\n\n", ADA, STOP, DONE),
    "pings": _answer('event: ping\ndata: {"type": "ping"}\n\n', HELLO, ADA, STOP, DONE),
    "the role in every piece": _answer(
        HELLO, _delta(role="assistant", content="Ada."), _delta("stop", role="assistant"), DONE
    ),
    "null in every field": _answer(
        *(
            _delta(
                role="assistant", content=text, tool_calls=None, refusal=None, function_call=None
            )
            for text in ("Hello ", "Ada.", None)
        ),
        STOP,
        DONE,
    ),
    "Windows lines": _answer(
        *(_raw(choices=[one]).replace("\n", "\r\n") for one in (HELLO, ADA, STOP)), DONE
    ),
}

ONE, TWO = Call("echo", ECHO, "a"), Call("echo", '{"text": "two"}', "b")


def _calls(*pieces: dict[str, Any] | list[dict[str, Any]], finish: str = "tool_calls") -> Answer:
    several = [piece if isinstance(piece, list) else [piece] for piece in pieces]
    chunks = [_delta(tool_calls=calls) for calls in several]
    return Answer(None, (ONE, TWO), chunks=(*chunks, _delta(finish), DONE))


# That call `echo` with "one", then with "two".
ODD_CALLS = {
    # Gateways to Gemini: gcli2api pull request 406, omnigent pull request 28.
    "all at the first place": _calls(
        _call(ECHO, index=0, id="a", name="echo"),
        _call(TWO.arguments, index=0, id="b", name="echo"),
    ),
    # agno pull request 8880: deepseek behind a gateway.
    "begun at the first place, continued at its own": _calls(
        _call(ECHO, index=0, id="a", name="echo"),
        _call("", index=0, id="b", name="echo"),
        _call(TWO.arguments, index=1),
    ),
    # new-api pull request 672.
    "no places": _calls(
        _call(ECHO, id="a", name="echo"), _call(TWO.arguments, id="b", name="echo")
    ),
    "no places, in pieces": _calls(
        _call("", id="a", name="echo"),
        _call('{"text"'),
        _call(': "one"}'),
        _call("", id="b", name="echo"),
        _call(TWO.arguments),
    ),
    "both in one piece": _calls(
        [
            _call(ECHO, index=0, id="a", name="echo"),
            _call(TWO.arguments, index=1, id="b", name="echo"),
        ]
    ),
    # MiniMax at NVIDIA: hermes-agent issue 8259, langchain issue 40044.
    "the name in every piece": _calls(
        _call('{"text"', index=0, id="a", name="echo"),
        _call(': "one"}', index=0, id="a", name="echo"),
        _call(TWO.arguments, index=1, id="b", name="echo"),
    ),
    # Gemini: continue pull request 5849.
    "the name in pieces": _calls(
        _call("", index=0, id="a", name="ec"),
        _call("", index=0, name="ho"),
        _call(ECHO, index=0),
        _call("", index=1, id="b", name="e"),
        _call(TWO.arguments, index=1, id="b", name="cho"),
    ),
    "the name in pieces, without places": _calls(
        _call("", id="a", name="ec"),
        _call(ECHO, id="a", name="ho"),
        _call("", id="b", name="echo"),
        _call(TWO.arguments),
    ),
    "an empty name later": _calls(
        _call("", index=0, id="a", name="echo"),
        _call(ECHO, index=0, id="", name=""),
        _call(TWO.arguments, index=1, id="b", name="echo"),
    ),
    # llama.cpp issue 20198, text-generation-inference issue 2461.
    "arguments that are objects": _calls(
        _call({"text": "one"}, index=0, id="a", name="echo"),
        _call({"text": "two"}, index=1, id="b", name="echo"),
    ),
    # Anthropic's and Gemini's words, which gateways hand on.
    "another finish reason": _calls(
        _call(ECHO, index=0, id="a", name="echo"),
        _call(TWO.arguments, index=1, id="b", name="echo"),
        finish="tool_use",
    ),
    "the finish reason of a text": _calls(
        _call(ECHO, index=0, id="a", name="echo"),
        _call(TWO.arguments, index=1, id="b", name="echo"),
        finish="stop",
    ),
}

# That break off.
BROKEN = {
    # After status 200: goose pull request 8027, litellm issue 40578.
    "an error": _answer(HELLO, 'data: {"error": {"message": "secret", "code": 502}}\n\n'),
    "an error event": _answer(HELLO, 'event: error\ndata: {"error": {"message": "secret"}}\n\n'),
    # Databricks's REST API: its errors have the fields `error_code` and `message`.
    "Databricks's error": _answer(
        HELLO, 'data: {"error_code": "INTERNAL_ERROR", "message": "secret"}\n\n'
    ),
    "vLLM's error": _answer(
        HELLO, 'data: {"object": "error", "message": "secret", "code": 500}\n\n', DONE
    ),
    "no JSON": _answer(HELLO, "data: {secret\n\n"),
    "no object": _answer(HELLO, "data: 7\n\n"),
    "no UTF-8": _answer(HELLO, "data: \udcff\n\n"),
    "nothing at all": _answer(DONE),
}
