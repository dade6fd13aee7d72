"""A conversation in which anything may happen, beside what its thread must hold.

However a question is asked, fails, is asked again, resent, edited or broken off: the model is sent
each question that was answered, once and in order, with what its answer said. One that was not
answered it may be sent, at most once. And the next turn works.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.strategies import booleans, integers, sampled_from

from tests.standins import answers
from tests.standins.answers import Answer, Call
from tests.standins.model import StandinModel
from tests.support.project import Server
from tests.support.ways import ADA, EVENTS, Body, in_background, in_chat, streamed, whole

NO_RETRY = {"x-should-retry": "false"}  # OpenAI's client would wait, and ask again
CALL = Call("echo", '{"text": "heard"}', "call_1")
BEGINNING = "Well."  # with a call


@dataclass(frozen=True)
class Script:
    """What the model answers in a turn, call by call, and what it says in all."""

    answers: Sequence[Answer]
    said: list[str] = field(default_factory=list)
    calls: int = 0  # of tools
    kept: bool = True  # whether the question may stay in the thread, if this is a failure


def answered(text: str) -> dict[str, Script]:
    """Return the turns that end with this answer."""
    return {
        "text": Script([Answer(text)], [text]),
        "pieces": Script([Answer((text[:2], text[2:]))], [text]),
        "lists": Script([answers.gpt_oss("I ponder.", text)], [text]),
        "list, text": Script([answers.list_and_string("I ponder.", text)], [text]),
        "reasoning": Script([answers.reasoning_field("I ponder.", text)], [text]),
        "refusal": Script([answers.refusal(text)], [text]),
        "cut off": Script([answers.cut_off(text)], [text]),
        "filtered": Script([answers.filtered(text)], [text]),
        "call": Script([Answer(BEGINNING, (CALL,)), Answer(text)], [BEGINNING, text], 1),
        "calls": Script([Answer(None, (CALL, CALL)), Answer(text)], [text], 2),
        "steps": Script([Answer(None, (CALL,)), Answer(None, (CALL,)), Answer(text)], [text], 2),
        "no tool": Script([Answer(None, (Call("nothing"),)), Answer(text)], [text], 1),
        "no JSON": Script([Answer(None, (Call("echo", "{"),)), Answer(text)], [text], 1),
    }


BROKEN = Answer(status=500, body={"error": {"message": "secret"}}, headers=NO_RETRY)
FAILED = {
    "broken": Script([BROKEN]),
    "busy": Script([Answer(status=429, body={"message": "busy"}, headers=NO_RETRY)]),
    "web page": Script([answers.web_page()]),
    "empty": Script([Answer("")]),
    "broken after a call": Script([Answer(BEGINNING, (CALL,)), BROKEN]),
    "refused": Script([Answer(status=400, body={"error": {"message": "no"}})], kept=False),
    "refused after a call": Script(
        [Answer(BEGINNING, (CALL,)), Answer(status=400, body={"error": {"message": "no"}})],
        kept=False,
    ),
    "prompt filtered": Script([answers.prompt_filtered()], kept=False),
    "answer filtered": Script([answers.filtered()], kept=False),
}
QUESTIONS = sampled_from(["yes", "hello", ""])  # or one that is asked only once
ANSWERS = sampled_from(["Fine.", ""])
SHAPES = sampled_from([*answered("")])
FAILURES = sampled_from([*FAILED])


@dataclass(frozen=True, eq=False)
class Asked:
    """A question, and what its answer said."""

    question: str
    said: list[str] | None = None  # if it was answered
    held: bool = False  # for certain; one that was not answered may be, once
    shown: bool = True  # by the client, which asks again in place of what failed
    cut_off: bool = False  # so that an attempt to replace it may, even if that fails


class Talk(RuleBasedStateMachine):
    """One thread, and all that may happen to it, in any order."""

    server: Server
    model: StandinModel

    def __init__(self) -> None:
        super().__init__()
        self.thread, self.turns, self.in_chats = str(uuid4()), list[Asked](), False

    @initialize(in_chats=booleans())
    def begin(self, in_chats: bool) -> None:
        self.in_chats = in_chats

    @rule(question=QUESTIONS, shape=SHAPES, text=ANSWERS, way=integers(0, 2))
    def ask(self, question: str, shape: str, text: str, way: int) -> None:
        self._answer([*self.turns], [question or unique()], _script(shape, text), way)

    @rule(question=QUESTIONS, failure=FAILURES, way=integers(0, 2))
    def fail(self, question: str, failure: str, way: int) -> None:
        asked = question or unique()
        self._fail(asked, failure, way)
        if FAILED[failure].kept or self.in_chats:  # whose page shows it in any case
            self.turns.append(Asked(asked))

    @precondition(lambda self: self.turns and not self.turns[-1].held)
    @rule(shape=SHAPES, text=ANSWERS, way=integers(0, 2))
    def retry(self, shape: str, text: str, way: int) -> None:
        before = [*self.turns[:-1], replace(self.turns[-1], shown=False)]
        self._answer(before, [self.turns[-1].question], _script(shape, text), way)

    @precondition(lambda self: self.turns and not self.in_chats)
    @rule(question=QUESTIONS, shape=SHAPES, text=ANSWERS, way=integers(0, 2), last=integers(1, 9))
    def resend(self, question: str, shape: str, text: str, way: int, last: int) -> None:
        """Ask with the history, or its last turns, as the client has it."""
        known = [turn for turn in self.turns[-last:] if turn.shown]
        sent = [item for turn in known for item in _items(turn)]
        before = [replace(t, held=True) if t in known else t for t in self.turns]
        asked = question or unique()
        self._answer(before, [*sent, _user(asked)], _script(shape, text), way)

    @precondition(lambda self: self._can_replace())
    @rule(shape=SHAPES, text=ANSWERS, failure=sampled_from([*FAILED, *[""] * 9]))
    def regenerate(self, shape: str, text: str, failure: str) -> None:
        failure = "" if self.turns[-1].cut_off else failure
        question, again = self.turns[-1].question, {"trigger": "regenerate-message"}
        if failure:
            self._fail(question, failure, 0, **again)
        else:
            self._answer(self.turns[:-1], [question], _script(shape, text), 0, **again)

    @precondition(lambda self: self._can_replace())
    @rule(
        question=QUESTIONS, shape=SHAPES, text=ANSWERS, failure=sampled_from([*FAILED, *[""] * 9])
    )
    def edit(self, question: str, shape: str, text: str, failure: str) -> None:
        failure = "" if self.turns[-1].cut_off else failure
        replaces, asked = {"replaces": self._last_id()}, question or unique()
        if failure:
            self._fail(asked, failure, 0, **replaces)
        else:
            self._answer(self.turns[:-1], [asked], _script(shape, text), 0, **replaces)

    @rule(words=integers(10, 40), pieces=integers(1, 8))
    def break_off(self, words: int, pieces: int) -> None:
        """Read the beginning of an answer, and hang up; in a chat, the answer goes on."""
        question = f"/repeat {words} every {2 + len(self.turns)} ms"  # not asked before
        body, path = {"input": question, "stream": True}, "/responses"
        place: Body = {"custom_inputs": {"thread_id": self.thread}}
        if self.in_chats:
            body, path, place = {"message": question}, "/api/chat", {"chatId": self.thread}
        with self.server.http.stream("POST", path, json={**body, **place}, headers=EVENTS) as told:
            assert told.status_code == 200
            for number, line in enumerate(told.iter_lines()):
                if number > 3 * pieces or line == "data: [DONE]":
                    break
        self._messages()  # in a chat, another question is a 409 until this one is answered
        said = " ".join(f"word{number}" for number in range(1, words + 1))
        self.turns.append(Asked(question, [said] if self.in_chats else None, self.in_chats))

    def teardown(self) -> None:
        """Look at what the chat's page shows."""
        if self.in_chats and self.turns:
            shown = [(m["role"], m["content"]) for m in self._messages()]
            said = [_flat(turn) for turn in self.turns if turn.held and not turn.cut_off]
            assert _is_within([pair for pairs in said for pair in pairs], shown), (said, shown)

    def _can_replace(self) -> bool:
        """Return whether the last question of a chat is told from those before it by its text."""
        *before, last = self.turns or [Asked("")]
        known = last.held or last.question not in [turn.question for turn in before]
        return bool(self.turns) and self.in_chats and known

    def _answer(
        self, before: list[Asked], sent: list[Any], script: Script, way: int, **more: Any
    ) -> None:
        body = self._turn(sent, script, way, **more)
        question = sent[-1] if isinstance(sent[-1], str) else sent[-1]["content"]
        assert body["status"] in ("completed", "incomplete"), body
        told = [item["type"] for item in body["output"]]
        texts = [_text(item) for item in body["output"] if item["type"] == "message"]
        assert (texts, told.count("function_call")) == (script.said, script.calls), body
        history = self._history(question)
        expected = [*before, Asked(question, None, True)]
        assert _fits(history, expected), f"{history}\nis not\n{expected}"
        cut_off = body["status"] == "incomplete"
        self.turns = [*before, Asked(question, script.said, True, cut_off=cut_off)]

    def _fail(self, question: str, failure: str, way: int, **more: Any) -> None:
        body = self._turn([question], FAILED[failure], way, **more)
        error = body.get("error")
        assert error and error["code"] not in ("internal_error", "thread_busy"), body

    def _turn(self, sent: list[Any], script: Script, way: int, **more: Any) -> Body:
        self.model.requests.clear()
        self.model.script = [*script.answers]
        asked = sent[0] if isinstance(sent[0], str) else sent
        if self.in_chats:
            return in_chat(self.server, asked, self.thread, **more)
        return [whole, streamed, in_background][way](self.server, asked, self.thread)

    def _history(self, question: str) -> list[Asked]:
        """Return what the model was sent first in this turn, without the prompt."""
        found: list[Asked] = []
        for message in json.loads(self.model.requests[0])["messages"]:
            text = _content(message)
            if message["role"] == "user":
                found.append(Asked(text, []))
            elif message["role"] == "assistant" and text:
                found[-1] = replace(found[-1], said=[*(found[-1].said or ()), text])
        return found

    def _messages(self) -> list[Body]:
        path = f"/api/chats/{self.thread}/messages"
        found = self.server.http.get(path, params={"limit": 200}, headers=ADA)
        while "X-Response-Id" in found.headers:  # one is still being written
            time.sleep(0.02)
            found = self.server.http.get(path, params={"limit": 200}, headers=ADA)
        return list(found.json()) if found.status_code == 200 else []

    def _last_id(self) -> str:
        return str([m["id"] for m in self._messages() if m["role"] == "user"][-1])


def unique() -> str:
    """Return a question that nobody has asked."""
    return f"Question {uuid4().hex[:8]}?"


def _script(shape: str, text: str) -> Script:
    return answered(text or f"Answer {uuid4().hex[:8]}.")[shape]


def _user(text: str) -> Body:
    return {"role": "user", "content": text}


def _items(turn: Asked) -> list[Body]:
    return [
        _user(turn.question),
        *({"role": "assistant", "content": text} for text in turn.said or ()),
    ]


def _flat(turn: Asked) -> list[tuple[str, str]]:
    return [("user", turn.question), *(("assistant", text) for text in (turn.said or ())[-1:])]


def _text(item: Body) -> str:
    return "".join(part["text"] for part in item["content"])


def _content(message: Body) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(p.get("text", "") for p in content)


def _fits(history: Sequence[Asked], turns: Sequence[Asked]) -> bool:
    """Return whether a history has all turns that are held, and only such as were asked."""
    if not turns:
        return not history
    turn, rest = turns[0], turns[1:]
    same = bool(history) and history[0].question == turn.question
    if same and turn.said is not None:
        same = _without_beginning(history[0]) == _without_beginning(turn)
    if same and _fits(history[1:], rest):
        return True
    return not turn.held and _fits(history, rest)


def _without_beginning(turn: Asked) -> list[str]:
    """Return what was said but for what a call came with: an attempt that failed may have, too."""
    said = [*(turn.said or ())]
    return [text for text in said if text != BEGINNING]


def _is_within(few: Sequence[Any], many: Sequence[Any]) -> bool:
    rest = iter(many)
    return all(one in rest for one in few)
