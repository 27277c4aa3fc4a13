"""Phone numbers as customers write them (reference, `phone_numbers`)."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.ambiguity import split
from chalicelib.domain.dialstring import diagnosed, parse
from chalicelib.domain.faults import EntryFault, InvalidEntry
from chalicelib.domain.models import Entry

NORMAL = re.compile(r"tel:\+[1-9][0-9]{6,14}(;ani=\+?[0-9]{1,15})?(;postd=[0-9*#]{1,64})?")


def fault(text: str) -> InvalidEntry:
    with pytest.raises(InvalidEntry) as caught:
        parse(text)
    return diagnosed(caught.value)


def refusal(text: str) -> EntryFault:
    return fault(text).code


@pytest.mark.parametrize(
    "text",
    [
        "tel:+12223334444; ani=7778889999",
        "tel:+12223334444;ani=7778889999",
        "TEL:+12223334444 ; ANI = 7778889999 ",
        "+12223334444;ani=7778889999",
        "12223334444;ani=7778889999",
        "2223334444;ani=7778889999",
    ],
)
def test_every_documented_form_has_one_normal_form(text: str) -> None:
    assert parse(text) == Entry("tel:+12223334444;ani=7778889999")


def test_the_references_example_with_a_message_reference_is_read() -> None:
    entry = parse("tel:+12223334444; ani=7778889999, marchcampaign")
    assert entry == Entry("tel:+12223334444;ani=7778889999", "marchcampaign")


@pytest.mark.parametrize("text", ["2223334444", "tel:2223334444"])
def test_ten_digits_are_a_north_american_number(text: str) -> None:
    assert parse(text).destination == "tel:+12223334444"


def test_eleven_digits_that_begin_with_1_are_a_north_american_number() -> None:
    assert parse("16175551234").destination == "tel:+16175551234"


@pytest.mark.parametrize("text", ["442071234567", "22233344445", "222333444", "01144207123456", "0044207123456"])
def test_other_lengths_need_a_plus_sign(text: str) -> None:
    assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize("text", ["0223334444", "1222333444"])
def test_ten_digits_that_cannot_be_north_american_are_not_given_its_country_code(text: str) -> None:
    assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize("text", ["+1222333444", "+122233344445"])
def test_country_code_1_takes_exactly_ten_more_digits(text: str) -> None:
    assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("+6834123", True),
        ("+683412", False),
        ("+442071234567890", True),
        ("+4420712345678901", False),
        ("+0442071234567", False),
    ],
)
def test_an_international_number_has_7_to_15_digits_the_first_not_0(text: str, *, valid: bool) -> None:
    if valid:
        assert parse(text).destination == f"tel:{text}"
    else:
        assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "(222) 333-4444",
        "222-333-4444",
        "222.333.4444",
        "222 333 4444",
        "+1 222 333-4444",
        "+1 (222) 333-4444",
        "1-222-333-4444",
        "1 (222)333-4444",
        "tel:+1-222-333-4444",
    ],
)
def test_visual_separators_between_the_parts_of_a_north_american_number_are_removed(text: str) -> None:
    assert parse(text).destination == "tel:+12223334444"


@pytest.mark.parametrize("text", ["+44 20 7123 4567", "+44 (20) 7123-4567", "+44.20.7123.4567", "+44(20)71234567"])
def test_visual_separators_in_an_international_number_are_removed(text: str) -> None:
    assert parse(text).destination == "tel:+442071234567"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "+442071234567",
            "+44 2071234567",
            "+44 20 7123 4567",
            "+44 (20) 7123-4567",
            "+44 7123 456789",
            "+447123 456789",
        ),
        *("+33123456789", "+33 123456789", "+33 1 23 45 67 89", "+33.1.23.45.67.89", "+33-1-23-45-67-89", "+6834123"),
        *("+49 30 1234567", "+49 30 1234567-12", "+49 (30) 12 34 56 78", "+49 151 12345678", "+49 151 123 456 78"),
        *(
            "+49151 1234567",
            "+43 1 12345-67",
            "+41 44 123 45 67",
            "+46 8 123 456 78",
            "+46 920-123 45",
            "+46-920-123 45",
        ),
        *("+46 70-123 45 67", "+47 22 33 44 55", "+47 412 34 567", "+45 12 34 56 78", "+45 1234 5678", "+298 12 34 56"),
        *("+358 40 1234 567", "+354 555 1234", "+7 495 123-45-67", "+7 (495) 123 45 67", "+380 44 123-45-67"),
        *(
            "+48 22 123 45 67",
            "+420 123 456 789",
            "+385 1 1234 567",
            "+36 1 234 5678",
            "+39 06 1234 5678",
            "+39 333 1234567",
        ),
        *(
            "+34 91 123 45 67",
            "+351 21 123 45 67",
            "+31 20 123 4567",
            "+32 2 123 45 67",
            "+352 26 12 34 56",
            "+683 4123",
        ),
        *(
            "+91 98123 45678",
            "+9198123 45678",
            "+91 98123-45678",
            "+86 138 1234 5678",
            "+81 3-1234-5678",
            "+65 6123 4567",
        ),
        *("+55 11 91234-5678", "+55 (11) 91234-5678", "+54 9 11 1234-5678", "+598 (2) 1234 567", "+62 812-3456-7890"),
        *(
            "+971 50 123 4567",
            "+97150 1234567",
            "+972 3-123-4567",
            "+61 2 1234 5678",
            "+20 2 12345678",
            "+84 91 234 56 78",
        ),
    ],
)
def test_a_number_of_any_country_is_read_as_it_is_written_there(text: str) -> None:
    assert parse(text).destination == f"tel:+{re.sub('[^0-9]', '', text)}"


@pytest.mark.parametrize(
    "text",
    [
        *(
            "+44 20 7123 4567 - 12",
            "+33 1 23 45 67 89 - 12",
            "+6831234 - 4567890",
            "+44 (20) 7123 4567 - 12",
            "+49 30 - 123456",
        ),
        *("+33 1 23 45 67 89 -12", "+33 1 23 45 67 89- 12", "+44 20 7123 4567--12", "+44 20 7123 4567 . 12"),
        *("+33123456789 12", "+33123456789 1234", "+442071234567 123", "+44 2071234567 12", "+65 61234567 1234"),
        *(
            "+44 20 7123 4567 12",
            "+65 6123 4567 12",
            "+49 30 1234567 12",
            "+33-1-23-45-67-89 12",
            "+420-123-456-789 12",
        ),
        *(
            "+442071234567.50",
            "+44 20 7123 4567.50",
            "+33 1 23 45 67 89.50",
            "+420 123 456 789.50",
            "+44 20 7123 4567.12",
        ),
        *("+1 222 555 0142 - 12", "+1 222 555 0142 12", "222-555-0142 - 12", "+12225550142 12", "(222) 555-0142.12"),
    ],
)
def test_what_stands_behind_a_number_is_not_dialled_with_it(text: str) -> None:
    assert refusal(text) is EntryFault.DIGITS_BEHIND_NUMBER
    assert refusal(f"tel:{text}; ani=7778889999, march") is EntryFault.DIGITS_BEHIND_NUMBER


@pytest.mark.parametrize("text", ["(222) 555 - 0142", "222 - 555 - 0142", "1 - 222 - 555 - 0142"])
def test_hyphens_between_spaces_divide_a_north_american_number_whose_length_is_known(text: str) -> None:
    assert parse(text).destination == "tel:+12225550142"


@given(
    st.sampled_from(["+442071234567", "+33123456789", "+44 2071234567", "+65 61234567", "+49 301234567"]),
    st.sampled_from([" ", ".", "  ", " - ", "- ", " -", ". ", "--"]),
    st.from_regex("[0-9]{2,3}", fullmatch=True),
)
def test_no_group_behind_a_whole_number_is_dialled_with_it(number: str, separator: str, extension: str) -> None:
    assert refusal(number + separator + extension) in (EntryFault.DIGITS_BEHIND_NUMBER, EntryFault.AMOUNT)


@pytest.mark.parametrize("text", ["+44 (0)20 7123 4567", "+39 (06) 1234 5678"])
def test_a_zero_in_parentheses_is_refused_as_it_may_or_may_not_be_dialled(text: str) -> None:
    assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize("text", ["222333444.0", "1222333444.0", "2223334444.0", "+442071234567.0", "2.22E+09", "2E9"])
def test_a_number_that_a_spreadsheet_took_for_an_amount_is_refused(text: str) -> None:
    assert refusal(text) is EntryFault.AMOUNT


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "tel:",
        "+",
        "2223334444 2223335555",
        "(222 333-4444",
        "22-23-33-44-44",
        "++12223334444",
        "destination",
    ],
)
def test_text_that_is_not_clearly_one_number_is_refused(text: str) -> None:
    assert refusal(text) is EntryFault.NO_NUMBER


@pytest.mark.parametrize(
    ("text", "character", "before"),
    [
        ("222\t333\t4444", "\t", "222"),
        ("222\n3334444", "\n", "222"),
        ("222\u2011333\u20114444", "\u2011", "222"),
        ("222-333-4444?", "?", "222-333-4444"),
        ("'2223334444", "'", ""),
        ("tel:+1O223334444", "O", "+1"),
    ],
)
def test_an_unexpected_character_is_named(text: str, character: str, before: str) -> None:
    found = fault(text)
    assert found.code is EntryFault.UNEXPECTED_CHARACTER
    assert found.facts == {"character": character, "before": before}


def test_a_number_of_more_than_100_characters_is_refused_without_a_diagnosis() -> None:
    assert refusal("2" * 99 + "?") is EntryFault.UNEXPECTED_CHARACTER
    assert refusal("2" * 100 + "?") is EntryFault.NO_NUMBER


@given(st.lists(st.sampled_from(["\u202a", "\u202e", "\u200b", "\ufeff", "\xad", "\u2069", "\u200f"]), min_size=12))
def test_invisible_characters_are_removed_from_a_number(invisible: list[str]) -> None:
    written = "".join(before + character for before, character in zip(invisible, "+12223334444", strict=False))
    assert parse(f"{written}{invisible[-1]}; ani = {invisible[0]}777").destination == "tel:+12223334444;ani=777"


@pytest.mark.parametrize("space", ["\xa0", "\u202f", "\u2007", "\u3000", "\u2009"])
def test_all_kinds_of_space_are_spaces(space: str) -> None:
    assert parse(f"{space}(222){space}333{space}4444{space}").destination == "tel:+12223334444"


@pytest.mark.parametrize("text", ["\u0662" * 10, "+1222333444\u0664", "222333444\u00b2", "\uff12" * 10])
def test_only_ascii_digits_are_digits(text: str) -> None:
    found = fault(text)
    assert found.code is EntryFault.UNEXPECTED_CHARACTER
    assert found.facts["character"] == next(character for character in text if not character.isascii())


def test_parameters_are_kept_in_the_order_ani_postd() -> None:
    assert parse("6175551234; POSTD=2*#; Ani=+18009957586").destination == "tel:+16175551234;ani=+18009957586;postd=2*#"


@pytest.mark.parametrize("text", ["2223334444;isub=5", "2223334444;", "2223334444;;ani=1", "2223334444;march"])
def test_an_unknown_parameter_is_refused(text: str) -> None:
    assert refusal(text) is EntryFault.UNKNOWN_PARAMETER


@pytest.mark.parametrize("name", ["ani", "postd"])
def test_a_repeated_parameter_is_refused(name: str) -> None:
    found = fault(f"2223334444;{name}=1;{name.upper()}=1")
    assert (found.code, found.facts) == (EntryFault.REPEATED_PARAMETER, {"name": name})


@pytest.mark.parametrize("ani", ["", "+", "777-888-9999", "1234567890123456", "anonymous", "\u0667"])
def test_an_ani_is_up_to_15_digits_with_or_without_plus(ani: str) -> None:
    assert refusal(f"2223334444;ani={ani}") is EntryFault.INVALID_ANI


@pytest.mark.parametrize("postd", ["", "1p2", "12 34", "1" * 65])
def test_a_postd_is_up_to_64_dtmf_digits(postd: str) -> None:
    assert refusal(f"2223334444;postd={postd}") is EntryFault.INVALID_POSTD


def test_the_message_reference_is_the_rest_after_the_first_comma_trimmed() -> None:
    assert parse("2223334444 ,  spring; sale, 2nd wave ").message_reference == "spring; sale, 2nd wave"
    assert parse("2223334444,").message_reference == ""


def test_a_message_reference_is_at_most_255_bytes_of_utf8() -> None:
    assert parse("2223334444," + "ä" * 127 + "a").message_reference == "ä" * 127 + "a"
    found = fault("2223334444," + "ä" * 128)
    assert (found.code, found.facts) == (EntryFault.REFERENCE_TOO_LONG, {"limit": 255})


@pytest.mark.parametrize("character", ["\x00", "\n", "\r", "\t", "\x1f", "\x7f", "\x85", "\u2028", "\ud800"])
def test_a_message_reference_holds_no_character_that_would_break_its_line(character: str) -> None:
    assert refusal(f"2223334444,a{character}b") is EntryFault.CONTROL_CHARACTERS


@given(st.text() | st.text(alphabet="+1234567890 -.();,=telanipostd*#TELANI\n"))
def test_any_text_is_refused_or_gets_the_normal_form(text: str) -> None:
    try:
        entry = parse(text)
    except InvalidEntry:
        return
    assert NORMAL.fullmatch(entry.destination)
    assert entry.message_reference == entry.message_reference.strip()
    assert len(entry.line.splitlines()) == 1


numbers = st.from_regex(r"(1[0-9]{10}|[2-9][0-9]{6,14})", fullmatch=True)
references = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60).map(str.strip)


@given(numbers, st.from_regex(r"(\+?[0-9]{1,15})?", fullmatch=True), references)
def test_an_entry_written_as_a_line_reads_back_as_itself(number: str, ani: str, reference: str) -> None:
    entry = parse(f"+{number}{';ani=' + ani if ani else ''}, {reference}")
    assert entry.destination.startswith(f"tel:+{number}")
    assert entry.ani == ani
    assert entry.message_reference == reference
    assert parse(entry.line) == Entry.from_line(entry.line) == entry


@given(numbers, st.data())
def test_separators_never_change_which_number_is_meant(number: str, data: st.DataObject) -> None:
    separators = data.draw(st.lists(st.sampled_from(["", "", " ", "-", ".", " - "]), min_size=len(number)))
    written = number[0] + "".join(s + d for s, d in zip(separators, number[1:], strict=False))
    try:
        assert parse(f"+{written}").destination == f"tel:+{number}"
    except InvalidEntry:
        assert written != number


def test_several_numbers_in_one_element_are_several_entries() -> None:
    element = "tel:+12223334444; ani=7778889999, tel:+14443332222; ani=9998887777, march campaign"
    assert [parse(entry) for entry in split(element)] == [
        Entry("tel:+12223334444;ani=7778889999"),
        Entry("tel:+14443332222;ani=9998887777", "march campaign"),
    ]


def test_a_piece_that_is_no_number_belongs_to_the_reference_before_it() -> None:
    assert split("2223334444, march, 2nd wave, tel:4443332222") == ["2223334444, march, 2nd wave", "tel:4443332222"]


def test_short_digits_after_a_number_are_its_reference() -> None:
    assert split("2223334444, 4711") == ["2223334444, 4711"]


@pytest.mark.parametrize("piece", ["tel:+1444", "Tel:444-333", "444333222;ani=1", "444333222 ; Postd=1"])
def test_a_misspelt_number_begins_an_entry_instead_of_being_a_reference(piece: str) -> None:
    assert split(f"2223334444, {piece}") == ["2223334444", piece]


def test_the_first_piece_is_always_an_entry() -> None:
    assert split("march, tel:2223334444") == ["march", "tel:2223334444"]
    assert split("") == [""]


@given(st.text(alphabet="+123456789,;= anitel:x"))
def test_splitting_loses_nothing(element: str) -> None:
    try:
        pieces = split(element)
    except InvalidEntry:
        return
    assert ",".join(pieces).replace(" ", "") == element.replace(" ", "")


def test_a_reference_of_the_longest_length_leaves_room_for_another_number() -> None:
    longest = "a=" + "b" * 253
    assert split(f"tel:2223334444, {longest}, tel:4443332222") == [f"tel:2223334444, {longest}", "tel:4443332222"]
    with pytest.raises(InvalidEntry) as caught:
        [parse(entry) for entry in split(f"tel:2223334444, {longest}, b, tel:4443332222")]
    assert (caught.value.code, caught.value.facts) == (EntryFault.REFERENCE_TOO_LONG, {"limit": 255})


def test_splitting_millions_of_pieces_takes_no_more_than_seconds() -> None:
    begun = time.process_time()
    assert split("," * 2_000_000) == ["," * 2_000_000]
    assert time.process_time() - begun < 10
