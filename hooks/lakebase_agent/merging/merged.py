"""The result of merging a project."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Moved:
    """A file that the release moved."""

    old: str
    new: str
    edited: bool


@dataclass(frozen=True)
class NotApplied:
    """A change by the template or the owner that could not be applied."""

    path: str
    reason: str


@dataclass
class Merged:
    """The changes to the owner's project; `files` are complete texts.

    `dropped` are files that the owner edited and the new release does not have, under any name.
    """

    files: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    not_applied: list[NotApplied] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
