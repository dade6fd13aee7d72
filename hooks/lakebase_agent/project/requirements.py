"""Requirements on packages, as pyproject.toml lists them. Imports the standard library only."""

import re
from dataclasses import dataclass

PARTS = re.compile(r"\s*([A-Za-z0-9][\w.-]*)\s*(?:\[([^]]*)\])?(.*)", re.DOTALL)


@dataclass(frozen=True)
class Requirement:
    """A requirement on a package, in parts as they were written.

    The `rest` is bounds and a marker, or an address.
    """

    name: str
    extras: list[str]
    rest: str

    @property
    def package(self) -> str:
        """The normalised name, the same for every spelling."""
        return re.sub(r"[-_.]+", "-", self.name).lower()

    @property
    def bounds(self) -> list[str]:
        """The bounds of the version, such as `>=1` and `<2`."""
        return _split(self.rest.partition(";")[0])

    @property
    def marker(self) -> str:
        """The condition after the semicolon; empty if there is none."""
        return self.rest.partition(";")[2].strip()

    @property
    def is_address(self) -> bool:
        """Whether it names where the package is, instead of which versions will do."""
        return "@" in self.rest.partition(";")[0]


def parse_requirement(text: str) -> Requirement | None:
    """Return a requirement taken apart; None if the text does not start with a name."""
    match = PARTS.fullmatch(text)
    return Requirement(match[1], _split(match[2] or ""), match[3]) if match else None


def package_of(text: str) -> str:
    """Return the normalised name of the package that is required; empty if there is none."""
    requirement = parse_requirement(text)
    return requirement.package if requirement else ""


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
