# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19,<10"]
# ///
"""What Copier runs after an update: merge the owner's edits into files that the template moved."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> None:
    """Merge into the project in this folder; run by uv where this Python is too old for it."""
    if importlib.util.find_spec("tomllib"):
        import yaml

        from lakebase_agent.merging.project import move_edits

        answers_file, *versions = arguments
        owned = yaml.safe_load((TEMPLATE / "copier.yml").read_text("utf-8"))["_skip_if_exists"]
        move_edits(Path.cwd(), answers_file, owned, versions)
    elif uv := os.environ.get("UV") or shutil.which("uv"):
        command = [uv, "run", "--quiet", "--no-project", "--script", __file__, *arguments]
        subprocess.run(command, check=True)
    else:
        raise OSError("that needs Python 3.11, or uv")


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error) or type(error).__name__
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    return " ".join(text.split())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Exception as error:  # whatever fails, the update itself is done
        print(
            "Could not merge your edits into files that the template moved: they are not in the "
            "updated files, but `git diff HEAD` shows them, and `git checkout HEAD -- .` brings "
            f"them back ({_reason(error):.200}).",
            flush=True,
        )
