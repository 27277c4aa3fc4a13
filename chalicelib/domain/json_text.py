"""JSON from customers. An object with the same name twice is ambiguous, and is refused."""

import json
from typing import Any


class NameGivenTwice(ValueError):
    """An object has the same name twice. `json` alone would silently keep the last."""


def load(text: str) -> Any:  # JSON may hold any value
    """Raises ValueError (JSONDecodeError, NameGivenTwice, or for an integer that is too long) and RecursionError."""
    return json.loads(text, object_pairs_hook=_unique)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise NameGivenTwice
    return found
