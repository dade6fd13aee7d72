"""Projects of earlier releases, rendered from their commits."""

import io
import re
import subprocess
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

from tests.support.releases import releases_of
from tests.support.rendering import REPOSITORY, Combination, render

Files = dict[str, str]


class Releases:
    """The template's files at each release, below a folder."""

    def __init__(self, folder: Path, template: Path) -> None:
        self.folder, self.template = folder, template
        self.commits = releases_of(REPOSITORY)
        self.files = cache(self._files)

    def _files(self, release: str, combination: Combination) -> Files:
        """Return the template's files in a project of a release; an empty one is this tree."""
        source = self._source(release) if release else self.template
        place = self.folder / "rendered" / (release or "now") / str(combination)
        render(source, combination, place)
        owned = yaml.safe_load((self.template / "copier.yml").read_text())["_skip_if_exists"]
        kept = {".copier-answers.yml", *(name.strip("/") for name in owned)}
        return {
            path: text
            for path, text in read_tree(place).items()
            if not any(path == name or path.startswith(f"{name}/") for name in kept)
        }

    def _source(self, release: str) -> Path:
        folder = self.folder / "sources" / release
        if not folder.exists():
            command = ["git", "archive", self.commits[release], "copier.yml", "template", "hooks"]
            done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                archive.extractall(folder, filter="data")
        return folder


def read_tree(folder: Path) -> Files:
    """Return the text of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes().decode("utf-8", "surrogateescape")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def rehouse(files: Mapping[str, str]) -> tuple[Files, str]:
    """Return a made-up next release, every module of which is in a room, and its table of moves."""
    names = [path[13:-3] for path in files if re.fullmatch(r"agent_server/[a-z]\w*\.py", path)]
    rooms = {name: f"room_{name[0]}.{name}" for name in names}

    def moved(match: re.Match[str]) -> str:
        return f"agent_server.{rooms.get(match[1], match[1])}"

    def imported(match: re.Match[str]) -> str:
        room, name = rooms[match[1]].split(".")
        return f"from agent_server.{room} import {name}"

    new = {}
    for path, text in files.items():
        if path.endswith(".py"):
            text = re.sub(r"from agent_server import (\w+)", imported, text)
            text = re.sub(r"\bagent_server\.(?!room_)(\w+)(?= import)", moved, text)
        name = path[13:-3]
        new[f"agent_server/{rooms[name].replace('.', '/')}.py" if name in rooms else path] = text
    lines = [f'"agent_server/{old}.py" = "agent_server/{new.replace(".", "/")}.py"'
             for old, new in rooms.items()]  # fmt: skip
    return new, "[modules]\n" + "\n".join(lines) + "\n"
