"""Attribute values as DynamoDB stores them: in one form, with an order and a size.

In that form two values are equal exactly if they are equal as Python objects, since a number is written in one way
only. Stored values are never changed in place, so items may share them.

Strings, numbers, booleans, lists and maps are known: the product stores nothing else.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

#: one typed value, such as `{"N": "5"}`
Value = dict[str, Any]
Item = dict[str, Value]

#: bytes
LARGEST_ITEM = 400 * 1024
#: the form of most numbers, which are stored unchanged
_PLAIN = re.compile(r"0|-?[1-9]\d{0,18}", re.ASCII)
#: DynamoDB knows larger ones, of 38 digits
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d{1,19})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_NUMBERS = Context(prec=38)


class Refused(Exception):
    """A request is refused, with the error's code and what else the answer holds."""

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.response = {"Error": {"Code": code, "Message": message}, **facts}

    @property
    def message(self) -> str:
        return str(self.response["Error"]["Message"])


def invalid(message: str) -> Refused:
    """The error for a request that breaks a rule or a limit."""
    return Refused("ValidationException", message)


def kept(value: Mapping[str, Any]) -> Value:
    """A deep copy of the value, in the form in which it is stored."""
    ((kind, content),) = value.items()
    if kind not in _KINDS or not isinstance(content, _KINDS[kind][0]):
        raise NotImplementedError(f"a value of the type {kind} with {content!r}")
    return {kind: _KINDS[kind][1](content)}


def kept_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """A deep copy of the item, in the form in which it is stored."""
    return {name: kept(value) for name, value in item.items()}


def _number(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise NotImplementedError(f"the number {text!r}")
    return _written(Decimal(text))


def _written(number: Decimal) -> str:
    return f"{_NUMBERS.normalize(number):f}" if number else "0"


#: Python's type of a value's content, and what makes the stored form of it
_KINDS: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "S": (str, str),
    "N": (str, _number),
    "BOOL": (bool, bool),
    "L": (list, lambda content: [kept(value) for value in content]),
    "M": (dict, kept_item),
}


def plus(left: Value, right: Value) -> Value:
    """The sum of two numbers."""
    if "N" not in left or "N" not in right:
        raise NotImplementedError("an ADD to anything but a number")
    return {"N": _written(_NUMBERS.add(Decimal(left["N"]), Decimal(right["N"])))}


def copied(item: Item) -> Item:
    """A deep copy for an answer: whatever the caller does to it, the stored item stays as it is."""
    return {name: _copied(value) for name, value in item.items()}


def _copied(value: Value) -> Value:
    ((kind, content),) = value.items()
    if kind == "M":
        return {kind: copied(content)}
    return {kind: [_copied(one) for one in content] if kind == "L" else content}


def kind_of(value: Value) -> str:
    return next(iter(value))


def sortable(value: Value) -> Any:
    """What strings, and numbers, are sorted by.

    Python compares strings by code point, which is the order of their bytes in UTF-8.
    """
    ((kind, content),) = value.items()
    if kind == "S":
        return content
    if kind != "N":
        raise NotImplementedError(f"the order of values of the type {kind}")
    return Decimal(content) if "." in content else int(content)


def at_most(left: Value, right: Value) -> bool:
    """True if `left` is less than `right` or equal. Values of two types have no order."""
    return kind_of(left) == kind_of(right) and bool(sortable(left) <= sortable(right))


def size_of(item: Item) -> int:
    """The item's size in bytes, as the limit on items counts it: names count too."""
    return sum(_bytes(name) + _size(value) for name, value in item.items())


def _size(value: Value) -> int:
    ((kind, content),) = value.items()
    if kind == "S":
        return _bytes(content)
    if kind == "N":
        return len(content) // 2 + 2
    if kind == "M":
        return 3 + len(content) + size_of(content)
    if kind == "L":
        return 3 + len(content) + sum(map(_size, content))
    return 1


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
