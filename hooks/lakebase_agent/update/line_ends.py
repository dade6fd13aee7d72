"""Files whose lines end in CRLF: git takes each for another than the template's, with LF."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lakebase_agent.project.git import git, names

IDENTITY = ("-c", "user.name=lakebase-agent", "-c", "user.email=lakebase-agent@localhost")
CRLF, LF = "i/crlf", "i/lf"


@dataclass(frozen=True)
class LineEnds:
    """The files of a clone that git has with CRLF; `everywhere` is true if there are no others."""

    clone: Path
    paths: frozenset[str]
    everywhere: bool

    def to_lf(self) -> None:
        """Commit these files with LF; raises GitError."""
        if not self.paths:
            return
        for path in self.paths:
            _rewrite(self.clone / path, _to_lf)
        git(self.clone, "add", "--all")
        git(self.clone, *IDENTITY, "commit", "--quiet", "--no-verify", "--message", "LF")

    def to_crlf(self, added: Iterable[str]) -> None:
        """Stage these files with CRLF again, and those `added` if there are no others."""
        wanted = [*self.paths, *(_texts(self.clone, added) if self.everywhere else [])]
        changed = [path for path in wanted if (self.clone / path).is_file()]
        for path in changed:
            _rewrite(self.clone / path, _to_crlf)
        if changed:
            git(self.clone, "add", "--force", "--", *changed)

    def stages_to_crlf(self, entries: Iterable[str]) -> list[str]:
        """Return entries of `git ls-files --unmerged`, those of these files with CRLF again."""
        return [self._with_crlf(entry) for entry in entries]

    def _with_crlf(self, entry: str) -> str:
        about, _, path = entry.partition("\t")
        mode, blob, stage = about.split()
        if path not in self.paths:
            return entry
        text = git(self.clone, "cat-file", "blob", blob).encode("utf-8", "surrogateescape")
        given = _to_crlf(text).decode("utf-8", "surrogateescape")
        made = git(self.clone, "hash-object", "-w", "--stdin", given=given).strip()
        return f"{mode} {made} {stage}\t{path}"


def line_ends_of(clone: Path) -> LineEnds:
    """Return which files of a clone have CRLF in git; raises GitError."""
    states = dict(_states(clone))
    found = frozenset(path for path, state in states.items() if state == CRLF)
    return LineEnds(clone, found, bool(found) and LF not in states.values())


def _states(clone: Path) -> Iterator[tuple[str, str]]:
    for line in names(clone, "ls-files", "--eol", "-z"):
        about, _, path = line.partition("\t")
        yield path, about.split()[0]


def _texts(clone: Path, added: Iterable[str]) -> list[str]:
    states = dict(_states(clone))
    return [path for path in added if states.get(path) == LF]


def _to_lf(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n")


def _to_crlf(text: bytes) -> bytes:
    return _to_lf(text).replace(b"\n", b"\r\n")


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))
