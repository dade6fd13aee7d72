"""Judge the agent on evals/cases.toml: `uv run python -m evals.run`.

Offline it prints what passed. With MLFLOW_EXPERIMENT_ID set, the same cases run through
`mlflow.genai.evaluate`, which keeps the answers, the traces and the scores in that experiment.
"""

import asyncio
import os
import sys
import threading
import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Self
from uuid import uuid4

from mlflow.types.responses import ResponsesAgentRequest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent_server.settings import SettingsError, load_env_file
from local.offline import open_offline


class Case(BaseModel):
    """A conversation, and what its last answer must contain, unless that is still to do."""

    model_config = ConfigDict(extra="forbid")
    name: str
    questions: Annotated[list[str], Field(min_length=1)]
    expected: str = ""
    todo: bool = False

    @model_validator(mode="after")
    def _says_what_is_expected(self) -> Self:
        if bool(self.expected) == self.todo:
            raise ValueError("give it `expected`, or else `todo = true`")
        return self


class Cases(BaseModel):
    """The file of cases."""

    case: Annotated[list[Case], Field(min_length=1)]


def main() -> None:
    """Run every case; exit code 1 when one fails, 2 when the file of cases is malformed."""
    file = Path(__file__).parent / "cases.toml"
    try:
        load_env_file()
        cases = Cases.model_validate(tomllib.loads(file.read_text("utf-8"))).case
    except SettingsError as error:
        print(f"evals: {error}", file=sys.stderr)
        sys.exit(2)
    except (OSError, ValueError) as error:  # missing, not text, not TOML, or unknown keys
        print(f"{file.name}: {error}", file=sys.stderr)
        sys.exit(2)
    for unfinished in (case for case in cases if case.todo):
        print(f"todo  {unfinished.name}: say what its answer must contain")
    cases = [case for case in cases if not case.todo]
    with open_offline():
        evaluate = _evaluate_with_mlflow if os.environ.get("MLFLOW_EXPERIMENT_ID") else _evaluate
        sys.exit(0 if not cases or evaluate(cases) else 1)


def says(answer: str, expected: str) -> bool:
    """Return whether the answer contains what is expected, in upper or lower case."""
    return bool(answer) and expected.lower() in answer.lower()


def _evaluate(cases: list[Case]) -> bool:
    passed = [_judge(case) for case in cases]
    print(f"{sum(passed)} of {len(passed)} passed")
    return all(passed)


def _judge(case: Case) -> bool:
    try:
        answer = answer_last(case.questions)
    except Exception as error:  # this case failed: the others are still judged
        print(f"FAIL  {case.name}: {error!r}")
        return False
    passed = says(answer, case.expected)
    wanted = "" if passed else f", expected {case.expected!r}"
    print(f"{'pass' if passed else 'FAIL'}  {case.name}: {answer[:80]!r}{wanted}")
    return passed


def _evaluate_with_mlflow(cases: list[Case]) -> bool:
    import mlflow
    from mlflow.genai.scorers import scorer

    from agent_server.tracing.start import start_tracing

    # First: the evaluation checks whether the agent traces before it runs a case.
    start_tracing()

    @scorer
    def says_what_is_expected(outputs: str, expectations: dict[str, str]) -> bool:
        return says(outputs, expectations["expected"])

    data = [
        {"inputs": {"questions": c.questions}, "expectations": {"expected": c.expected}}
        for c in cases
    ]
    result = mlflow.genai.evaluate(
        data=data, predict_fn=answer_last, scorers=[says_what_is_expected]
    )
    print(result.metrics)
    return bool(result.metrics["says_what_is_expected/mean"] == 1)


def answer_last(questions: list[str]) -> str:
    """Ask `questions` one after the other, as a new user, and return the last answer."""
    return asyncio.run_coroutine_threadsafe(_ask(questions), _loop()).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    # One for all cases: MLflow runs them in several threads, and clients belong to one loop.
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


async def _ask(questions: list[str]) -> str:
    from evals.handlers import answer_turn

    user, history, answer = f"eval-{uuid4()}", list[dict[str, str]](), ""
    for question in questions:
        history.append({"role": "user", "content": question})
        body = {"input": history, "custom_inputs": {"thread_id": user}}
        response = await answer_turn(ResponsesAgentRequest.model_validate(body), user)
        answer = "".join(
            part["text"]
            for item in response.model_dump()["output"]
            if item["type"] == "message"
            for part in item["content"]
        )
        history.append({"role": "assistant", "content": answer})
    return answer


if __name__ == "__main__":
    main()
