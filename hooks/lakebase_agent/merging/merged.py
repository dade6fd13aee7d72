"""What a merge of a project comes to."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Moved:
    """A file that the release moved."""

    old: str
    new: str
    edited: bool


@dataclass(frozen=True)
class NotApplied:
    """What could not be done: a change of the template's, or of the owner's."""

    path: str
    reason: str


@dataclass
class Merged:
    """What to do to the owner's project; `files` are complete texts.

    `dropped` are files with the owner's edits that the new release has not, under any name.
    """

    files: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    not_applied: list[NotApplied] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
