"""The expressions of DynamoDB's requests, as far as the product writes them.

    condition:  name = :value, name <= :value, name IN (:value, …), attribute_exists(name), attribute_not_exists(name);
                joined by AND and OR, with brackets
    update:     SET name = :value, …  REMOVE name, …  ADD name :number, …
    key:        name = :value, name <= :value, name > :value, name BETWEEN :low AND :high, begins_with(name, :prefix);
                two at most, joined by AND
    projection: name, …

Each text is parsed once, by recursive descent. Anything else raises NotImplementedError.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from tests.fake_aws.values import Item, Value, at_most, invalid, plus

T = TypeVar("T")
#: the placeholders of a request, such as `:0`, and their values
Values = Mapping[str, Value]
Test = Callable[[Item, Values], bool]
#: the names that placeholders such as `#0` stand for, as the request has them
Names = tuple[tuple[str, str], ...]

_TOKEN = re.compile(r"\s*([#:]?\w+|<=|\S)", re.ASCII)
_ZERO = {"N": "0"}
_CACHED = 4096


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """An expression, and the placeholders that stand in it."""

    does: T
    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True)
class KeyTest:
    """What a query asks of one key attribute."""

    attribute: str
    #: `=`, `<=`, `>`, BETWEEN or begins_with
    operator: str
    #: placeholders
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What an update does to one attribute."""

    #: SET, REMOVE or ADD
    clause: str
    attribute: str
    #: a placeholder; empty for REMOVE
    value: str = ""


@lru_cache(_CACHED)
def condition(text: str, names: Names) -> Parsed[Test]:
    parser = _Parser(text, names)
    return parser.whole(parser.condition())


@lru_cache(_CACHED)
def update(text: str, names: Names) -> Parsed[tuple[Change, ...]]:
    """Raises Refused for an update that changes an attribute twice."""
    parser = _Parser(text, names)
    changes = tuple(parser.changes())
    if len({change.attribute for change in changes}) < len(changes):
        raise invalid("Two document paths overlap with each other; must remove or rewrite one of these paths")
    return parser.whole(changes)


@lru_cache(_CACHED)
def key_condition(text: str, names: Names) -> Parsed[tuple[KeyTest, ...]]:
    parser = _Parser(text, names)
    return parser.whole(tuple(parser.key_tests()))


@lru_cache(_CACHED)
def projection(text: str, names: Names) -> Parsed[frozenset[str]]:
    """The attributes that a query asks for."""
    parser = _Parser(text, names)
    return parser.whole(frozenset(parser.attributes()))


def updated(item: Item, changes: Sequence[Change], values: Values) -> Item:
    """The item after the changes. The one given stays as it is."""
    after = dict(item)
    for change in changes:
        if change.clause == "REMOVE":
            after.pop(change.attribute, None)
        elif change.clause == "SET":
            after[change.attribute] = values[change.value]
        else:
            after[change.attribute] = plus(item.get(change.attribute, _ZERO), values[change.value])
    return after


class _Parser:
    """Reads one text, token by token."""

    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text)
        self._index = 0
        self._given = dict(names)
        self._names: set[str] = set()
        self._values: set[str] = set()

    def whole(self, does: T) -> Parsed[T]:
        """Nothing may be left of the text."""
        if self._next:
            raise self._unknown()
        return Parsed(does, frozenset(self._names), frozenset(self._values))

    def condition(self) -> Test:
        tests = [self._all_of()]
        while self._took("OR"):
            tests.append(self._all_of())
        return tests[0] if len(tests) == 1 else lambda item, values: any(test(item, values) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._test()]
        while self._took("AND"):
            tests.append(self._test())
        return tests[0] if len(tests) == 1 else lambda item, values: all(test(item, values) for test in tests)

    def _test(self) -> Test:
        if self._took("("):
            test = self.condition()
            self._take(")")
            return test
        for function, is_there in (("attribute_exists", True), ("attribute_not_exists", False)):
            if self._took(function):
                name = self._in_brackets(self._name)
                return lambda item, _: (name in item) is is_there
        name = self._name()
        if self._took("IN"):
            members = self._in_brackets(lambda: list(self._several(self._value)))
            return lambda item, values: item.get(name) in [values[member] for member in members]
        if self._took("="):
            value = self._value()
            return lambda item, values: item.get(name) == values[value]
        self._take("<=")
        value = self._value()
        return lambda item, values: name in item and at_most(item[name], values[value])

    def changes(self) -> Iterator[Change]:
        while self._next:
            if self._took("SET"):
                yield from self._several(self._set)
            elif self._took("REMOVE"):
                yield from self._several(lambda: Change("REMOVE", self._name()))
            else:
                self._take("ADD")
                yield from self._several(lambda: Change("ADD", self._name(), self._value()))

    def _set(self) -> Change:
        name = self._name()
        self._take("=")
        return Change("SET", name, self._value())

    def attributes(self) -> Iterator[str]:
        return self._several(self._name)

    def key_tests(self) -> Iterator[KeyTest]:
        if self._took("("):
            yield from self.key_tests()
            self._take(")")
            return
        yield self._key_test()
        if self._took("AND"):
            yield self._key_test()

    def _key_test(self) -> KeyTest:
        if self._took("begins_with"):
            return self._in_brackets(self._begins_with)
        name = self._name()
        if self._took("BETWEEN"):
            low = self._value()
            self._take("AND")
            return KeyTest(name, "BETWEEN", (low, self._value()))
        for operator in ("=", "<=", ">"):
            if self._took(operator):
                return KeyTest(name, operator, (self._value(),))
        raise self._unknown()

    def _begins_with(self) -> KeyTest:
        name = self._name()
        self._take(",")
        return KeyTest(name, "begins_with", (self._value(),))

    def _in_brackets(self, one: Callable[[], T]) -> T:
        self._take("(")
        found = one()
        self._take(")")
        return found

    def _several(self, one: Callable[[], T]) -> Iterator[T]:
        """One or more, separated by commas."""
        yield one()
        while self._took(","):
            yield one()

    def _name(self) -> str:
        """An attribute's name, or what a placeholder stands for."""
        token = self._next
        if token.startswith("#"):
            self._names.add(token)
        elif not token[:1].isalpha():
            raise self._unknown()
        self._index += 1
        return self._given.get(token, token)

    def _value(self) -> str:
        """A placeholder."""
        token = self._next
        if not token.startswith(":"):
            raise self._unknown()
        self._values.add(token)
        self._index += 1
        return token

    @property
    def _next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._index] if self._index < len(self._tokens) else ""

    def _took(self, token: str) -> bool:
        """Skip the token if it is the next one."""
        if self._next != token:
            return False
        self._index += 1
        return True

    def _take(self, token: str) -> None:
        if not self._took(token):
            raise self._unknown()

    def _unknown(self) -> NotImplementedError:
        return NotImplementedError(f"{self._next or 'the end'!r} in the expression {self._text!r}")
