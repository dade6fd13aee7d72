"""Turn answers that users disliked into cases: `uv run python -m evals.grow`.

With MLFLOW_EXPERIMENT_ID set it reads the feedback in that experiment, otherwise the database that
`start-app` uses. Each new case is appended to evals/cases.toml with a comment that names it. What
the file names already is left alone, also after you have deleted the case and kept its comment.
"""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import NoReturn

import psycopg

from agent_server.errors import ApiError
from agent_server.settings import SettingsError, load_env_file
from evals.disliked import Disliked, NotReadError, in_database, in_mlflow
from local.services import ServicesError

FILE = Path(__file__).parent / "cases.toml"
SHOWN = 200  # characters of an answer or a comment


def main() -> None:
    """Append the new cases; exit code 2 if the file can't take them, 3 if nothing can be read."""
    try:
        load_env_file()
        known = FILE.read_bytes().decode() if FILE.exists() else ""
        tomllib.loads(known)
        source, disliked = _read()
        new = [each for each in disliked if each.name not in known]
        if new:
            _write(known, new)
    except (SettingsError, ServicesError) as error:
        _end(2, str(error))
    except (OSError, ValueError) as error:  # not text, not TOML, or no place for a table
        _end(2, f"{FILE.name} is as it was, because it can't take a case: {error}")
    except (ApiError, psycopg.Error, NotReadError) as error:
        _end(3, f"what users disliked can't be read: {error}")
    print(_report(source, len(disliked), len(new)))


def _read() -> tuple[str, list[Disliked]]:
    """Return where feedback is, and what was disliked there."""
    if experiment := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return f"MLflow experiment {experiment}", in_mlflow(experiment)
    return "the database", in_database()


def _write(known: str, new: list[Disliked]) -> None:
    """Append the cases to what the file has; raises ValueError where they would not be TOML."""
    end = "\r\n" if "\r\n" in known else "\n"
    gap = "" if known.endswith("\n") or not known else end
    grown = known + gap + "".join(map(_to_case, new)).replace("\n", end)
    tomllib.loads(grown)
    made = FILE.with_suffix(".new")
    made.write_bytes(grown.encode())
    made.replace(FILE)


def _to_case(disliked: Disliked) -> str:
    comment = f": {_line(disliked.comment)}" if disliked.comment else ""
    questions = ", ".join(map(_quoted, disliked.questions))
    return f"""
# {disliked.name} was disliked{comment}
# It answered: {_line(disliked.answer)}
# Keep the first of these lines, even without the case, or the case is made again.
[[case]]
name = {_quoted(disliked.name)}
questions = [{questions}]
todo = true  # in its place: expected = "what the last answer must contain"
"""


def _line(text: str) -> str:
    """Return the beginning of a text, as a comment can have it."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:SHOWN]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _report(source: str, all_of_them: int, new: int) -> str:
    if not all_of_them:
        return f"{source} has no answer that was disliked."
    if not new:
        return f"evals/{FILE.name} names all {all_of_them} disliked answers of {source} already."
    return (
        f"{new} of {all_of_them} disliked answers of {source} are new cases in evals/{FILE.name}.\n"
        "They hold what users wrote: read them before you commit. Then write what each answer\n"
        "must contain, in place of `todo = true`, and run: uv run python -m evals.run"
    )


def _end(code: int, message: str) -> NoReturn:
    print(f"evals: {message}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
