"""Look for known vulnerabilities in what generated projects install: `uv run poe audit`.

It needs PyPI's JSON API, beyond a package index. The exit code is 1 when a package has one, or was
not found there.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.rendering import FRAMEWORKS, MEMORIES, Combination, copy_template, render

EXPORT = ["uv", "export", "--quiet", "--no-emit-project", "--output-file", "requirements.txt"]
AUDIT = [
    "uvx", "pip-audit@2.10.1", "--strict", "--disable-pip", "--progress-spinner", "off",
    "--requirement", "requirements.txt",
]  # fmt: skip


def main() -> int:
    """Audit a project of each framework; return 1 when one is not clean."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="audit-") as root:
        template = copy_template(Path(root, "template"))
        for framework in FRAMEWORKS:
            print(f"== {framework}", flush=True)
            chosen = Combination(framework, MEMORIES, "local")
            folder = render(template, chosen, Path(root, framework))
            subprocess.run(EXPORT, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            failed |= subprocess.run(AUDIT, cwd=folder, check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
