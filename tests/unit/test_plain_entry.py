"""Entries in their usual forms: each is read as the whole examination reads it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ambiguity import split
from chalicelib.domain.dialstring import parse
from chalicelib.domain.models import Entry
from chalicelib.domain.plain_entry import parse_plain

#: references behind a bare number that most files have
USUAL = [
    *("march", "4711", "Ann", "Jos\u00e9", "Smith, Ann", "Smith,Ann", "Main St 12", "order 12345678", "123456789012"),
    *("INV-2024-00123", "A2024010512", "DE89370400440532013000", "550e8400-e29b-41d4-a716-446655440000", "94107-1234"),
    *("2024-01-05", "2024-01-05 10:30", "2024-01-05T10:30:15", "05.01.2024", "Ann,2024-01-05,10:30", "due 01/05/2024"),
    *(
        "O\u2019Brien",
        "\u201cAnn\u201d 2024-01-05",
        "(Ann) 12345678",
        "Ref: 4711",
        "2024-01-05 - 2024-02-05",
        "D'Arcy-Hall",
    ),
    *("USD 1 234 567.00", "$12", "\u20ac 1234.50", "1 234 567 EUR", "due USD 1 234 567.00 now"),
]

#: pieces of usual references, and of what is none
PIECES = [
    *(
        "USD",
        "EUR ",
        "$",
        "\u20ac",
        " 1",
        " 234",
        " 567",
        "12345",
        ".00",
        ".5",
        "2024",
        "-01-05",
        "2024-1-5",
        "05.01.2024",
    ),
    *(
        "T",
        " ",
        "10:30",
        ":15",
        "24:61",
        "INV",
        "-",
        "_",
        "/",
        "tel",
        "x",
        "w",
        "p",
        "ext",
        "Ann",
        "cell",
        "office",
        "A",
        "\u00e9",
    ),
    *("\u2019", "\u201c", "\u201d", "(", ")", "'", ":", "!", " - ", "\u2013", "2024-02-05"),
    *("0612345678", "2223334445", "+1", "00", "1/5/2024", "#", "*", ";", ",", "ani=5"),
]


@pytest.mark.parametrize("reference", USUAL)
@pytest.mark.parametrize(
    ("number", "normal"),
    [
        *(("2223334444", "tel:+12223334444"), ("1-222-333-4444", "tel:+12223334444")),
        *(("tel:+12223334444", "tel:+12223334444"), ("+44 20 7123 4567", "tel:+442071234567")),
        *(("+33 1 23 45 67 89", "tel:+33123456789"), ("+46-920-12345", "tel:+4692012345")),
    ],
)
def test_the_forms_of_most_lines_are_read_by_one_expression(number: str, normal: str, reference: str) -> None:
    assert parse_plain(f"{number},{reference}") == Entry(normal, reference)
    assert [parse(entry) for entry in split(f" {number},{reference}")] == [Entry(normal, reference)]


@given(
    st.sampled_from(
        ["2223334444", "+12223334444", "tel:1 2223334444", "222-333 4444", "+1222-333-4444", "+44 20 7123 4567"]
    ),
    st.sampled_from([",", ", "]),
    st.text(alphabet="xwpeXtaA0912-_ :*\u00e9\u0178\u00d7", min_size=1, max_size=14)
    | st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
)
def test_the_fast_path_answers_what_the_whole_examination_does(number: str, comma: str, reference: str) -> None:
    text = f"{number}{comma}{reference}"
    plain = parse_plain(text)
    if plain is not None:
        # A space before the number keeps an entry from the fast path.
        assert [parse(f" {entry}") for entry in split(text)] == [plain]


@given(
    st.from_regex(r"[2-9][0-9]{0,3}", fullmatch=True),
    st.lists(
        st.tuples(st.sampled_from([" ", " ", "-", "-", "  "]), st.from_regex("[0-9]{1,9}", fullmatch=True)), max_size=6
    ),
)
def test_the_fast_path_reads_groups_of_digits_as_the_whole_examination_does(
    country: str, groups: list[tuple[str, str]]
) -> None:
    number = f"+{country}" + "".join(separator + digits for separator, digits in groups)
    plain = parse_plain(number)
    if plain is not None:
        assert parse(f" {number}") == plain


@pytest.mark.parametrize(
    "text",
    [
        "2223334444,ext 12",
        "2223334444,Ann ext12",
        "2223334444,x12",
        "2223334444,W12",
        "2223334444,wp-1",
        "2223334444,2223334445",
        "2223334444,0612345678",
        "2223334444,Ann 2223334445",
        "2223334444,Ann,2223334445",
        "2223334444,march,x12",
        "2223334444,cell 2223334",
        "2223334444,\u00d7tel 5551234",
        "2223334444,tel\u00f7 5551234",
        "2223334444,\u00d7ext 1",
        "2223334444,fax-2223334",
        "2223334444,USD 22 345 678.00",
        "2223334444,INV-2223334445",
        "+442071234567.0",
        "+44 20 7123 4567 12",
        "1223334444",
    ],
)
def test_the_fast_path_leaves_whatever_could_be_more_than_a_reference(text: str) -> None:
    assert parse_plain(text) is None


@pytest.mark.parametrize("piece", ["a1,", "a ", "a1-", "1,", "USD 1 ", "a, ", "1 234 ", "12:30,"])
def test_a_text_that_could_be_read_in_many_ways_is_refused_in_time(piece: str) -> None:
    text = f"2223334444,{piece * (60 // len(piece))}!"
    parse_plain(text)
    begun = time.process_time()
    for _ in range(100):
        assert parse_plain(text) is None
    assert time.process_time() - begun < 0.5
