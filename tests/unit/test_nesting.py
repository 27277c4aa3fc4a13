"""Brackets in the names of form fields."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.nesting import nested
from chalicelib.api.wording import InvalidFields

words = st.text("abcxyz_é", min_size=1, max_size=6)
texts = st.text(max_size=5)
objects = st.dictionaries(words, texts, min_size=1, max_size=3)
fields = st.dictionaries(
    words, texts | objects | st.lists(texts, min_size=1, max_size=12) | st.lists(objects, min_size=1, max_size=3)
)


def written(name: str, value: object) -> list[tuple[str, str]]:
    """The field as PHP's http_build_query writes it."""
    if isinstance(value, dict):
        return [pair for key, member in value.items() for pair in written(f"{name}[{key}]", member)]
    if isinstance(value, list):
        return [pair for index, item in enumerate(value) for pair in written(f"{name}[{index}]", item)]
    return [(name, str(value))]


@given(fields, st.randoms())
def test_a_value_written_with_brackets_is_read_back_in_any_order(value: dict[str, object], random: Random) -> None:
    pairs = [pair for name, member in value.items() for pair in written(name, member)]
    random.shuffle(pairs)
    assert nested(pairs) == value


def test_repeated_names_and_empty_brackets_are_arrays() -> None:
    assert nested([("a", "1"), ("a", "2"), ("b[]", "3"), ("c", "4")]) == {"a": ["1", "2"], "b": ["3"], "c": "4"}
    assert nested([("a[b][]", "1"), ("a[b][]", "2")]) == {"a": {"b": ["1", "2"]}}


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["a[1]"], "has no item 0, but later ones"),
        (["a[0]", "a[2]"], "has no item 1, but later ones"),
        (["a[0]", "a[00]"], "is written in several ways"),
        (["a[0]", "a[0]"], "is given more than once"),
        (["a[b]", "a[b]"], "is given more than once"),
        (["a", "a[0]"], "is written in several ways"),
        (["a", "a[]"], "is written in several ways"),
        (["a[]", "a[0]"], "is written in several ways"),
        (["a[0]", "a[b]"], "is written in several ways"),
        (["a[0]", "a[0][b]"], "is given more than once"),
        (["a[0][b]", "a[0][0]"], "is written in several ways"),
        (["a[][b]", "a[][c]"], "has empty brackets before others"),
        (["a[0][b][c]"], "is nested more than 2 deep"),
        (["a[0"], "has brackets that are not closed"),
        (["a]"], "has brackets that are not closed"),
        (["[0]"], "has brackets that are not closed"),
        (["a[0]b"], "has brackets that are not closed"),
        (["a[999999999]"], "has no item 0"),
        (["a[-1]", "a[0]"], "is written in several ways"),
    ],
)
def test_names_with_gaps_or_two_meanings_are_refused(names: list[str], what: str) -> None:
    with pytest.raises(InvalidFields) as caught:
        nested([("other", "x"), *((name, "1") for name in names)])
    ((_, (sentence,)),) = caught.value.faults.items()
    assert what in sentence


@given(st.lists(st.tuples(st.text("ab[]01", max_size=8), texts), max_size=6))
def test_any_names_are_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    try:
        read = nested(pairs)
    except InvalidFields:
        return
    assert bool(read) == bool(pairs)
