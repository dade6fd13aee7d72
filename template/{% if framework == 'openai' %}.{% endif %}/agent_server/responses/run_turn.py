"""Runs the agent for one turn, and emits its output to the response."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import agents

from agent_server import context
from agent_server.answers.agents import last_agent
from agent_server.answers.completions import Heard
from agent_server.answers.outcomes import end
from agent_server.answers.running import Run, build_run, run_agent
from agent_server.answers.telling import Teller
from agent_server.answers.traces import Traces
from agent_server.approvals.calls import Approvals, Pause, ask_for
from agent_server.approvals.pausing import (
    Result,
    may_pause,
    refused,
    to_calls,
    to_run,
    to_state,
)
from agent_server.context import Context
from agent_server.responses.builder import ResponseBuilder
from agent_server.responses.input import to_items
from agent_server.responses.requests import Turn
from agent_server.settings import SettingsError, has
from agent_server.threads.messages import clean, kept_and_new, plain, says, signed, stored_answer
from agent_server.threads.window import begin

Agent = agents.Agent[Context]
Store = context.Store
Items = list[agents.TResponseInputItem]
Made = Sequence[agents.items.RunItem]

# The SDK would send conversations to OpenAI.
agents.set_trace_processors([Traces()])


class OpenedThread(Protocol):
    """A session, which a turn has to itself (see `threads/store.py`)."""

    left_out: int  # items before those that were read
    agent: str  # that answered those, by its name, if it is not the first

    async def get_items(self) -> Items:
        """Return the newest whole turns of the session, oldest first."""

    async def add_items(
        self, items: Sequence[agents.TResponseInputItem], instead_of: int = 0, agent: str = ""
    ) -> None:
        """Replace the last `instead_of` items with `items`; `agent` is who answers after them."""


# Opens a thread for one turn: takes its key, and the id of the background response or "".
OpenThread = Callable[[str, str], AbstractAsyncContextManager[OpenedThread]]


@dataclass(frozen=True)
class Checked:
    """An agent that can run turns, and what is known of it."""

    agent: Agent
    may_pause: bool  # for approvals


def check_agent(agent: Agent) -> Checked:
    """Return the agent; raises SettingsError for what can't run turns."""
    if not isinstance(agent, agents.Agent):
        raise SettingsError(f"build_agent must return an Agent, not a {type(agent).__name__}.")
    checked = Checked(agent, may_pause(agent))
    if checked.may_pause and not has("short_term"):
        raise SettingsError("A tool that needs approval needs short_term memory: see README.md.")
    return checked


async def run_turn(
    checked: Checked,
    open_thread: OpenThread | None,
    store: Store | None,
    approvals: Approvals | None,
    turn: Turn,
    response: ResponseBuilder,
) -> None:
    """Run one turn, and emit the output of the model and the tools to `response` as it arrives.

    Raises ModelError, and whatever the model, the tools and the database raise.
    """
    opened = open_thread(turn.thread_key, turn.response_id) if open_thread else nullcontext()
    async with opened as thread:
        session = _Session(turn, thread, await thread.get_items() if thread else [], approvals)
        if stored := stored_answer(session.held, turn.response_id):
            _tell_again(stored, response)
        elif (pause := await session.decide()).undecided:
            ask_for(response, pause.undecided)
        else:
            noted, context = begin(), Context(turn.user, store)
            noted.before = session.left_out
            if pause.approvals:
                run = await _continue(checked.agent, session, pause, context, response)
            else:
                run = await _begin(checked, session, context, response)
            await _run_and_keep(run, session, response)
            response.note(**noted.told)
    response.complete()


@dataclass(frozen=True)
class _Session:
    """The session of a turn, as it is when the turn begins."""

    turn: Turn
    thread: OpenedThread | None
    held: Items  # of it, as far as they were read
    approvals: Approvals | None

    @property
    def left_out(self) -> int:
        """How many items are before those."""
        return self.thread.left_out if self.thread else 0

    def agent_after(self, first: Agent, items: Items) -> Agent:
        """Return the agent that answers after `items`, which begin as those that were read do."""
        return last_agent(first, items, self.thread.agent if self.thread else "")

    async def decide(self) -> Pause:
        """Return the run that this turn has answers for, if it has any."""
        if self.approvals and self.turn.approvals:
            return await self.approvals.decide(self.turn)
        return Pause()

    async def pause(self, result: Result, held: int) -> Pause:
        """Keep a run that waits for approvals, and whose session has `held` items by now."""
        if self.approvals is None:
            raise SettingsError("A tool that needs approval needs short_term memory.")
        state, calls = to_state(result, held), to_calls(result.interruptions)
        return await self.approvals.pause(self.turn, state, calls)


async def _begin(
    checked: Checked, session: _Session, context: Context, response: ResponseBuilder
) -> Run:
    """Return the run for what the turn asks."""
    turn, cut = session.turn, bool(session.left_out)
    replaced = to_items([turn.replaces.question]) if turn.replaces else []
    instead_of = turn.again, cut, replaced, turn.unfinished
    kept, new = kept_and_new(session.held, to_items(turn.items), *instead_of)
    if session.approvals and checked.may_pause and await session.approvals.dismiss(turn):
        new = [*refused(kept), *new]
    items = plain([*kept, *new])
    answers = session.agent_after(checked.agent, items)
    build = partial(Run, answers, items, answers=answers, kept=len(kept), new=new)
    return build_run(build, checked.agent, items, context, response)


async def _continue(
    agent: Agent, session: _Session, pause: Pause, context: Context, response: ResponseBuilder
) -> Run:
    """Return the run that waited for the turn's answers."""
    held = len(session.held)
    state, made = await to_run(agent, pause, context, session.left_out + held)
    answers = session.agent_after(agent, session.held)
    build = partial(Run, agent, state, answers=answers, kept=held, new=[], made=made)
    run = build_run(build, agent, [], context, response)
    for approval in pause.approvals:
        run.teller.expect(approval.call)
    return run


async def _run_and_keep(run: Run, session: _Session, response: ResponseBuilder) -> None:
    """Run the agent, and add what it makes to the session; ask for the approvals it waits for."""
    made, result = await run_agent(run, session.turn.stream, response)
    answer = [] if result else end(response, run.heard)
    # The whole turn at once: a turn that fails leaves nothing behind.
    said = [clean(item) for one in made[run.made :] if says(item := one.to_input_item())]
    added = [*run.new, *signed([*said, *answer], session.turn.response_id)]
    if session.thread:
        then = last_agent(run.answers, said)
        name = then.name if then is not run.answers else ""
        await session.thread.add_items(added, len(session.held) - run.kept, name)
    if session.approvals and session.turn.approvals:
        await session.approvals.finish(session.turn)
    if result:
        pause = await session.pause(result, session.left_out + run.kept + len(added))
        ask_for(response, pause.undecided)


def _tell_again(stored: Sequence[agents.TResponseInputItem], response: ResponseBuilder) -> None:
    teller = Teller(response, Heard(), holds=False)
    for item in stored:
        teller.tell(item)
    teller.tell_rest()
