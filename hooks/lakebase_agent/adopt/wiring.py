"""The lines that connect an agent to its memory, in terms of its owner's own code."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lakebase_agent.adopt.bundle.apps import App
from lakebase_agent.adopt.code.check import unmet
from lakebase_agent.adopt.code.edits.builds import build_edits, takes_tools
from lakebase_agent.adopt.code.edits.runs import method_of, own_context, run_edits
from lakebase_agent.adopt.code.reading.calls import find_calls
from lakebase_agent.adopt.code.reading.modules import Module, Site, read_modules
from lakebase_agent.adopt.code.reading.own_memory import OwnMemory, find_own_memory
from lakebase_agent.adopt.code.reading.problems import CantWireError
from lakebase_agent.adopt.code.shown import WIDTH, edited_call, in_block, to_lines
from lakebase_agent.adopt.existing_agent import ExistingAgent
from lakebase_agent.adopt.next_steps import next_steps
from lakebase_agent.adopt.place import Place
from lakebase_agent.project.sources import source_of

# Shown if the agent's own calls are not found.
BUILD_EXAMPLES = {
    "langgraph": "create_agent(model, tools=tools)",
    "openai": "Agent(name='Agent', tools=tools)",
}
RUN_EXAMPLES = {
    "langgraph": "await agent.ainvoke(messages)",
    "openai": "await Runner.run(agent, items)",
}
WIRED = "To let this be done for you, commit, and run: lakebase-agent adopt --wire"
FIRST = "What is below takes more than edits of its lines:"
BY_HAND = "Give memory_tools() to the model of your graph, and to its node of tools."
SYSTEM = "A system message in the input is left out: give the agent its prompt as it is built."


class Instructions:
    """What is left to do by hand, for one agent."""

    def __init__(
        self, agent: ExistingAgent, answers: Mapping[str, Any], place: Place, app: App | None
    ) -> None:
        self.agent, self.answers, self.place, self.app = agent, answers, place, app
        self.framework = str(answers["framework"])
        self.long_term = "long_term" in answers["memory"]
        modules = read_modules(agent)
        self.calls, self.own = find_calls(modules, self.framework), find_own_memory(modules)
        self.mlflow = any("mlflow.genai.agent_server" in source.imports for source in agent.sources)

    def lines(self, problems: Sequence[str]) -> list[str]:
        """Return them line by line, in at most 80 columns; `problems` are to be solved first."""
        first = [line for problem in problems for line in _folded_text(problem)]
        lines = [FIRST, "", *in_block(first), ""] if first else []
        lines += ["Now connect your agent. Import:", "", *in_block(self._imports())]
        lines += ["", "Around each turn:", ""]
        lines += in_block([f"async with open_turn({self._arguments()}) as turn:", "    ..."])
        lines += ["", *self._about_threads(), *about_own_memory(self.own)]
        for build in self.calls.builds or [_example(BUILD_EXAMPLES[self.framework])]:
            lines += self._about_building(build)
        for run in self.calls.runs or [_example(RUN_EXAMPLES[self.framework])]:
            lines += self._about_running(run)
        wire = [] if problems else [WIRED, ""]
        return [*lines, "", *wire, *next_steps(self.agent, self.answers, self.place, self.app)]

    def after_wiring(self) -> list[str]:
        """Return what is left to do when the agent is connected."""
        lines = ["Your agent is connected to its memory: look at `git diff`."]
        if not self.own.lines:
            lines += ["", *self._about_threads()]
        unused = [f"{path} {name}" for name, path in self.own.left_over()]
        if unused:
            lines += ["", "What nothing uses any more, for you to delete:", "", *in_block(unused)]
        if self.long_term and not any(takes_tools(site) for site in self.calls.builds):
            lines += ["", *_folded_text(BY_HAND)]
        lines += ["", *about_stored()] if self.own.lines else []
        return [*lines, "", *next_steps(self.agent, self.answers, self.place, self.app)]

    def unmet(self) -> list[str]:
        """Return what the packages that the project has installed lack of the calls."""
        tools = self.long_term
        return unmet(self.agent.folder, self.calls, self.framework, self.mlflow, tools)

    def _about_building(self, build: Site) -> list[str]:
        if not self.long_term:
            return []
        if not takes_tools(build):
            text = f"{build.where}: give memory_tools() to its model and to its node of tools."
            return ["", text]
        try:
            edits = build_edits(build)
        except CantWireError as error:
            return ["", *_folded_text(f"{error}. Add memory_tools() to its tools.")]
        code, call = build.module.code, build.call
        if any(not code.start(call) <= edit.start <= code.end(call) for edit in edits):
            return ["", *_folded_text(f"{build.where}: add *memory_tools() to its ToolNode.")]
        if not edits:
            return ["", f"{build.where}: its memory_tools() must be the ones imported above."]
        lines = to_lines(edited_call(code, call, edits))
        start = f"{build.where}: build" if build.module.source.path.name else "Build"
        return ["", f"{start} the agent with", "", *in_block(lines)]

    def _about_running(self, run: Site) -> list[str]:
        try:
            edits = run_edits(run, self.framework, "turn")
        except CantWireError as error:
            return ["", *_folded_text(f"{error}. Change that, and run this command again.")]
        lines = to_lines(edited_call(run.module.code, run.call, edits))
        start = f"{run.where}: run" if run.module.source.path.name else "Run"
        told = ["", f"{start} it in that block, with", "", *in_block(lines)]
        if method_of(run) == "run_streamed":
            told += ["", "and when its stream has been read, in that block:", ""]
            told += in_block(["await turn.save(result)"])
        if own_context(run):
            told += ["", "This replaces its own context: memory_tools() reads the one above."]
        if "SystemMessage" in run.module.code.text:
            told += ["", *_folded_text(SYSTEM)]
        return told

    def _about_threads(self) -> list[str]:
        if self.mlflow:
            new = "A request without custom_inputs.thread_id starts a new thread, turn.thread_id."
        else:
            new = "`request` is of HTTP. An empty `thread_id` starts a new thread, turn.thread_id."
        return [new, "Return that to the client, which sends it to continue the thread."]

    def _imports(self) -> list[str]:
        module = self.place.module
        lines = [f"from {module}.caller import thread_id_of"] if self.mlflow else []
        if self.long_term:
            lines.append(f"from {module}.memory import memory_tools")
        lines.append(f"from {module}.turn import open_turn")
        if self.mlflow:
            lines.append("from mlflow.genai.agent_server import get_request_headers")
        return lines

    def _arguments(self) -> str:
        if self.mlflow:
            return "get_request_headers(), thread_id_of(request)"
        return "request.headers, thread_id"


def about_own_memory(own: OwnMemory) -> Iterator[str]:
    """Yield what is to become of the memory that an agent has already; nothing if it has none."""
    if not own.lines:
        return
    yield ""
    yield "It has a memory of its own, which goes: two would not know of each other."
    yield ""
    yield from in_block(own.lines)
    yield ""
    yield from about_stored()


def about_stored() -> Iterator[str]:
    """Yield what becomes of what an agent's own memory has stored."""
    yield "What that stored stays in Postgres, but nobody sees it: now every thread and"
    yield "every fact belongs to a user, whom the platform names. To copy what says whose"
    yield "it is, and to be told what does not:"
    yield ""
    yield "    lakebase-agent adopt --import-memory"


def _example(text: str) -> Site:
    module = Module(source_of("", text), text)
    return Site(module, module.calls[0])


def _folded_text(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
