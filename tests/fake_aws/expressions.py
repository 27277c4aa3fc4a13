"""The expressions of DynamoDB's requests: conditions, updates, projections and conditions on keys.

Each text is parsed once, by recursive descent, into functions of an item and of the request's values.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Generic, TypeVar

from tests.fake_aws.values import (
    Item,
    Refused,
    Value,
    in_order,
    invalid,
    joined,
    kind_of,
    length,
    member_of,
    plus,
    without,
)

T = TypeVar("T")
#: the placeholders of a request, such as `:0`, and what stands in their place
Values = Mapping[str, Value]
#: None is the value of what isn't there
Operand = Callable[[Item, Values], Value | None]
Test = Callable[[Item, Values], bool]
#: the way to an attribute, or into it: names, and places in lists
Path = tuple[str | int, ...]
#: the names that stand for `#0` and its like, as they are in the request
Names = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*|[#:]\w+|\d+|<>|<=|>=|[=<>()\[\],.+-])|(\S))", re.ASCII)
_COMPARATORS = frozenset({"=", "<>", "<", "<=", ">", ">="})
_CACHED = 4096


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """An expression, and what it mentions of the request and of the item."""

    does: T
    names: frozenset[str]
    values: frozenset[str]
    attributes: frozenset[str | int]


@dataclass(frozen=True)
class KeyTest:
    """What a query asks of one key attribute."""

    attribute: str
    #: a comparator, BETWEEN or begins_with
    operator: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What an update does to one path, given the item as it was before. None takes it away."""

    path: Path
    value: Operand
    #: does it make an item that isn't there?
    makes: bool


@lru_cache(_CACHED)
def condition(text: str, names: Names) -> Parsed[Test]:
    """Of a condition or filter expression. Raises Refused."""
    parser = _Parser(text, names)
    return parser.whole(parser.condition())


@lru_cache(_CACHED)
def update(text: str, names: Names) -> Parsed[tuple[Change, ...]]:
    """Raises Refused."""
    parser = _Parser(text, names)
    changes = list(parser.update())
    _refuse_overlap([change.path for change in changes])
    taken = sorted((change for change in changes if not change.makes), key=lambda change: _sorted_by(change.path))
    # What is taken from a list goes last and backwards: places are those from before.
    return parser.whole((*(change for change in changes if change.makes), *reversed(taken)))


@lru_cache(_CACHED)
def projection(text: str, names: Names) -> Parsed[tuple[Path, ...]]:
    """Raises Refused."""
    parser = _Parser(text, names)
    paths = tuple(parser.several(parser.path))
    _refuse_overlap(paths)
    return parser.whole(paths)


@lru_cache(_CACHED)
def key_condition(text: str, names: Names) -> Parsed[tuple[KeyTest, ...]]:
    """Raises Refused."""
    parser = _Parser(text, names)
    return parser.whole(tuple(parser.key_tests()))


def updated(item: Item, changes: Sequence[Change], values: Values) -> Item:
    """The item after the changes; the one given stays as it is. Raises Refused."""
    outcomes = [(change.path, change.value(item, values)) for change in changes]
    after = dict(item)
    for path, value in outcomes:
        if value is None:
            _remove(after, path)
        else:
            _put(after, path, value)
    return after


def projected(item: Item, paths: Sequence[Path]) -> Item:
    """Only what the paths lead to."""
    ways = _ways(paths)
    return {name: part for name, rest in ways.items() if (part := _part(item.get(str(name)), rest)) is not None}


def _ways(paths: Sequence[Path]) -> dict[Any, list[Path]]:
    ways: dict[Any, list[Path]] = {}
    for step, *rest in paths:
        ways.setdefault(step, []).append(tuple(rest))
    return ways


def _part(value: Value | None, paths: Sequence[Path]) -> Value | None:
    if value is None or not all(paths):
        return value
    ((kind, content),) = value.items()
    ways = _ways(paths)
    if kind == "M":
        parts = {step: part for step, rest in ways.items() if (part := _part(content.get(step), rest)) is not None}
        return {kind: parts} if parts else None
    if kind == "L":
        places = sorted(step for step in ways if isinstance(step, int) and step < len(content))
        found = [part for place in places if (part := _part(content[place], ways[place])) is not None]
        return {kind: found} if found else None
    return None


def _refuse_overlap(paths: Sequence[Path]) -> None:
    ordered = sorted(paths, key=_sorted_by)
    for before, after in pairwise(ordered):
        if after[: len(before)] == before:
            raise invalid("Two document paths overlap with each other; must remove or rewrite one of these paths")


def _sorted_by(path: Path) -> list[tuple[int, str]]:
    return [(step, "") if isinstance(step, int) else (-1, step) for step in path]


def _found(item: Item, path: Path) -> Value | None:
    value = item.get(str(path[0]))
    for step in path[1:]:
        if value is None:
            return None
        value = _step(value, step)
    return value


def _step(value: Value, step: str | int) -> Value | None:
    inside: Any = value.get("M" if isinstance(step, str) else "L")
    if isinstance(step, str):
        return inside.get(step) if inside else None
    return inside[step] if inside and step < len(inside) else None


def _opened(item: Item, path: Path) -> Any:
    """What holds the path's last step, with all on the way to it made anew, since it may be shared."""
    inside: Any = item
    for step, following in pairwise(path):
        try:
            value = inside[step]
        except (KeyError, IndexError, TypeError):
            value = {}
        kind = "M" if isinstance(following, str) else "L"
        if kind not in value:
            raise invalid("The document path provided in the update expression is invalid for update")
        copy = dict(value[kind]) if kind == "M" else list(value[kind])
        inside[step] = {kind: copy}
        inside = copy
    return inside


def _put(item: Item, path: Path, value: Value) -> None:
    inside, last = _opened(item, path), path[-1]
    if isinstance(last, int) and last >= len(inside):
        inside.append(value)
    else:
        inside[last] = value


def _remove(item: Item, path: Path) -> None:
    inside, last = _opened(item, path), path[-1]
    if isinstance(last, str):
        inside.pop(last, None)
    elif last < len(inside):
        del inside[last]


class _Parser:
    """One text. What is parsed of it is taken off its tokens."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._tokens = [self._token(match) for match in _TOKEN.finditer(text.rstrip())]
        self._place = 0
        self._given = dict(names)
        self._names: set[str] = set()
        self._values: set[str] = set()
        self._attributes: set[str | int] = set()

    def _token(self, match: re.Match[str]) -> str:
        if match[1] is None:
            raise invalid(f"Invalid expression: Syntax error; token: {match[2]!r}")
        return match[1]

    def whole(self, does: T) -> Parsed[T]:
        """Nothing may be left of the text."""
        if self._next is not None:
            raise self._wrong()
        return Parsed(does, frozenset(self._names), frozenset(self._values), frozenset(self._attributes))

    def several(self, one: Callable[[], T]) -> Iterator[T]:
        """Separated by commas."""
        yield one()
        while self._took(","):
            yield one()

    # conditions

    def condition(self) -> Test:
        tests = [self._all_of()]
        while self._took("OR"):
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else lambda item, values: any(test(item, values) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._negated()]
        while self._took("AND"):
            tests.append(self._negated())
        return tests[0] if len(tests) == 1 else lambda item, values: all(test(item, values) for test in tests)

    def _negated(self) -> Test:
        if self._took("NOT"):
            test = self._negated()
            return lambda item, values: not test(item, values)
        if self._took("("):
            test = self.condition()
            self._take(")")
            return test
        function = _FUNCTIONS.get(self._next or "")
        return function(self) if function is not None and self._after == "(" else self._comparison()

    def _comparison(self) -> Test:
        left = self._compared()
        if self._took("BETWEEN"):
            low = self._compared()
            self._take("AND")
            high = self._compared()
            return lambda item, values: _between(left(item, values), low(item, values), high(item, values))
        if self._took("IN"):
            self._take("(")
            members = list(self.several(self._compared))
            self._take(")")
            return lambda item, values: _among(left(item, values), [member(item, values) for member in members])
        if self._next not in _COMPARATORS:
            raise self._wrong()
        compare = _COMPARE[self._take()]
        right = self._compared()
        return lambda item, values: compare(left(item, values), right(item, values))

    def _compared(self) -> Operand:
        if self._next == "size" and self._after == "(":
            self._take()
            (path,) = self._arguments(self.path)
            return lambda item, _: None if (value := _found(item, path)) is None else length(value)
        return self._operand()

    def exists(self) -> Test:
        there = self._take() == "attribute_exists"
        (path,) = self._arguments(self.path)
        if len(path) == 1:
            name = str(path[0])
            return lambda item, _: (name in item) is there
        return lambda item, _: (_found(item, path) is not None) is there

    def of_two(self) -> Test:
        test = _OF_TWO[self._take()]
        left, right = self._arguments(self._operand, self._operand)

        def holds(item: Item, values: Values) -> bool:
            one, other = left(item, values), right(item, values)
            return one is not None and other is not None and test(one, other)

        return holds

    # updates

    def update(self) -> Iterator[Change]:
        clauses = {"SET": self._set, "REMOVE": self._remove, "ADD": self._add, "DELETE": self._delete}
        while self._next is not None:
            clause = clauses.pop(self._take().upper(), None)
            if clause is None:
                raise self._wrong()
            yield from self.several(clause)

    def _set(self) -> Change:
        path = self.path()
        self._take("=")
        left = self._assigned()
        if self._next not in ("+", "-"):
            return Change(path, _there(left), makes=True)
        sign = 1 if self._take() == "+" else -1
        old, change = _there(left), _there(self._assigned())
        return Change(path, lambda item, values: plus(old(item, values), change(item, values), sign), makes=True)

    def _assigned(self) -> Operand:
        if self._after != "(":
            return self._operand()
        function = self._take()
        if function == "if_not_exists":
            path, otherwise = self._arguments(self.path, self._operand)
            return lambda item, values: _found(item, path) or otherwise(item, values)
        if function == "list_append":
            left, right = map(_there, self._arguments(self._assigned, self._assigned))
            return lambda item, values: _appended(left(item, values), right(item, values))
        raise invalid(f"Invalid UpdateExpression: Invalid function name; function: {function}")

    def _remove(self) -> Change:
        return Change(self.path(), lambda _item, _values: None, makes=False)

    def _add(self) -> Change:
        path, value = self.path(), self._value()
        return Change(path, lambda item, values: _added(_found(item, path), values[value]), makes=True)

    def _delete(self) -> Change:
        path, value = self.path(), self._value()

        def rest(item: Item, values: Values) -> Value | None:
            before = _found(item, path)
            return None if before is None else without(before, values[value])

        return Change(path, rest, makes=False)

    # keys

    def key_tests(self) -> Iterator[KeyTest]:
        if self._took("("):
            yield from self.key_tests()
            self._take(")")
        else:
            yield self._key_test()
        if self._took("AND"):
            yield from self.key_tests()

    def _key_test(self) -> KeyTest:
        if self._next == "begins_with" and self._after == "(":
            operator = self._take()
            path, prefix = self._arguments(self.path, self._value)
            return KeyTest(str(path[0]), operator, (prefix,))
        (name, *_) = self.path()
        operator = self._take().upper()
        if operator == "BETWEEN":
            low = self._value()
            self._take("AND")
            return KeyTest(str(name), operator, (low, self._value()))
        if operator not in _COMPARATORS - {"<>"}:
            raise invalid("Query key condition not supported")
        return KeyTest(str(name), operator, (self._value(),))

    # parts of all of them

    def path(self) -> Path:
        steps: list[str | int] = [self._name()]
        self._attributes.add(steps[0])
        while self._next in (".", "["):
            if self._take() == ".":
                steps.append(self._name())
            else:
                steps.append(int(self._take()))
                self._take("]")
        return tuple(steps)

    def _operand(self) -> Operand:
        if (self._next or "").startswith(":"):
            value = self._value()
            return lambda _, values: values[value]
        path = self.path()
        if len(path) == 1:
            name = str(path[0])
            return lambda item, _: item.get(name)
        return lambda item, _: _found(item, path)

    def _name(self) -> str:
        token = self._take()
        if token.startswith("#"):
            if token not in self._given:
                raise invalid(f"An expression attribute name used in the document path is not defined; name: {token}")
            self._names.add(token)
            return self._given[token]
        if not token[0].isalpha():
            raise self._wrong()
        return token

    def _value(self) -> str:
        token = self._take()
        if not token.startswith(":"):
            raise self._wrong()
        self._values.add(token)
        return token

    def _arguments(self, *kinds: Callable[[], Any]) -> list[Any]:
        arguments: list[Any] = []
        for kind in kinds:
            self._take("," if arguments else "(")
            arguments.append(kind())
        self._take(")")
        return arguments

    # tokens

    @property
    def _next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    @property
    def _after(self) -> str | None:
        return self._tokens[self._place + 1] if self._place + 1 < len(self._tokens) else None

    def _took(self, token: str) -> bool:
        """Keywords may be written in either case."""
        if (self._next or "").upper() != token:
            return False
        self._place += 1
        return True

    def _take(self, token: str | None = None) -> str:
        taken = self._next
        if taken is None or (token is not None and taken.upper() != token):
            raise self._wrong()
        self._place += 1
        return taken

    def _wrong(self) -> Refused:
        return invalid(f"Invalid expression: Syntax error; token: {self._next or '<EOF>'!r} in {self._text!r}")


_FUNCTIONS: dict[str, Callable[[_Parser], Test]] = {
    "attribute_exists": _Parser.exists,
    "attribute_not_exists": _Parser.exists,
    "attribute_type": _Parser.of_two,
    "begins_with": _Parser.of_two,
    "contains": _Parser.of_two,
}


def _begins_with(value: Value, prefix: Value) -> bool:
    kind = kind_of(value)
    return kind in ("S", "B") and kind == kind_of(prefix) and bool(value[kind].startswith(prefix[kind]))


_OF_TWO: dict[str, Callable[[Value, Value], bool]] = {
    "attribute_type": lambda value, kind: kind_of(value) == kind.get("S"),
    "begins_with": _begins_with,
    "contains": lambda collection, value: member_of(value, collection),
}


def _equal(left: Value | None, right: Value | None) -> bool:
    return left is not None and left == right


def _before(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and bool(in_order(left, right))


def _at_most(left: Value | None, right: Value | None) -> bool:
    return left is not None and right is not None and in_order(right, left) is False


#: What isn't there compares with nothing, except that it differs from everything.
_COMPARE: dict[str, Callable[[Value | None, Value | None], bool]] = {
    "=": _equal,
    "<>": lambda left, right: not _equal(left, right),
    "<": _before,
    "<=": _at_most,
    ">": lambda left, right: _before(right, left),
    ">=": lambda left, right: _at_most(right, left),
}


def _between(value: Value | None, low: Value | None, high: Value | None) -> bool:
    return _at_most(low, value) and _at_most(value, high)


def _among(value: Value | None, members: Sequence[Value | None]) -> bool:
    return value is not None and value in members


def _there(operand: Operand) -> Callable[[Item, Values], Value]:
    def value(item: Item, values: Values) -> Value:
        found = operand(item, values)
        if found is None:
            raise invalid("The provided expression refers to an attribute that does not exist in the item")
        return found

    return value


def _appended(left: Value, right: Value) -> Value:
    if "L" not in left or "L" not in right:
        raise invalid("An operand in the update expression has an incorrect data type")
    return {"L": [*left["L"], *right["L"]]}


def _added(before: Value | None, value: Value) -> Value:
    if kind_of(value) not in ("N", "SS", "NS", "BS"):
        raise invalid("Invalid UpdateExpression: Incorrect operand type for operator or function; operator: ADD")
    if before is None:
        return value
    return plus(before, value) if "N" in value else joined(before, value)
