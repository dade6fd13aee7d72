"""The schema of bundles, as the Databricks CLI prints it."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema

from tests.support.rendering import REPOSITORY

SCHEMA = REPOSITORY.parent / "shared" / "reference" / "bundle-schema.json"


def bundle_problems(bundle: Any) -> Iterator[object]:
    """Yield what the schema does not allow in a bundle, or in a file that it includes."""
    yield from _validator().iter_errors(bundle)


@cache
def _validator() -> Any:
    # Python's patterns have other names for letters and digits.
    text = SCHEMA.read_text().replace(r"[\\p{L}\\p{N}]", r"\\w").replace(r"\\p{L}", r"[^\\W\\d_]")
    return jsonschema.Draft202012Validator(json.loads(text))
