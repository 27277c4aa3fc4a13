"""Text that reads as a phone number, and references that have as many digits."""

import time
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import ambiguity
from chalicelib.domain.lookalikes import reads_as_a_number

NUMBERS = [
    *("2225550142", "12225550142", "(222) 555-0142", "+442071234567", "+44 20 7123 4567", "+49 (0)30 1234567"),
    *(
        "0049 30 1234567",
        "011 49 30 1234567",
        "00442071234567",
        "01149301234567",
        "+ 442071234567",
        "(+44) 20 7123 4567",
    ),
    *("030 1234567", "(030) 1234567", "030/1234567", "030-1234567", "0301234567", "07123 456789", "07123456789"),
    *("44 20 7123 4567", "(44) 20 7123 4567", "98123 45678", "12 34 56 78", "123 45 67", "555-0142", "1234 5678 9012"),
    *(
        "222-555-0142-5",
        "222_555_0142",
        "222\u00b7555\u00b70142",
        "[222] 555-0142",
        "222  555    0142",
        "222 . 555 . 0142",
    ),
    *("222\u2212555\u22120142", "222*555*0142", "222|555|0142", "222:555:0142", "222\\555\\0142", "1.222.555.0142"),
    *("2.22555E+09", "2.22555e9", "22555E+09", "2225550142.0", "2225550142.50", "442071234567.50"),
    *("２２２５５５０１４３", "０３０ １２３４５６７", "４４２０７１２３４５６７", "\u0662" * 10, "\u00b2" * 9),  # noqa: RUF001 # full-width
    *(
        "cell 030 1234567",
        "tel 1234567",
        "Tel.: 1234567",
        "phone no. 442071234567",
        "Mobil:030 1234567",
        "tel030-1234567",
    ),
    *("home:555-0142", "555-0142/Ann", "030 1234567-home", "0301234567x12", "555-0142 x12", "call 555 0142 please"),
    *("07123 456789 / 07123 456780", "030 1234567 - 030 7654321", "030 1234567 030 7654321", "2024-01-05 2225550143"),
    *("Ann 07123 456789 2024-01-05", "Jos\u00e9 030 1234567"),
]
REFERENCES = [
    *(
        "march",
        "4711",
        "123456789",
        "442071234567",
        "20240105103000",
        "1234567890123456",
        "1795459262",
        "1700000000000",
    ),
    *("2024-01-05", "05.01.2024", "1/5/2024 8:00", "2024-01-05 10:30", "2024-01-05T10:30:00Z", "20240105", "05012024"),
    *("2024-01-05T10:30:00+01:00", "2024-01-05 - 2024-02-05", "05/01/24 10:30", "05/01/24-07/01/24", "2024-W05-1"),
    *("10:30:15", "08:00-11:00", "Room 12 / 2024-01-05 10:30", "Ann Smith 1984-05-06", "20240105 103000"),
    *("1234.50", "12345678.90", "$1234567.89", "12500.00 EUR", "1 234 567 EUR", "\u20ac 1.234.567", "USD 1234567"),
    *("A2024010512", "INV-2024-00123", "SO_2024_000123", "CASE/2024/0012345", "SKU 12-3456-A", "12-CV-34567"),
    *("1234-5678-ABCD", "A-1234-5678", "REF#1234567", "v1.2.3.4567", "1Z999AA10123456784", "DE89370400440532013000"),
    *("550e8400-e29b-41d4-a716-446655440000", "4111 1111 1111 1111", "4111111111111111", "0001234567", "00042"),
    *(
        "2024-0012",
        "2024/00123",
        "2023/2024",
        "20240105-001",
        "94107-1234",
        "San Francisco CA 94107-1234",
        "10115 Berlin",
    ),
    *(
        "order 1234567",
        "Jos\u00e9 123456789",
        "ticket 98765",
        "+12 months plan",
        "2E9",
        "50% off 2024",
        "\uff11\uff12\uff13",
    ),
]


@pytest.mark.parametrize("text", NUMBERS)
def test_a_text_with_the_digits_of_a_number_as_numbers_are_written_reads_as_one(text: str) -> None:
    assert reads_as_a_number(text)


@pytest.mark.parametrize("text", REFERENCES)
def test_dates_times_amounts_and_codes_do_not_read_as_numbers(text: str) -> None:
    assert not reads_as_a_number(text)


words = st.sampled_from(["", "Ann ", "cell ", "(", "home: ", "call "])
#: what no date, amount or code has between its digits
separators = st.sampled_from([" ", "  ", "\u00b7", "\u2212", ") ", " - ", "~", "\u2011", "\xa0"])


@given(words, st.sampled_from(["+", "+ ", "00", "011 ", "0"]), st.from_regex("[3-9][0-9]{7,11}", fullmatch=True), words)
def test_digits_behind_a_prefix_read_as_a_number(before: str, prefix: str, digits: str, after: str) -> None:
    assert reads_as_a_number(f"{before}{prefix}{digits} {after}")


@given(words, st.lists(st.from_regex("[3-9][0-9]{1,3}", fullmatch=True), min_size=4, max_size=5), separators, words)
def test_groups_of_digits_read_as_a_number(before: str, groups: list[str], separator: str, after: str) -> None:
    if 7 <= len("".join(groups)) <= 15:
        assert reads_as_a_number(f"{before}{separator.join(groups)} {after}")


@given(st.from_regex("[1-9][0-9]{10,14}", fullmatch=True), st.sampled_from(["", "order ", "Jos\u00e9 ", "no. "]))
def test_eleven_to_fifteen_digits_alone_are_a_reference_unless_they_would_be_dialled(digits: str, word: str) -> None:
    assert reads_as_a_number(word + digits) == (len(digits) == 11 and digits[0] == "1" and digits[1] >= "2")


@pytest.mark.parametrize(
    "piece", ["(", "1-", "1/1/", "a1 ", "1 234 ", "$1 ", "1_", "0 ", "1E+", "\ufdfa", "\uff11", "a-"]
)
def test_a_long_text_costs_little(piece: str) -> None:
    begun = time.process_time()
    reads_as_a_number("1234567 " + piece * (1_000_000 // len(piece)))
    assert time.process_time() - begun < 3


@given(
    st.sampled_from(["INV", "tel", "A-cell", "USD", "x", "b_phone", "n"]),
    st.lists(st.sampled_from(["", "-", "_", "/", "#", "a", "tel-"]), min_size=1, max_size=3),
    st.from_regex("[2-9][0-9]{5,10}", fullmatch=True),
)
def test_a_code_of_one_word_is_examined_with_the_same_result_in_parentheses(
    word: str, separators: list[str], digits: str
) -> None:
    begin, middle, end = [*separators, "", ""][:3]
    code = f"{word}{begin}{digits[:3]}{middle}{digits[3:]}{end}"
    assert reads_as_a_number(code) == reads_as_a_number(f"({code})")


@pytest.mark.parametrize("code", ["INV-2223334445", "INV-222-333-4445", "tel-2345678", "A-cell-2345678"])
def test_a_code_with_a_number_or_a_word_for_a_phone_reads_as_a_number(code: str) -> None:
    assert reads_as_a_number(code)


@given(st.uuids(), st.booleans())
def test_a_uuid_does_not_read_as_a_number_whatever_its_digits(identifier: UUID, upper: bool) -> None:
    text = str(identifier)
    assert not reads_as_a_number(f"case {text.upper() if upper else text}")


@pytest.mark.parametrize("text", ["550e8400-e29b-41d4-a716-2223334445ab", "22233344-4512-2233-3444-5a2223334445"])
def test_a_uuid_with_the_digits_of_a_number_is_none(text: str) -> None:
    assert not reads_as_a_number(text)
    assert reads_as_a_number(f"{text} 2223334445")


@pytest.mark.parametrize("length", [24, 32, 40, 64])
def test_a_hash_does_not_read_as_a_number_though_it_begins_with_one(length: int) -> None:
    text = "2223334445ab".ljust(length, "c")
    assert not reads_as_a_number(text)
    assert reads_as_a_number(text[:-1])
    assert reads_as_a_number(f"{text}-2223334445")


def test_letters_that_only_look_different_count_as_what_they_mean() -> None:
    assert reads_as_a_number("\uff34\uff25\uff2c 1234567")
    assert reads_as_a_number("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\u200b\uff19\uff10 \u017e 5")


WORDS = ["Ann", "ext", "tel", "x", "w", "p - x", "ani", "home phone ext.", "O'Neil", "l O I", "e", "inf", "."]


@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=4).map(" ".join).filter(ambiguity.is_words))
def test_words_are_neither_numbers_nor_refused(cell: str) -> None:
    """So a row's cells of words needn't be examined."""
    assert not ambiguity.could_be_a_number(cell)
    for refuse in (ambiguity.refuse_parameter, ambiguity.refuse_digits_to_send, ambiguity.refuse_extension):
        refuse(cell)


@pytest.mark.parametrize("cell", ["ani=", "x1", "tel:", "*", "#", "+", "\u0661", "\uff41", "a\n"])
def test_a_cell_with_any_other_character_is_examined(cell: str) -> None:
    assert not ambiguity.is_words(cell)
