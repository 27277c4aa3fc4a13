"""Attribute values as DynamoDB keeps them: in one form, with an order and a size.

In that form two values are the same exactly if they are equal as Python objects: a number is written in one way only,
a set is sorted. Values that are kept are never changed in place, so that items may share them.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow, Underflow
from typing import Any

#: one typed value, such as `{"N": "5"}`
Value = dict[str, Any]
Item = dict[str, Value]

#: bytes
LARGEST_ITEM = 400 * 1024
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
#: what most numbers look like, and how they are kept anyway
_PLAIN = re.compile(r"0|-?[1-9]\d{0,37}", re.ASCII)
#: 38 digits, and magnitudes from 1E-130 to 9.99…E+125
_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Underflow])
_SETS = {"SS": "S", "NS": "N", "BS": "B"}
_ORDERED = frozenset("SNB")


class Refused(Exception):
    """A request is refused, with the error's code and what else the answer holds."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.response = {"Error": {"Code": code, "Message": message}, **facts}

    @property
    def message(self) -> str:
        return str(self.response["Error"]["Message"])


def invalid(message: str) -> Refused:
    """To be raised for a request that makes no sense."""
    return Refused("ValidationException", message)


def kept(value: Mapping[str, Any]) -> Value:
    """The value as it is kept, and a copy in all its parts. Raises Refused."""
    if len(value) != 1:
        raise invalid("Supplied AttributeValue must contain exactly one of the supported datatypes")
    ((kind, content),) = value.items()
    keep = _KEEP.get(kind)
    if keep is None:
        raise invalid(f"Supplied AttributeValue is of no supported datatype: {kind}")
    return {kind: keep(content)}


def kept_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    return {name: kept(value) for name, value in item.items()}


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise invalid(f"Not a string: {content!r}")
    return str(content)


def _number(content: Any) -> str:
    text = _text(content)
    if _PLAIN.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise invalid(f"The parameter cannot be converted to a numeric value: {text}")
    return calculated(lambda: _NUMBERS.create_decimal(text))


def calculated(calculate: Callable[[], Decimal]) -> str:
    """The number as it is kept. Raises Refused if it has too many digits, or is too large or small."""
    try:
        number = _NUMBERS.normalize(calculate())
    except DecimalException:
        raise invalid("Number overflow, underflow, or more than 38 significant digits") from None
    return f"{number:f}" if number else "0"


def plus(left: Value, right: Value, sign: int = 1) -> Value:
    """`left + right`, or `left - right`. Raises Refused."""
    if "N" not in left or "N" not in right:
        raise invalid("An operand in the update expression has an incorrect data type")
    change = Decimal(right["N"])
    return {"N": calculated(lambda: _NUMBERS.add(Decimal(left["N"]), change if sign > 0 else -change))}


def _boolean(content: Any) -> bool:
    if not isinstance(content, bool):
        raise invalid(f"Not a boolean: {content!r}")
    return content


def _binary(content: Any) -> bytes:
    if not isinstance(content, bytes):
        raise invalid(f"Not binary: {content!r}")
    return content


def _list(content: Any) -> list[Value]:
    return [kept(value) for value in content]


def _set_of(keep: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    def keep_set(content: Any) -> list[Any]:
        members = [keep(member) for member in content]
        if not members:
            raise invalid("One or more parameter values were invalid: An set may not be empty")
        if len(set(members)) < len(members):
            raise invalid("One or more parameter values were invalid: Input collection contains duplicates")
        return sorted(members)

    return keep_set


_KEEP: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _boolean,
    "L": _list,
    "M": kept_item,
    "SS": _set_of(_text),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
}


def copied(item: Item) -> Item:
    """To be given away: what is done to it doesn't touch what is kept."""
    return {name: _copied(value) for name, value in item.items()}


def _copied(value: Value) -> Value:
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: copied(content)}
    if kind == "L":
        return {kind: [_copied(one) for one in content]}
    if kind in _SETS:
        return {kind: list(content)}
    return {kind: content}


def member_of(value: Value, collection: Value) -> bool:
    """Is the value in the list or set, or a part of the string?"""
    ((kind, content),) = value.items()
    ((collected, members),) = collection.items()
    if collected == "L":
        return value in members
    return kind == _SETS.get(collected, collected) and collected in {*_SETS, "S", "B"} and content in members


def joined(left: Value, right: Value) -> Value:
    """The union of two sets. Raises Refused if they aren't sets of one kind."""
    kind = _kind_of_sets(left, right)
    return {kind: sorted({*left[kind], *right[kind]})}


def without(left: Value, right: Value) -> Value | None:
    """The set without the members of the other; None if nothing is left. Raises Refused likewise."""
    kind = _kind_of_sets(left, right)
    rest = [member for member in left[kind] if member not in right[kind]]
    return {kind: rest} if rest else None


def _kind_of_sets(left: Value, right: Value) -> str:
    kind = kind_of(left)
    if kind not in _SETS or kind != kind_of(right):
        raise invalid("An operand in the update expression has an incorrect data type")
    return kind


def kind_of(value: Value) -> str:
    return next(iter(value))


def place_of(value: Value) -> Any:
    """What the values of one kind are sorted by.

    Python compares strings by code point, and that is the order of their bytes in UTF-8.
    """
    ((kind, content),) = value.items()
    if kind != "N":
        return content
    return Decimal(content) if "." in content else int(content)


def in_order(left: Value, right: Value) -> bool | None:
    """Does `left` come before `right`? None if the two have no order."""
    kind = kind_of(left)
    if kind not in _ORDERED or kind != kind_of(right):
        return None
    return bool(place_of(left) < place_of(right))


def size_of(item: Item) -> int:
    """Bytes, as the limit on items counts them: the names too."""
    return sum(_bytes(name) + _size(value) for name, value in item.items())


def _size(value: Value) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return _bytes(content)
    if kind == "N":
        return len(content) // 2 + 2
    if kind == "B":
        return len(content)
    if kind == "M":
        return 3 + len(content) + size_of(content)
    if kind == "L":
        return 3 + len(content) + sum(map(_size, content))
    if kind in _SETS:
        return sum(_size({_SETS[kind]: member}) for member in content)
    return 1


def length(value: Value) -> Value | None:
    """What `size(path)` answers; None for what has none."""
    ((kind, content),) = value.items()
    if kind in ("N", "BOOL", "NULL"):
        return None
    return {"N": str(_bytes(content) if kind == "S" else len(content))}


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
