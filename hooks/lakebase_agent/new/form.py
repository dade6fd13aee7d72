"""The template's questions without its files: what they offer, and which answers they take."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from copier import run_copy

from lakebase_agent.project.answers import ANSWERS

ANSWERS_FILE = "{{ _copier_conf.answers_file }}.jinja"
ANSWERS_TEXT = "{{ _copier_answers | to_nice_yaml }}"
KEPT = ("_envops", "_min_copier_version")
REFUSED = "Validation error for question '{name}': "


class Form:
    """The questions of copier.yml; Copier itself fills in defaults, and checks answers."""

    def __init__(self, questions: Mapping[str, Any], folder: str) -> None:
        self.questions = questions
        self._folder = folder

    def text(self, name: str) -> str:
        """Return a question as a person reads it."""
        return str(self.questions[name].get("help", name))

    def choices(self, name: str) -> dict[str, Any]:
        """Return the values that may be chosen, by what a person reads."""
        choices = self.questions[name]["choices"].items()
        return {text: v["value"] if isinstance(v, dict) else v for text, v in choices}

    def filled(self, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Return answers to all questions, those that are missing by default.

        Raises ValueError if one does not work.
        """
        with tempfile.TemporaryDirectory(prefix="lakebase-agent-") as name:
            source, project = Path(name) / "template", Path(name) / "project" / self._folder
            source.mkdir()
            asked = {k: v for k, v in self.questions.items() if k[:1] != "_" or k in KEPT}
            (source / "copier.yml").write_text(yaml.safe_dump(asked, sort_keys=False), "utf-8")
            (source / ANSWERS_FILE).write_text(ANSWERS_TEXT, "utf-8")
            run_copy(str(source), project, dict(answers), defaults=True, quiet=True)
            found = yaml.safe_load((project / ANSWERS).read_text("utf-8"))
        return {name: value for name, value in found.items() if name[:1] != "_"}

    def problem(self, answers: Mapping[str, Any], name: str, value: Any) -> str:
        """Return why an answer does not work, after other answers; empty if it does."""
        try:
            self.filled({**answers, name: value})
        except ValueError as error:
            return " ".join(str(error).removeprefix(REFUSED.format(name=name)).split())
        return ""
