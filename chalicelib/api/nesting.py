"""Form fields with brackets in their names, read as arrays and objects.

PHP and Node write the array `days` as `days[0]=mon&days[1]=wed`, and the objects in `profiles` as
`profiles[0][profile]=steady`. A repeated name and `days[]` are arrays, too. Ambiguous fields and arrays with a hole are
refused.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NoReturn, TypeVar

from chalicelib.api.wording import InvalidFields, named

T = TypeVar("T")

#: The most brackets that a name may have: `profiles[0][profile]`.
MAX_DEPTH = 2

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")

#: The contents of a field's brackets, and its value.
_Field = tuple[Sequence[str], T]


def nested(pairs: Iterable[tuple[str, T]]) -> dict[str, object]:
    """The values by field name. Raises InvalidFields, by the name without its brackets."""
    fields: dict[str, list[_Field[T]]] = defaultdict(list)
    for field_name, value in pairs:
        match = _NAME.fullmatch(field_name)
        if match is None:
            if "[" not in field_name and "]" not in field_name:
                fields[field_name].append(((), value))
                continue
            _refuse(field_name, "has brackets that are not closed")
        keys = re.findall(r"\[([^\[\]]*)\]", match[2])
        if len(keys) > MAX_DEPTH:
            _refuse(match[1], f"is nested more than {MAX_DEPTH} deep")
        fields[match[1]].append((keys, value))
    return {name: _value(name, found) for name, found in fields.items()}


def _value(name: str, fields: Sequence[_Field[T]]) -> object:
    """The value of all fields with this name."""
    kinds = {_kind(keys) for keys, _ in fields}
    if len(kinds) > 1:
        _refuse(name, "is written in several ways that can't be put together")
    (kind,) = kinds
    if kind == "plain":
        return fields[0][1] if len(fields) == 1 else [value for _, value in fields]
    if kind == "next":
        if any(len(keys) > 1 for keys, _ in fields):
            _refuse(name, "has empty brackets before others, which doesn't tell what belongs together")
        return [value for _, value in fields]
    members: dict[str, list[_Field[T]]] = defaultdict(list)
    for (key, *rest), value in fields:
        members[key].append((rest, value))
    read = {key: _member(f"{name}.{key}", found) for key, found in members.items()}
    if kind == "member":
        return read
    missing = next((index for index in range(len(read)) if str(index) not in read), None)
    if missing is not None:
        _refuse(name, f"has no item {missing}, but later ones")
    return [read[str(index)] for index in range(len(read))]


def _member(name: str, fields: Sequence[_Field[T]]) -> object:
    if len(fields) > 1 and any(not keys for keys, _ in fields):
        _refuse(name, "is given more than once")
    return _value(name, fields)


def _kind(keys: Sequence[str]) -> str:
    if not keys:
        return "plain"
    if not keys[0]:
        return "next"
    return "item" if _INDEX.fullmatch(keys[0]) else "member"


def _refuse(name: str, fault: str) -> NoReturn:
    raise InvalidFields({named(name): [f"The {named(name)} field {fault}."]})
