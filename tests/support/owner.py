"""What the owner of a project does to it: an edit of every kind of file, and what a link leaves."""

import re
from pathlib import Path

from tests.support.rendering import OWNED

LINKED = {
    "workspace.dev.yml": "targets:\n  dev:\n    variables:\n      experiment_id: '7'\n",
    ".env": "MLFLOW_EXPERIMENT_ID=7\n",
}
# The ends of these parts of the page went to other files in 0.4.0, as its changelog says: what an
# owner had added there is a conflict. What is vendored, nobody edits.
REWRITTEN = {"conversation.js", "markdown.js", "messages.js", "stream.js", "dompurify.js"}
UNEDITED = {".copier-answers.yml", "__init__.py", *LINKED, *REWRITTEN}


def edit_everything(project: Path) -> dict[str, str]:
    """Edit each file as its owner would, and return the line that was added to each."""
    added = {}
    for path in sorted(project.rglob("*")):
        name = path.relative_to(project).as_posix()
        if path.is_file() and path.name not in UNEDITED and not name.startswith(".git/"):
            text, line = edited(name, path.read_text())
            path.write_text(text)
            added[name] = line
    for name, text in LINKED.items():
        (project / name).write_text(text)
    own = project / "agent_server" / "own.py"
    own.write_text("OWN = True\n")
    return added


def edited(name: str, text: str) -> tuple[str, str]:
    """Return `text` with an edit that fits the file called `name`, and the line of the edit."""
    if name == "pyproject.toml":
        line = '    "rich>=14",'  # where `uv add` puts it
        return re.sub(r'(    "uvicorn.*\n)', rf"\1{line}\n", text, count=1), line
    if name == "databricks.yml":
        line = "          - name: MINE"
        return text.replace("        env:\n", f"        env:\n{line}\n            value: a\n"), line
    if name.endswith("cases.toml"):
        line = 'input = "What is mine?"'
        return f'{text}\n[[case]]\n{line}\nexpected = "mine"\n', line
    if name in OWNED:
        line = "# The owner was here."
        return f"{line}\n{text}", line
    if name.endswith(".json"):
        line = '  "mine": "Mine",'
        return text.replace("{\n", f"{{\n{line}\n", 1), line
    line = f"# Mine, in {name}." if not name.endswith(".md") else "Mine."
    if docstring := re.match(r'""".+"""\n', text):
        # Not at the end, which releases change: git merges no neighbours.
        return f"{docstring[0]}\n{line}\n{text[docstring.end() :]}", line
    return f"{text}\n{line}\n", line
