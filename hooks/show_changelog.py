"""What Copier runs after an update: print what changed in the template between two versions."""

import re
import sys
from pathlib import Path

from packaging.version import InvalidVersion, Version


def main(changelog: Path, previous: str, current: str) -> None:
    """Print the sections of `changelog` for versions after `previous`, up to `current`.

    Prints nothing if there is no changelog. Raises InvalidVersion if one of the two is not a
    version.
    """
    if not changelog.is_file():
        return
    for section in re.split(r"^(?=## )", changelog.read_text("utf-8"), flags=re.MULTILINE):
        version = _version(section)
        if version and Version(previous) < version <= Version(current):
            print(section.strip(), end="\n\n", flush=True)


def _version(section: str) -> Version | None:
    heading = re.match(r"## \[?v?(\S+?)\]?(\s|$)", section)
    try:
        return Version(heading[1]) if heading else None
    except InvalidVersion:  # "Unreleased"
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
