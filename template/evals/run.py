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
from typing import Any
from uuid import uuid4

from dotenv import load_dotenv
from mlflow.types.responses import ResponsesAgentRequest

from agent_server.settings import ROOT
from local.offline import open_offline


def main() -> None:
    """Run every case; exit code 1 when one fails."""
    load_dotenv(ROOT / ".env")
    cases = tomllib.loads((Path(__file__).parent / "cases.toml").read_text("utf-8"))["case"]
    with open_offline():
        evaluate = _evaluate_with_mlflow if os.environ.get("MLFLOW_EXPERIMENT_ID") else _evaluate
        sys.exit(0 if evaluate(cases) else 1)


def says(answer: str, expected: str) -> bool:
    """True when the agent said something that holds what was expected."""
    return bool(answer) and expected.lower() in answer.lower()


def _evaluate(cases: list[dict[str, Any]]) -> bool:
    passed = []
    for case in cases:
        answer = answer_last(case["questions"])
        passed.append(says(answer, case["expected"]))
        print(f"{'pass' if passed[-1] else 'FAIL'}  {case['name']}: {answer[:80]!r}")
    print(f"{sum(passed)} of {len(passed)} passed")
    return all(passed)


def _evaluate_with_mlflow(cases: list[dict[str, Any]]) -> bool:
    import mlflow
    from mlflow.genai.scorers import scorer

    from agent_server.tracing import start_tracing
    from agent_server.turns import MLFLOW_FLAVOR

    # First: the evaluation looks whether the agent traces before it runs one.
    start_tracing(MLFLOW_FLAVOR)

    @scorer
    def says_what_is_expected(outputs: str, expectations: dict[str, str]) -> bool:
        return says(outputs, expectations["expected"])

    data = [
        {"inputs": {"questions": c["questions"]}, "expectations": {"expected": c["expected"]}}
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
    # One for all cases: MLflow asks them in several threads, and clients belong to their loop.
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
