"""JSON as it comes from strangers: a name that stands twice in an object says two things, and is refused."""

import json
from typing import Any


class NameGivenTwice(ValueError):
    """An object has the same name twice, of which `json` would keep the last without a word."""


def load(text: str) -> Any:  # what JSON says may be anything
    """Raises ValueError (JSONDecodeError, NameGivenTwice, or for a number that is too long) and RecursionError."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise NameGivenTwice
    return found
