"""The licences of what a project installs, from the packages' own metadata."""

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

# Approved by the Open Source Initiative, by their SPDX names. PSF-2.0 is what it calls Python-2.0.
APPROVED = {
    "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "LGPL-3.0-only", "MIT",
    "MIT-0", "MPL-2.0", "PSF-2.0", "Python-2.0",
}  # fmt: skip
DATABRICKS = "Databricks"  # for use with the Databricks platform
# Before SPDX names were usual, packages named their licences as they liked.
WORDS = {
    "apache": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "copyright 2018 databricks, inc.  all rights reserved": "Apache-2.0",
    "databricks license": DATABRICKS,
    "db license": DATABRICKS,
    "3-clause bsd": "BSD-3-Clause",
    "mit license": "MIT",
    "mozilla public license 2.0": "MPL-2.0",
    "python software foundation": "PSF-2.0",
}
OSI = "License :: OSI Approved :: "


def licences_in(environment: Path) -> dict[str, str]:
    """Return the licence of each package in an environment, by the package's name."""
    place = next(environment.rglob("site-packages"))
    found = {str(d.metadata["Name"]): _licence(d) for d in distributions(path=[str(place)])}
    return dict(sorted(found.items(), key=lambda package: package[0].lower()))


def is_known(licence: str) -> bool:
    """Return whether every licence in an expression is approved, or that of Databricks' SDK."""
    names = re.split(r"[ ()]+(?:AND|OR)?[ ()]*", licence.strip("()"))
    return all(name in APPROVED | {DATABRICKS} for name in names)


def _licence(package: Distribution) -> str:
    """Return the licence that a package states: an SPDX expression, or what it says itself."""
    if expression := _field(package, "License-Expression"):
        return expression
    classifiers = package.metadata.get_all("Classifier") or []
    if names := {_spdx(c.removeprefix(OSI)) for c in classifiers if c.startswith(OSI)}:
        return " OR ".join(sorted(names))
    return _spdx(_field(package, "License").replace("UNKNOWN", "") or _text(package))


def _field(package: Distribution, name: str) -> str:
    return str((package.metadata.get_all(name) or [""])[0])


def _spdx(words: str) -> str:
    """Return the SPDX name of a licence; the words themselves if they name none that is known."""
    first = words.strip(" *\n").partition("\n")[0]
    if is_known(first):
        return first
    return next((name for word, name in WORDS.items() if first.lower().startswith(word)), first)


def _text(package: Distribution) -> str:
    """Return the licence that comes with a package; empty if none does."""
    files = [file for file in package.files or () if "license" in file.name.lower()]
    return files[0].read_text("utf-8") if files else ""
