"""Lists of phone numbers: CSV and TXT files, arrays, text (reference, `phone_numbers`; DESIGN §2)."""

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.models import Entry
from chalicelib.domain.upload import Upload, read
from chalicelib.errors import InvalidFields

FIRST = Entry("tel:+12223334444")
SECOND = Entry("tel:+14443332222")

NOT_TEXT = {"phone_numbers": ["The phone_numbers field must be a CSV or TXT file in UTF-8: save it as CSV UTF-8."]}
REQUIRED = {"phone_numbers": ["The phone_numbers field is required."]}


def entries(value: object) -> list[Entry]:
    return list(read(value).entries)


def faults(value: object) -> dict[str, list[str]]:
    with pytest.raises(InvalidFields) as caught:
        read(value)
    return caught.value.faults


def test_a_file_has_one_entry_a_line_in_its_order() -> None:
    content = b"tel:+12223334444; ani=7778889999, march\n4443332222\n"
    assert entries(content) == [Entry("tel:+12223334444;ani=7778889999", "march"), SECOND]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
def test_line_ends_of_every_system_and_a_byte_order_mark_are_taken(begin: bytes, end: bytes) -> None:
    assert entries(begin + b"2223334444" + end + b"4443332222,caf\xc3\xa9" + end) == [
        FIRST,
        Entry(SECOND.destination, "café"),
    ]


@pytest.mark.parametrize("blank", [b"", b" \t", b",,", b'"",""', b"\xc2\xa0"])
def test_blank_lines_and_rows_of_empty_columns_are_skipped(blank: bytes) -> None:
    assert entries(b"\n".join([blank, b"2223334444", blank, blank, b"4443332222", blank])) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "heading",
    [
        *("destination", "phone_number", "Phone Number,message_reference", '"phone-number","first name"', "NUMBER,,"),
        *("Business Phone,Name", "name,phone_number", "Customer's Mobile Number", "Teléfono", "Phone 1", "PHONE;Name"),
    ],
)
def test_a_first_line_that_is_a_heading_is_skipped(heading: str) -> None:
    row = ",2223334444" if heading.startswith("name") else "2223334444"
    assert entries(f"\r\n{heading}\r\n{row}\r\n".encode()) == [FIRST]


@pytest.mark.parametrize("line", ["not a number", "name,address", "222333", "Account Number,Name", "Phone,Mobile"])
def test_a_first_line_that_is_neither_a_number_nor_a_known_heading_is_a_fault(line: str) -> None:
    assert "phone_numbers.1" in faults(f"{line}\n2223334444".encode())


def test_a_heading_is_only_skipped_as_the_first_line() -> None:
    assert faults(b"2223334444\nphone_number\n") == {
        "phone_numbers": ["The phone_numbers field has 1 invalid entry."],
        "phone_numbers.2": ['The phone_numbers.2 entry "phone_number" is not a valid phone number.'],
    }


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ("2223334444,march", "march"),
        ("2223334444 , march ", "march"),
        ('"2223334444","march"', "march"),
        ('"2223334444", "march, late"', "march, late"),
        ('2223334444,"the ""best"" sale"', 'the "best" sale'),
        ('2223334444,5" pipe', '5" pipe'),
        ('"tel:+12223334444, march"', "march"),
        ("2223334444,Ann,Smith", "Ann,Smith"),
        ("2223334444,march,,", "march"),
        ("2223334444,,", ""),
        ("2223334444,123456789", "123456789"),
        ("2223334444,+12 months plan", "+12 months plan"),
        ("tel:+12223334444;ani=7,4443332222", "4443332222"),
    ],
)
def test_what_follows_the_first_column_is_the_message_reference(row: str, reference: str) -> None:
    (entry,) = entries(row.encode())
    assert (entry.destination.removesuffix(";ani=7"), entry.message_reference) == (FIRST.destination, reference)


def test_a_line_quoted_as_a_whole_is_read_as_what_it_quotes() -> None:
    assert entries(b'"tel:+12223334444; ani=7778889999, march"\n') == [
        Entry("tel:+12223334444;ani=7778889999", "march")
    ]


def test_an_unclosed_quote_does_not_swallow_the_lines_after_it() -> None:
    assert faults(b'2223334444,"march\n4443332222\n555333222\n') == {
        "phone_numbers": ["The phone_numbers field has 2 invalid entries."],
        "phone_numbers.1": ['The phone_numbers.1 entry "2223334444,"march" has a quotation mark that is not closed.'],
        "phone_numbers.3": ['The phone_numbers.3 entry "555333222" is not a valid phone number.'],
    }


def only_fault(value: object) -> str:
    """The one entry's fault, without what stands before it."""
    found = faults(value)
    assert found.pop("phone_numbers") == ["The phone_numbers field has 1 invalid entry."]
    ((name, (sentence,)),) = found.items()
    return sentence.removeprefix(f"The {name} entry ")


@pytest.mark.parametrize(
    "line",
    [
        "tel:+12223334444, tel:+14443332222",
        "2223334444,tel:+14443332222",
        "2223334444,Ann,tel:+1444",
        "+12223334444, 4443332222;ani=1",
    ],
)
def test_a_second_number_on_a_files_line_is_refused_rather_than_kept_as_a_reference(line: str) -> None:
    assert only_fault(line.encode()).endswith("has more than one phone number: each needs a line of its own.")


@pytest.mark.parametrize("number", ["4443332222", "14443332222", "+442071234567", "(444) 333-2222", "+1444333222"])
@pytest.mark.parametrize(
    "line", ["2223334444,{}", "2223334444, Ann, {}", "+1 222 333 4444,{},Ann", '"2223334444","{}"']
)
@pytest.mark.parametrize("value", [str.encode, lambda line: [line.replace('"', "")]], ids=["file", "array"])
def test_what_could_be_a_second_number_or_a_reference_is_refused(
    value: Callable[[str], object], line: str, number: str
) -> None:
    fault = only_fault(value(line.format(number)))
    assert f'has "{number}" behind its number, which could be another number or a reference' in fault
    assert "tel:" in fault


@pytest.mark.parametrize("number", ["tel:+12223334444", "2223334444;ani=7", "tel:2223334444; postd=1"])
@pytest.mark.parametrize("reference", ["4443332222", "2024010512", "+442071234567", "+12 months plan", "1,2,3"])
def test_behind_an_unmistakable_number_a_bare_one_is_a_reference(number: str, reference: str) -> None:
    (entry,) = entries([f"{number}, {reference}"])
    assert entry.message_reference == reference
    assert entries(f"{number}, {reference}".encode()) == [entry]


CASES = [
    # what it is, the file or array, and its entries by number and reference
    ("an order number behind the reference's own format", ["tel:+12225550142; ani=2225550100, 2024010512"], 1),
    ("a reference that begins with a plus sign", ["2225550142, +12 months plan"], 1),
    ("marks of the writing direction", "\u202a+12225550142\u202c,".encode(), 1),
    ("no-break spaces", "(222)\xa0555\u202f0142".encode(), 1),
    ("two files joined", b"\xef\xbb\xbf2225550142\r\n\xef\xbb\xbf2225550143\r\n", 2),
    ("the end of a file as it was", b"2225550142\r\n2225550143\r\n\x1a", 2),
    ("the same, on a line of its own", b"2225550142\n\x1a\x1a\r\n", 1),
    ("semicolons", b"phone;name\r\n2225550142;Ann\r\n", 1),
    ("tabs with a heading", b"Phone\tName\n2225550142\tAnn\n", 1),
    ("tabs without one", b"2225550142\tAnn\n2225550143\t\n", 2),
    ("an array as a file", b'["tel:+12225550142;ani=2225550100","tel:+12225550143"]', 2),
    ("an array as a file, behind a mark", b'\xef\xbb\xbf\n ["2225550142"]\n', 1),
    ("a number kept from being an amount", b'"=""2225550142""",Ann\r\n="2225550143",Bob\r\n', 2),
    ("what is between columns, told first", b"sep=,\r\n2225550142,Ann\r\n", 1),
    ("the same, with semicolons and a heading", b"sep=;\r\nname;phone\r\nAnn;2225550142\r\n", 1),
    ("objects", [{"phone_number": "2225550142", "ani": "2225550100", "message_reference": "2024010512"}], 1),
    ("an object's numbers", [{"phone_number": 2225550142, "ani": 2225550100, "message_reference": 7}], 1),
]


@pytest.mark.parametrize(("value", "count"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_real_files_hold_is_read(value: object, count: int) -> None:
    found = entries(value)
    assert [entry.destination.split(";")[0] for entry in found] == ["tel:+12225550142", "tel:+12225550143"][:count]


@pytest.mark.parametrize(
    ("heading", "row", "entry"),
    [
        ("id,phone_number,ani,message_reference,x", "1,2223334444,777,a,", Entry("tel:+12223334444;ani=777", "a")),
        ("Caller ID,Phone,Name", "(777) 888-9999,2223334444,Ann", Entry("tel:+12223334444;ani=7778889999", "Ann")),
        ("phone,extension", "2223334444,12", Entry("tel:+12223334444;postd=12")),
        ("ref;tel;from", "2024010512;2223334444;", Entry("tel:+12223334444", "2024010512")),
        ("phone,ani", "2223334444;postd=1,777", Entry("tel:+12223334444;ani=777;postd=1")),
        ("phone,reference,City", '2223334444,"a, b",Rome', Entry("tel:+12223334444", "a, b")),
    ],
)
def test_a_heading_says_what_each_column_is(heading: str, row: str, entry: Entry) -> None:
    assert entries(f"{heading}\n{row}\n".encode()) == [entry]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("Phone,Mobile\n2223334444,4443332222", '"Phone" and "Mobile" could both be the phone_number'),
        ("Number,Name,Phone\n2024010512,Ann,2223334444", '"Number" and "Phone" could both be the phone_number'),
        ("phone,ani,Caller ID\n2223334444,1,2", '"ani" and "Caller ID" could both be the ani'),
        ("ani,reference\n1,2", "without a column for the number"),
        ("phone,Name,City\n2223334444,Ann,Rome", '"Name", "City" could be the message_reference'),
        ("phone,Name\n2223334444,Smith, Ann", "has 3 columns where the heading has 2"),
        ("phone,Spare\n2223334444,4443332222", 'has "4443332222" in the column "Spare"'),
        ("phone,ani\n2223334444;ani=1,2", "has more than one ani"),
        ("phone,Name\n,Ann", "is not a valid phone number"),
        ("Name\n2223334444", "Known are phone_number"),
        ("2024010512,web,101,1,2225550142,,Ann", 'has "2225550142" behind its number'),
        ("2225550142;Ann", "columns are separated by commas"),
        ("2225550142, ani=2225550100", 'has "ani=2225550100" behind a comma'),
        ("sep=;\n2225550142;ani=2225550100", 'has "ani=2225550100" behind a comma'),
        ("tel:+12225550142,Ann, PostD = 1", "a parameter is separated from its number by a semicolon"),
        ("2225550142\t4443332222", 'has "4443332222" behind its number'),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused_with_what_it_is_about(content: str, part: str) -> None:
    assert part in only_fault(content.encode())


@pytest.mark.parametrize(
    "written",
    [
        *("2225550142,,123#", "2225550142 - 12", "2225550142x12", "222-555-0142 ext. 12", "+12225550142 #12"),
        *("tel:+12225550142,,,4", "2225550142;ext=12", "(222) 555-0142 Extension 12", "2225550142 p12"),
        "+442071234567w1",
    ],
)
@pytest.mark.parametrize("value", [str.encode, lambda text: [text]], ids=["file", "array"])
def test_digits_behind_a_number_are_refused_and_postd_is_named(value: Callable[[str], object], written: str) -> None:
    assert "write ;postd= before digits to be sent" in only_fault(value(written))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ('{"phone_numbers": ["2225550142"]}', "must be a JSON array"),
        ('["2225550142"', "is not valid JSON"),
        ("[2225550142] x", "is not valid JSON"),
    ],
)
def test_json_in_a_file_is_read_or_refused_as_json(content: str, fault: str) -> None:
    assert fault in faults(content.encode())["phone_numbers"][0]


@pytest.mark.parametrize(
    ("element", "fault"),
    [
        ({}, "is not a valid phone number."),
        ({"phone_number": "2223334444", "name": "Ann"}, 'has an unknown member "name"'),
        ({"phone_number": "2223334444, march"}, "has a comma in its phone number."),
        ({"phone_number": "2223334444;ani=1", "ani": "2"}, "has more than one ani."),
        ({"phone_number": ["2223334444"]}, "has a phone_number that is no text."),
        ({"phone_number": "2223334444", "message_reference": 1.5}, "has a message_reference that is no text."),
        ({"phone_number": "2223334444", "message_reference": "a\nb"}, "has control characters"),
    ],
)
def test_an_object_in_an_array_is_read_by_its_members_and_no_others(element: object, fault: str) -> None:
    assert fault in only_fault([element])


@pytest.mark.parametrize(
    "piece",
    [
        *("2225550143 x12", "2225550143/2225550144", "2225550143 2225550144", "222/555-0143", "222\u2013555\u20130143"),
        *(
            "cell 2225550143",
            "callto:2225550143",
            "2225550143;",
            "2225550143#12",
            "(222) 555 0143 (home)",
            "+442071234567",
        ),
    ],
)
def test_a_number_anywhere_behind_a_bare_one_is_refused(piece: str) -> None:
    assert "2225550142" in only_fault([f"2225550142, {piece}"])
    assert "2225550142" in only_fault(f"2225550142,{piece}".encode())


@pytest.mark.parametrize(
    "reference",
    [
        "2024-01-05 10:30",
        "05.01.2024",
        "1/5/2024 8:00",
        "123456789",
        "A2024010512",
        "1234567890123456",
        "order 7, 2 pcs",
    ],
)
def test_dates_and_numbers_that_nobody_could_dial_are_references(reference: str) -> None:
    assert [entry.message_reference for entry in entries([f"2225550142, {reference}"])] == [reference]


@pytest.mark.parametrize("piece", ["ext 12", "ext. 12", "x12", "12#", "*12", "Extension: 4"])
def test_digits_to_send_behind_a_comma_are_refused_and_postd_is_named(piece: str) -> None:
    assert "write ;postd=" in only_fault([f"2225550142, {piece}"])
    assert "write ;postd=" in only_fault(f"2225550142,{piece}".encode())


@pytest.mark.parametrize("mark", ["\u200b", "\u202a", "\ufeff"])
def test_an_invisible_character_hides_no_second_number(mark: str) -> None:
    found = entries([f"tel:+12225550142, {mark}tel:+12225550143"])
    assert [entry.destination for entry in found] == ["tel:+12225550142", "tel:+12225550143"]
    assert "more than one phone number" in only_fault(f"2225550142,{mark}tel:+12225550143".encode())
    assert "behind a comma" in only_fault([f"2225550142,{mark}ani=777"])


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("Member Number,Phone (Home),Reference\n5551234567,2225550142,x", "5551234567"),
        ("cell phone,phone (home),reference\n2225550142,2225550143,a", "could both be the phone_number"),
        ("Phone 1 - Value,Phone 2 - Value\n2225550142,2225550143", "could both be the phone_number"),
        ("phone,,name\n2225550142,2225550143,Ann", "in a column without a name"),
        (",phone\n2225550142,2225550143", "in a column without a name"),
        ("phone,cli,reference\n2225550142,2024-01-05,x", "has an invalid ani"),
        ("phone,ref\n2225550142,ani=2225550100", "behind a comma"),
        ("phone,alternates\n2225550142,2225550143 (home)", 'in the column "alternates"'),
        ("222555, mobile\n2225550142", "is neither a phone number nor a heading"),
    ],
)
def test_columns_in_which_a_number_could_hide_are_refused(content: str, part: str) -> None:
    if content.startswith("Member"):
        assert [entry.destination for entry in entries(content.encode())] == ["tel:+12225550142"]
    else:
        assert part in only_fault(content.encode())


def test_an_object_with_the_same_name_twice_is_refused() -> None:
    twice = '[{"phone_number":"2225550142","phone_number":"2225550143"}]'
    assert (
        faults(twice.encode())
        == faults(twice)
        == {"phone_numbers": ["The phone_numbers field has an object with the same name twice."]}
    )


def test_a_heading_with_thousands_of_columns_costs_little_and_is_told_in_short() -> None:
    begun = time.process_time()
    found = faults(b"phone," + b"a," * 100_000 + b"\n" + b"2225550142\n" * 20_000)
    assert time.process_time() - begun < 3
    assert sum(len(sentence) for sentences in found.values() for sentence in sentences) < 50_000


def test_a_byte_order_mark_before_any_line_says_nothing() -> None:
    content = '\ufeff2225550142\r\n\ufeff"2225550143",Ann\r\n'.encode()
    assert [entry.message_reference for entry in entries(content)] == ["", "Ann"]
    assert len(entries("\ufeff\ufeff[2225550142]".encode())) == 1


def test_a_fault_tells_the_value_that_it_is_about_in_short_and_with_nothing_invisible() -> None:
    assert only_fault(["2223\x07\u202e" + "9" * 60]).startswith('"2223\\u0007\\u202e' + "9" * 34 + '\u2026" ')


def test_a_fault_in_a_file_is_named_by_its_line_counted_from_1_blank_ones_and_the_heading_included() -> None:
    content = b"destination\r\n\r\n" + b"2223334444\r\n" * 997 + b"22233\r\n"
    assert list(faults(content)) == ["phone_numbers", "phone_numbers.1000"]


def test_the_first_100_faults_are_listed_and_all_are_counted() -> None:
    found = faults(b"2223334444\n" + b"x\n" * 250)
    assert found["phone_numbers"] == [
        "The phone_numbers field has 250 invalid entries; the first 100 are listed.",
    ]
    assert list(found)[1:] == [f"phone_numbers.{line}" for line in range(2, 102)]


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04\x14\x00\x06\x00",
        "2223334444\n".encode("utf-16"),
        "2223334444,café".encode("latin-1"),
        b"2223334444\n\x00\n",
        bytes(range(256)),
    ],
)
def test_a_file_that_is_not_utf8_text_has_one_clear_fault(content: bytes) -> None:
    assert faults(content) == NOT_TEXT


@pytest.mark.parametrize("value", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"destination\n", [], (), "", " ", "[]"])
def test_an_upload_without_entries_is_refused(value: object) -> None:
    assert faults(value) == REQUIRED


def test_an_array_has_one_or_several_entries_an_element() -> None:
    value = ["tel:+12223334444, march", "2223334444; ani=7778889999, tel:4443332222, late"]
    assert entries(value) == [
        Entry("tel:+12223334444", "march"),
        Entry("tel:+12223334444;ani=7778889999"),
        Entry("tel:+14443332222", "late"),
    ]


def test_an_integer_in_an_array_is_its_digits() -> None:
    assert entries([2223334444, 14443332222]) == [FIRST, SECOND]


@pytest.mark.parametrize("element", [True, 2223334444.0, None, ["2223334444"]])
def test_an_element_that_is_neither_a_string_nor_an_integer_is_a_fault(element: object) -> None:
    assert faults(["2223334444", element])["phone_numbers.1"][0].endswith(" must be a string.")


@pytest.mark.parametrize("element", ["", " ", -2223334444, 10**15, 222, "4443332222, tel:+222"])
def test_a_fault_in_an_array_is_named_by_its_index_counted_from_0(element: object) -> None:
    assert faults([element, "2223334444"]) == {
        "phone_numbers": ["The phone_numbers field has 1 invalid entry."],
        "phone_numbers.0": [f'The phone_numbers.0 entry "{str(element).strip()}" is not a valid phone number.'],
    }


def test_an_array_may_come_as_json_text() -> None:
    assert entries(' ["tel:+12223334444;ani=7778889999","tel:+14443332222;ani=9998887777"] ') == [
        Entry("tel:+12223334444;ani=7778889999"),
        Entry("tel:+14443332222;ani=9998887777"),
    ]


def test_text_of_one_line_is_one_element_of_an_array() -> None:
    assert entries("2223334444, tel:4443332222, march") == [FIRST, Entry(SECOND.destination, "march")]
    assert "phone_numbers.0" in faults("march")


def test_text_of_several_lines_is_read_like_a_file() -> None:
    assert entries("\ufeffphone\n2223334444,march\n") == [Entry(FIRST.destination, "march")]
    assert "phone_numbers.3" in faults("\n2223334444\nmarch\n")


@pytest.mark.parametrize("text", ['["2223334444"', "[", '["2223334444"] x'])
def test_broken_json_text_is_one_fault(text: str) -> None:
    found = faults(text)
    assert list(found) == ["phone_numbers"]
    assert found["phone_numbers"][0].startswith("The phone_numbers field is not valid JSON: ")


def test_json_text_that_python_gives_up_on_is_one_fault() -> None:
    reason = "The phone_numbers field is not valid JSON: nested too deeply or too long."
    assert faults("[" * 100_000) == faults("[" + "1" * 5000 + "]") == {"phone_numbers": [reason]}


@pytest.mark.parametrize("value", [None, 2223334444, {"0": "2223334444"}, True])
def test_what_is_neither_a_file_nor_an_array_nor_text_is_one_fault(value: object) -> None:
    assert faults(value) == {"phone_numbers": ["The phone_numbers field must be an array or a file."]}


def test_repeats_are_kept() -> None:
    assert read(["2223334444", "2223334444"]) == Upload((FIRST, FIRST))


def test_unique_drops_later_entries_for_the_same_callee_and_counts_them() -> None:
    value = ["2223334444, a", "4443332222", "tel:+12223334444;ani=7778889999, b", "(222) 333-4444"]
    assert read(value, unique=True) == Upload((Entry(FIRST.destination, "a"), SECOND), dropped=2)


def test_unique_keeps_other_extensions_of_the_same_number() -> None:
    value = ["2223334444;postd=1", "2223334444;ani=7;postd=2", "2223334444;postd=2"]
    assert [entry.destination for entry in read(value, unique=True).entries] == [
        "tel:+12223334444;postd=1",
        "tel:+12223334444;ani=7;postd=2",
    ]


def test_a_refused_upload_is_refused_whole_also_with_unique() -> None:
    with pytest.raises(InvalidFields):
        read(["2223334444", "2223334444", "x"], unique=True)


rows = st.builds(
    Entry,
    st.integers(2_000_000_000, 9_999_999_999).map("tel:+1{}".format),
    st.text(st.sampled_from("abc é\"'-5"), max_size=12).map(lambda text: f"r{text}".strip()) | st.just(""),
)


@given(st.lists(rows, min_size=1), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_file_of_entries_reads_back_as_those_entries(listed: list[Entry], end: str) -> None:
    assert entries(end.join(entry.line for entry in listed).encode()) == listed
    assert entries(json.dumps([entry.line for entry in listed])) == listed


@given(st.binary() | st.text(alphabet='\r\n",;tel:+1234567890 [anipostd=]\x00').map(str.encode))
def test_whatever_the_bytes_the_upload_is_read_or_refused_with_sentences(content: bytes) -> None:
    try:
        read(content)
    except InvalidFields as refused:
        sentences = [sentence for field in refused.faults.values() for sentence in field]
    else:
        sentences = []
    assert all(sentence.endswith(".") for sentence in sentences)
