"""Lists of phone numbers: CSV and TXT files, arrays, text (reference, `phone_numbers`)."""

import csv
import io
import json
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain import columns
from chalicelib.domain.faults import (
    EntryFault,
    FaultyEntry,
    InvalidEntries,
    InvalidEntry,
    UnreadableUpload,
    UploadFault,
)
from chalicelib.domain.models import Entry
from chalicelib.domain.upload import Upload, read

FIRST = Entry("tel:+12223334444")
SECOND = Entry("tel:+14443332222")


def entries(value: object) -> list[Entry]:
    return list(read(value).entries)


def invalid(value: object) -> InvalidEntries:
    with pytest.raises(InvalidEntries) as caught:
        read(value)
    return caught.value


def only_fault(value: object) -> FaultyEntry:
    found = invalid(value)
    assert found.count == 1
    (faulty,) = found.listed
    return faulty


def unreadable(value: object) -> UploadFault:
    with pytest.raises(UnreadableUpload) as caught:
        read(value)
    return caught.value.code


def test_a_file_has_one_entry_a_line_in_its_order() -> None:
    content = b"tel:+12223334444; ani=7778889999, march\n4443332222\n"
    assert entries(content) == [Entry("tel:+12223334444;ani=7778889999", "march"), SECOND]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
def test_line_ends_of_every_system_and_a_byte_order_mark_are_read(begin: bytes, end: bytes) -> None:
    assert entries(begin + b"2223334444" + end + b"4443332222,caf\xc3\xa9" + end) == [
        FIRST,
        Entry(SECOND.destination, "café"),
    ]


@pytest.mark.parametrize("blank", [b"", b" \t", b",,", b'"",""', b"\xc2\xa0"])
def test_blank_lines_and_rows_of_empty_columns_are_ignored(blank: bytes) -> None:
    assert entries(b"\n".join([blank, b"2223334444", blank, blank, b"4443332222", blank])) == [FIRST, SECOND]


@pytest.mark.parametrize(
    "heading",
    [
        *("destination", "phone_number", "Phone Number,message_reference", '"phone-number","first name"', "NUMBER,,"),
        *("Business Phone,Name", "name,phone_number", "Customer's Mobile Number", "Teléfono", "Phone 1", "PHONE;Name"),
    ],
)
def test_a_first_line_that_is_a_heading_is_no_entry(heading: str) -> None:
    row = ",2223334444" if heading.startswith("name") else "2223334444"
    assert entries(f"\r\n{heading}\r\n{row}\r\n".encode()) == [FIRST]


@pytest.mark.parametrize("line", ["not a number", "name,address", "222333", "Account Number,Name", "Phone,Mobile"])
def test_a_first_line_that_is_neither_a_number_nor_a_known_heading_is_a_fault(line: str) -> None:
    assert only_fault(f"{line}\n2223334444".encode()).index == 1


def test_a_heading_is_known_only_in_the_first_line() -> None:
    assert only_fault(b"2223334444\nphone_number\n") == FaultyEntry(
        2, "phone_number", EntryFault.NO_NUMBER, {"number": "phone_number"}
    )


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


def test_a_line_quoted_as_a_whole_is_read_without_its_quotes() -> None:
    assert entries(b'"tel:+12223334444; ani=7778889999, march"\n') == [
        Entry("tel:+12223334444;ani=7778889999", "march")
    ]


def test_an_unclosed_quote_does_not_include_the_lines_after_it() -> None:
    found = invalid(b'2223334444,"march\n4443332222\n555333222\n')
    assert found.count == 2
    assert found.listed == [
        FaultyEntry(1, '2223334444,"march', EntryFault.UNCLOSED_QUOTATION_MARK, {}),
        FaultyEntry(3, "555333222", EntryFault.NO_NUMBER, {"number": "555333222"}),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "tel:+12223334444, tel:+14443332222",
        "2223334444,tel:+14443332222",
        "2223334444,Ann,tel:+1444",
        "+12223334444, 4443332222;ani=1",
    ],
)
def test_a_second_number_on_a_files_line_is_refused_instead_of_kept_as_a_reference(line: str) -> None:
    assert only_fault(line.encode()).code is EntryFault.SEVERAL_NUMBERS


@pytest.mark.parametrize("number", ["4443332222", "14443332222", "+442071234567", "(444) 333-2222", "+1444333222"])
@pytest.mark.parametrize(
    "line", ["2223334444,{}", "2223334444, Ann, {}", "+1 222 333 4444,{},Ann", '"2223334444","{}"']
)
@pytest.mark.parametrize("value", [str.encode, lambda line: [line.replace('"', "")]], ids=["file", "array"])
def test_what_could_be_a_second_number_or_a_reference_is_refused(
    value: Callable[[str], object], line: str, number: str
) -> None:
    found = only_fault(value(line.format(number)))
    assert found.code is EntryFault.NUMBER_OR_REFERENCE
    assert str(found.facts["piece"]).strip() == number


@pytest.mark.parametrize("number", ["tel:+12223334444", "2223334444;ani=7", "tel:2223334444; postd=1"])
@pytest.mark.parametrize("reference", ["4443332222", "2024010512", "+442071234567", "+12 months plan", "1,2,3"])
def test_after_an_unmistakable_number_a_bare_one_is_a_reference(number: str, reference: str) -> None:
    (entry,) = entries([f"{number}, {reference}"])
    assert entry.message_reference == reference
    assert entries(f"{number}, {reference}".encode()) == [entry]


CASES = [
    # a description, the file or array, and how many entries it has
    ("an order number after the reference's own format", ["tel:+12225550142; ani=2225550100, 2024010512"], 1),
    ("a reference that begins with a plus sign", ["2225550142, +12 months plan"], 1),
    ("characters for the writing direction", "\u202a+12225550142\u202c,".encode(), 1),
    ("no-break spaces", "(222)\xa0555\u202f0142".encode(), 1),
    ("two files joined", b"\xef\xbb\xbf2225550142\r\n\xef\xbb\xbf2225550143\r\n", 2),
    ("an end-of-file character", b"2225550142\r\n2225550143\r\n\x1a", 2),
    ("the same, on a line of its own", b"2225550142\n\x1a\x1a\r\n", 1),
    ("semicolons", b"phone;name\r\n2225550142;Ann\r\n", 1),
    ("tabs with a heading", b"Phone\tName\n2225550142\tAnn\n", 1),
    ("tabs without one", b"2225550142\tAnn\n2225550143\t\n", 2),
    ("an array as a file", b'["tel:+12225550142;ani=2225550100","tel:+12225550143"]', 2),
    ("an array as a file, after a byte order mark", b'\xef\xbb\xbf\n ["2225550142"]\n', 1),
    ("a number as a formula, so that a spreadsheet keeps it", b'"=""2225550142""",Ann\r\n="2225550143",Bob\r\n', 2),
    ("a first line that names the separator", b"sep=,\r\n2225550142,Ann\r\n", 1),
    ("the same, with semicolons and a heading", b"sep=;\r\nname;phone\r\nAnn;2225550142\r\n", 1),
    ("objects", [{"phone_number": "2225550142", "ani": "2225550100", "message_reference": "2024010512"}], 1),
    ("an object's numbers", [{"phone_number": 2225550142, "ani": 2225550100, "message_reference": 7}], 1),
]


@pytest.mark.parametrize(("value", "count"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_common_forms_of_files_and_arrays_are_read(value: object, count: int) -> None:
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
def test_a_heading_names_each_column(heading: str, row: str, entry: Entry) -> None:
    assert entries(f"{heading}\n{row}\n".encode()) == [entry]


@pytest.mark.parametrize(
    ("content", "code", "facts"),
    [
        (
            "Phone,Mobile\n2223334444,4443332222",
            EntryFault.HEADING_REPEATS_PART,
            {"first": "Phone", "second": "Mobile", "part": "phone_number"},
        ),
        (
            "Number,Name,Phone\n2024010512,Ann,2223334444",
            EntryFault.HEADING_REPEATS_PART,
            {"first": "Number", "second": "Phone", "part": "phone_number"},
        ),
        (
            "phone,ani,Caller ID\n2223334444,1,2",
            EntryFault.HEADING_REPEATS_PART,
            {"first": "ani", "second": "Caller ID", "part": "ani"},
        ),
        ("ani,reference\n1,2", EntryFault.HEADING_WITHOUT_NUMBER, {}),
        (
            "phone,Name,City\n2223334444,Ann,Rome",
            EntryFault.HEADING_WITH_SEVERAL_REFERENCES,
            {"columns": ["Name", "City"]},
        ),
        ("phone,Name\n2223334444,Smith, Ann", EntryFault.TOO_MANY_COLUMNS, {"columns": 3, "limit": 2}),
        (
            "phone,Spare\n2223334444,4443332222",
            EntryFault.NUMBER_IN_ANOTHER_COLUMN,
            {"cell": "4443332222", "column": "Spare"},
        ),
        ("phone,Spare\n2223334444,ext. 12", EntryFault.DIGITS_BEHIND_NUMBER, {}),
        ("phone,ani\n2223334444,+44 20 7123 4567 - 12", EntryFault.INVALID_ANI, {}),
        ("phone,ani\n2223334444;ani=1,2", EntryFault.REPEATED_PARAMETER, {"name": "ani"}),
        ("phone,Name\n,Ann", EntryFault.NO_NUMBER, {"number": ""}),
        ("Name\n2223334444", EntryFault.UNKNOWN_HEADING, {}),
        ("2024010512,web,101,1,2225550142,,Ann", EntryFault.NUMBER_OR_REFERENCE, {"piece": "2225550142"}),
        ("2225550142;Ann", EntryFault.UNKNOWN_PARAMETER, {}),
        ("2225550142, ani=2225550100", EntryFault.PARAMETER_BEHIND_COMMA, {"piece": " ani=2225550100"}),
        ("sep=;\n2225550142;ani=2225550100", EntryFault.PARAMETER_BEHIND_COMMA, {"piece": "ani=2225550100"}),
        ("tel:+12225550142,Ann, PostD = 1", EntryFault.PARAMETER_BEHIND_COMMA, {"piece": " PostD = 1"}),
        ("2225550142\t4443332222", EntryFault.NUMBER_OR_REFERENCE, {"piece": "4443332222"}),
    ],
)
def test_a_row_that_could_be_read_in_two_ways_is_refused_with_the_facts(
    content: str, code: EntryFault, facts: Mapping[str, object]
) -> None:
    found = only_fault(content.encode())
    assert (found.code, found.facts) == (code, facts)


@pytest.mark.parametrize(
    "written",
    [
        *("2225550142,,123#", "2225550142 - 12", "2225550142x12", "222-555-0142 ext. 12", "+12225550142 #12"),
        *("tel:+12225550142,,,4", "2225550142;ext=12", "(222) 555-0142 Extension 12", "2225550142 p12"),
        "+442071234567w1",
    ],
)
@pytest.mark.parametrize("value", [str.encode, lambda text: [text]], ids=["file", "array"])
def test_digits_after_a_number_are_refused(value: Callable[[str], object], written: str) -> None:
    assert only_fault(value(written)).code is EntryFault.DIGITS_BEHIND_NUMBER


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"phone_numbers": ["2225550142"]}', UploadFault.NO_JSON_ARRAY),
        ('["2225550142"', UploadFault.NO_JSON),
        ("[2225550142] x", UploadFault.NO_JSON),
    ],
)
def test_json_in_a_file_is_read_or_refused_as_json(content: str, code: UploadFault) -> None:
    assert unreadable(content.encode()) is code


@pytest.mark.parametrize(
    ("element", "code", "name"),
    [
        ({}, EntryFault.NO_NUMBER, None),
        ({"phone_number": "2223334444", "name": "Ann"}, EntryFault.UNKNOWN_MEMBER, "name"),
        ({"phone_number": "2223334444, march"}, EntryFault.COMMA_IN_NUMBER, None),
        ({"phone_number": "2223334444;ani=1", "ani": "2"}, EntryFault.REPEATED_PARAMETER, "ani"),
        ({"phone_number": ["2223334444"]}, EntryFault.MEMBER_WITHOUT_TEXT, "phone_number"),
        (
            {"phone_number": "2223334444", "message_reference": 1.5},
            EntryFault.MEMBER_WITHOUT_TEXT,
            "message_reference",
        ),
        ({"phone_number": "2223334444", "message_reference": "a\nb"}, EntryFault.CONTROL_CHARACTERS, None),
    ],
)
def test_an_object_in_an_array_is_read_by_its_members_and_no_others(
    element: object, code: EntryFault, name: str | None
) -> None:
    found = only_fault([element])
    assert (found.code, found.facts.get("name")) == (code, name)


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
        *("0049 30 1234567", "011 49 30 1234567", "030 1234567", "07123 456789", "44 20 7123 4567", "222-555-0143-5"),
        *("222\u2212555\u22120143", "222_555_0143", "222\u00b7555\u00b70143", "[222] 555-0143", "222    555    0143"),
        *("2.22555E+09", "2225550143.0", "\uff12" * 10, "\uff10\uff13\uff10 \uff11\uff12\uff13\uff14", "+\u0664" * 9),
    ],
)
def test_a_number_anywhere_after_a_bare_one_is_refused(piece: str) -> None:
    for value in ([f"2225550142, {piece}"], f"2225550142,{piece}".encode(), f"2024010512,{piece},x".encode()):
        assert only_fault(value).code in (EntryFault.NUMBER_OR_REFERENCE, EntryFault.DIGITS_BEHIND_NUMBER)


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
        "442071234567",
        "2024-0012",
        "Jos\u00e9 123456789",
        "12500.00 EUR",
    ],
)
def test_dates_and_numbers_that_cannot_be_dialled_are_references(reference: str) -> None:
    assert [entry.message_reference for entry in entries([f"2225550142, {reference}"])] == [reference]


FIRST_NUMBERS = ["2225550142", "+12225550142", "tel:2225550142", "2225550142;ani=7", "tel:2225550142;postd=12"]


@pytest.mark.parametrize("number", FIRST_NUMBERS)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "ext 12",
            "ext. 12",
            "x12",
            "12#",
            "*12",
            "Extension: 4",
            "13#",
            "123#",
            "w12#",
            "p12",
            "Ext #12",
            "ext 12 Ann",
        ),
        *(",12-34", "Ann, ext 12", "Ann ext. 12", "x12 Ann", "ww12w34#", "x 12#", "Extension no. 12", "# 12", "12-34#"),
        *("W 12", ",w12", "ext-12", "march, x12", ",12-34-56"),
    ],
)
def test_digits_to_send_after_a_comma_are_refused(number: str, piece: str) -> None:
    assert only_fault([f"{number}, {piece}"]).code is EntryFault.DIGITS_BEHIND_NUMBER
    assert only_fault(f"{number},{piece}".encode()).code is EntryFault.DIGITS_BEHIND_NUMBER


@given(
    st.sampled_from(FIRST_NUMBERS),
    st.sampled_from(["ext", "Ext.", "EXTENSION", "extn", "x", "w", "p", "pw", "#", "*"]),
    st.sampled_from(["", " ", ": ", "."]),
    st.from_regex("[0-9]{1,4}#?", fullmatch=True),
    st.sampled_from(["", "march, ", "2nd wave,"]),
)
def test_digits_to_send_are_recognised_however_they_are_written(
    number: str, word: str, separator: str, digits: str, before: str
) -> None:
    separator = separator.strip(".:") if word in "#*" else separator
    assert only_fault([f"{number}, {before}{word}{separator}{digits}"]).code is EntryFault.DIGITS_BEHIND_NUMBER


@pytest.mark.parametrize("number", FIRST_NUMBERS)
@pytest.mark.parametrize(
    "reference",
    [
        *(
            "P12345",
            "text 12",
            "next 5 days",
            "X-ray 5",
            "wave 2",
            "p",
            "x",
            "ex 12",
            "extra 5",
            "exterior 12",
            "PO 12",
        ),
        *("12-34", "plan 9", ",2024-01-05", ",05-01-2024", ",Ann", "X5Y", "C#", "A*12", "Ann #12", "#1 offer", "No. 1"),
    ],
)
def test_words_that_only_resemble_digits_to_send_are_references(number: str, reference: str) -> None:
    for value in ([f"{number}, {reference}"], f"{number}, {reference}".encode()):
        assert [entry.message_reference for entry in entries(value)] == [reference]


@pytest.mark.parametrize("invisible", ["\u200b", "\u202a", "\ufeff"])
def test_a_second_number_after_an_invisible_character_is_found(invisible: str) -> None:
    found = entries([f"tel:+12225550142, {invisible}tel:+12225550143"])
    assert [entry.destination for entry in found] == ["tel:+12225550142", "tel:+12225550143"]
    assert only_fault(f"2225550142,{invisible}tel:+12225550143".encode()).code is EntryFault.SEVERAL_NUMBERS
    assert only_fault([f"2225550142,{invisible}ani=777"]).code is EntryFault.PARAMETER_BEHIND_COMMA


#: names that have a word for a phone, and say that it isn't the callee's number
NOT_THE_CALLEES = [
    *(
        "Caller ID Phone",
        "From Phone",
        "ANI Phone",
        "Phone ID",
        "Phone Ref",
        "Phone Order",
        "Fax Phone",
        "CallerIdPhone",
    ),
    *(
        "Do not call phone",
        "Phone Type",
        "Phone Ext Type",
        "Outbound Phone",
        "Agent's Phone",
        "Emergency contact phone",
    ),
    *(
        "phone of the sender",
        "Tel. Rechnung",
        "Mobile App",
        "cell count",
        "phone \u0444\u0430\u043a\u0441",
        "Alternate phone",
    ),
]
CALLEES = [
    *("Business Phone", "Phone (Home)", "Phone 1 - Value", "Customer's Mobile Number", "Patient's Phone", "Tel. No."),
    *("Cell #", "Work telephone", "PRIMARY_PHONE_NUMBER", "mobile-no", "Daytime Phone", "Phone E164", "HomePhone"),
    *("Contact Phone Number", "Tel\u00e9fono de contacto", "Main phone", "Rufnummer", "Client\u2019s cell"),
]


@pytest.mark.parametrize("name", NOT_THE_CALLEES)
def test_a_name_that_says_more_than_whose_phone_it_is_is_not_the_number(name: str) -> None:
    assert only_fault(f"{name},Name\n2024010512,Ann".encode()).code is EntryFault.UNKNOWN_HEADING
    assert only_fault(f"{name},reference\n2024010512,x".encode()).code is EntryFault.HEADING_WITHOUT_NUMBER
    assert only_fault(f"{name}\n2024010512".encode()).code is EntryFault.UNKNOWN_HEADING


@pytest.mark.parametrize("name", NOT_THE_CALLEES)
def test_beside_the_number_a_column_of_such_a_name_has_no_other(name: str) -> None:
    for content in (f"Number,{name}\n2225550142,2225550143", f"{name},Number,ref\n2225550143,2225550142,x"):
        found = only_fault(content.encode())
        assert found.code in (EntryFault.NUMBER_IN_ANOTHER_COLUMN, EntryFault.COLUMN_NOT_EMPTY)
        assert (found.facts["cell"], found.facts["column"]) == ("2225550143", name)
        assert len(entries(content.replace("2225550143", "").encode())) == 1


@pytest.mark.parametrize("name", CALLEES)
def test_a_name_that_says_whose_phone_it_is_is_the_number(name: str) -> None:
    assert entries(f"Name,{name}\nAnn,2223334444".encode()) == [Entry(FIRST.destination, "Ann")]
    assert only_fault(f"Number,{name},ref\n2024010512,2223334444,x".encode()).code is EntryFault.HEADING_REPEATS_PART


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Contact Number",
            "Member Number",
            "Order No",
            "Kundennummer",
            "Customer Nr.",
            "Account #/Number",
            "dialnumber",
        ),
        *(
            "from",
            "From:",
            "outbound caller id",
            "Caller Name",
            "CallerID2",
            "ANI 2",
            "cli.",
            "callback",
            "fax",
            "pager",
        ),
        *(
            "ext 2",
            "Ext. No.",
            "Office ext",
            "extension 2",
            "Provider Ext",
            "extn2",
            "Country Code",
            "area_code",
            "Prefix",
        ),
        *(
            "dtmf digits",
            "contactnumber",
            "Handy",
            "What is the best phone number to reach you? " * 2 + "Thanks",
        ),
    ],
)
@pytest.mark.parametrize("cell", ["12", "2225550143", "A 1"])
def test_a_column_whose_name_means_digits_must_be_empty_or_known(name: str, cell: str) -> None:
    for content in (f"phone,{name},ref\n2225550142,{cell},x", f"{name},phone\n{cell},2225550142"):
        if name in ("ext 2", "extension 2", "extn2", "ANI 2", "CallerID2", "cli."):  # known, as without the digit
            assert len(entries(content.replace(cell, "12").encode())) == 1
            continue
        found = only_fault(content.encode())
        assert (found.code, found.facts) == (EntryFault.COLUMN_NOT_EMPTY, {"cell": cell, "column": name})
        assert len(entries(content.replace(f",{cell},", ",,").replace(f"\n{cell},", "\n,").encode())) == 1


def test_an_extension_is_known_by_its_short_names() -> None:
    for name in ("extn", "Ext.", "Phone Extn", "EXTENSION"):
        assert entries(f"phone,{name}\n2223334444,12".encode()) == [Entry("tel:+12223334444;postd=12")]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        *[
            (cell, EntryFault.NUMBER_IN_ANOTHER_COLUMN)
            for cell in ("2225550143", "(222) 555-0143 (home)", "030 1234567")
        ],
        *[
            (cell, EntryFault.NUMBER_IN_ANOTHER_COLUMN)
            for cell in ("tel:12", "0044 20 7123 4567", "\uff12" * 10, "555-0143")
        ],
        *[(cell, EntryFault.DIGITS_BEHIND_NUMBER) for cell in ("ext. 12", "Extension 12")],
        ("ani=2225550100", EntryFault.PARAMETER_BEHIND_COMMA),
    ],
)
@pytest.mark.parametrize("heading", ["phone,Home,ref", "phone,Note,reference", "phone,Contact,a,b,c,ref", "phone,Home"])
def test_what_may_be_dialled_is_not_ignored_in_any_column(heading: str, cell: str, code: EntryFault) -> None:
    rest = "," * heading.count(",")
    assert only_fault(f"{heading}\n2225550142,{cell}{rest[1:]}".encode()).code is code


@pytest.mark.parametrize("cell", ["Rome", "2024-01-05 10:30", "A2024010512", "12 Main St", "94107-1234", "123456789"])
def test_other_cells_are_ignored_if_a_column_is_the_reference(cell: str) -> None:
    assert entries(f"phone,Address,ref\n2223334444,{cell},x".encode()) == [Entry(FIRST.destination, "x")]


def test_the_columns_of_the_list_of_calls_may_have_digits() -> None:
    content = (
        "call_id,phone_number,message_reference,state,last_attempt_timestamp,Home\n"
        "4294967296,tel:+12223334444,a,completed,2000000000,{}\n"
    )
    assert entries(content.format("Rome").encode()) == [Entry(FIRST.destination, "a")]
    assert only_fault(content.format("2225550143").encode()).code is EntryFault.NUMBER_IN_ANOTHER_COLUMN
    assert only_fault(content.replace("call_id", "Call", 1).format("").encode()).facts["column"] == "Call"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("cell phone,phone (home),reference\n2225550142,2225550143,a", EntryFault.HEADING_REPEATS_PART),
        ("Phone 1 - Value,Phone 2 - Value\n2225550142,2225550143", EntryFault.HEADING_REPEATS_PART),
        ("phone,,name\n2225550142,2225550143,Ann", EntryFault.NUMBER_IN_NAMELESS_COLUMN),
        (",phone\n2225550142,2225550143", EntryFault.NUMBER_IN_NAMELESS_COLUMN),
        ("phone,cli,reference\n2225550142,2024-01-05,x", EntryFault.INVALID_ANI),
        ("phone,ref\n2225550142,ani=2225550100", EntryFault.PARAMETER_BEHIND_COMMA),
        ("phone,alternates\n2225550142,2225550143 (home)", EntryFault.NUMBER_IN_ANOTHER_COLUMN),
        ("222555, mobile\n2225550142", EntryFault.UNKNOWN_HEADING),
    ],
)
def test_columns_that_could_hold_another_number_are_refused(content: str, code: EntryFault) -> None:
    assert only_fault(content.encode()).code is code


def test_an_object_with_the_same_name_twice_is_refused() -> None:
    twice = '[{"phone_number":"2225550142","phone_number":"2225550143"}]'
    assert unreadable(twice.encode()) is unreadable(twice) is UploadFault.NAME_GIVEN_TWICE


def test_a_byte_order_mark_before_any_line_is_ignored() -> None:
    content = '\ufeff2225550142\r\n\ufeff"2225550143",Ann\r\n'.encode()
    assert [entry.message_reference for entry in entries(content)] == ["", "Ann"]
    assert len(entries("\ufeff\ufeff[2225550142]".encode())) == 1


def test_a_fault_in_a_file_has_its_line_counted_from_1_blank_ones_and_the_heading_included() -> None:
    content = b"destination\r\n\r\n" + b"2223334444\r\n" * 997 + b"22233\r\n"
    found = only_fault(content)
    assert (found.index, found.written) == (1000, "22233")


@pytest.mark.parametrize("count", [99, 100, 101, 102, 250])
def test_the_first_100_faults_are_listed_and_all_are_counted(count: int) -> None:
    found = invalid(b"2223334444\n" + b"x\n" * count)
    assert found.count == count
    assert [faulty.index for faulty in found.listed] == list(range(2, 2 + min(count, 100)))


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
    assert unreadable(content) is UploadFault.NO_UTF8


@pytest.mark.parametrize("value", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"destination\n", [], (), "", " ", "[]"])
def test_an_upload_without_entries_is_refused(value: object) -> None:
    assert unreadable(value) is UploadFault.NO_ENTRIES


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
    assert only_fault(["2223334444", element]) == FaultyEntry(1, element, EntryFault.NO_STRING, {})


@pytest.mark.parametrize("element", ["", " ", -2223334444, 10**15, 222, "4443332222, tel:+222"])
def test_a_fault_in_an_array_has_its_index_counted_from_0(element: object) -> None:
    found = only_fault([element, "2223334444"])
    assert (found.index, found.written, found.code) == (0, element, EntryFault.NO_NUMBER)


def test_an_array_may_come_as_json_text() -> None:
    assert entries(' ["tel:+12223334444;ani=7778889999","tel:+14443332222;ani=9998887777"] ') == [
        Entry("tel:+12223334444;ani=7778889999"),
        Entry("tel:+14443332222;ani=9998887777"),
    ]


def test_text_of_one_line_is_one_element_of_an_array() -> None:
    assert entries("2223334444, tel:4443332222, march") == [FIRST, Entry(SECOND.destination, "march")]
    assert only_fault("march").index == 0


def test_text_of_several_lines_is_read_like_a_file() -> None:
    assert entries("\ufeffphone\n2223334444,march\n") == [Entry(FIRST.destination, "march")]
    assert only_fault("\n2223334444\nmarch\n").index == 3


@pytest.mark.parametrize("text", ['["2223334444"', "[", '["2223334444"] x'])
def test_broken_json_text_is_one_fault_with_the_parsers_message(text: str) -> None:
    with pytest.raises(UnreadableUpload) as caught:
        read(text)
    with pytest.raises(json.JSONDecodeError) as decoding:
        json.loads(text)
    assert (caught.value.code, caught.value.parser_message) == (UploadFault.NO_JSON, str(decoding.value))


@pytest.mark.parametrize("text", ["[" * 100_000, "[" + "1" * 5000 + "]"])
def test_json_text_that_python_cannot_read_is_one_fault(text: str) -> None:
    assert unreadable(text) is UploadFault.JSON_TOO_LARGE


@pytest.mark.parametrize("value", [None, 2223334444, {"0": "2223334444"}, True])
def test_what_is_neither_a_file_nor_an_array_nor_text_is_one_fault(value: object) -> None:
    assert unreadable(value) is UploadFault.NO_ARRAY_OR_FILE


def test_repeats_are_kept() -> None:
    assert read(["2223334444", "2223334444"]) == Upload((FIRST, FIRST))


rows = st.builds(
    Entry,
    st.integers(2_000_000_000, 9_999_999_999).map("tel:+1{}".format),
    st.text(st.sampled_from("abc é\"'-5"), max_size=12).map(lambda text: f"r{text}".strip()) | st.just(""),
    st.none(),
    st.none(),
)


@given(st.lists(rows, min_size=1), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_file_of_entries_reads_back_as_those_entries(listed: list[Entry], end: str) -> None:
    assert entries(end.join(entry.line for entry in listed).encode()) == listed
    assert entries(json.dumps([entry.line for entry in listed])) == listed


@given(st.lists(st.text(alphabet='",;a =', max_size=6), min_size=1, max_size=3), st.sampled_from(",;"))
def test_a_row_of_quoted_cells_is_read_as_csv_reads_it(cells: list[str], delimiter: str) -> None:
    line = delimiter.join(f'"{cell}"' for cell in cells)
    try:
        (expected,) = csv.reader([line], strict=True, skipinitialspace=True, delimiter=delimiter)
    except csv.Error:
        with pytest.raises(InvalidEntry):
            columns.cells_of(line, delimiter)
    else:
        assert columns.cells_of(line, delimiter) == [columns.value(cell.strip()) for cell in expected]


@pytest.mark.parametrize(
    "content", [b"2223334444; Smith; Ann\n", b"2223334444 ;Smith; Ann\n", b"2223334444\tSmith\t Ann\n"]
)
def test_spaces_around_cells_are_no_part_of_a_reference(content: bytes) -> None:
    begin = b"sep=;\n" if b";" in content else b""
    assert entries(begin + content) == [Entry("tel:+12223334444", "Smith,Ann")]


@pytest.mark.parametrize("line", [b'"2223334444","Smith"," Ann"', b'"2223334444","Smith","Ann"'])
def test_spaces_around_quoted_cells_are_no_part_of_a_reference(line: bytes) -> None:
    assert entries(line) == [Entry("tel:+12223334444", "Smith,Ann")]


@given(
    st.lists(st.sampled_from(["Smith", " Ann", "Ann ", "Smith, Ann", "a", "", "12", '"x"']), min_size=1, max_size=3),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
)
def test_a_row_in_any_dialect_is_read_as_one_that_is_examined_whole(
    cells: list[str], delimiter: str, is_quoted: bool
) -> None:
    """A space before the number keeps a row from the fast path."""

    def read_row(number: str) -> list[Entry] | list[EntryFault]:
        text = io.StringIO()
        text.write("" if delimiter == "," else f"sep={delimiter}\n")
        usual, quoted = (
            csv.writer(text, delimiter=delimiter),
            csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL),
        )
        (quoted if is_quoted else usual).writerow([number, *cells])
        try:
            return entries(text.getvalue().encode())
        except InvalidEntries as invalid:
            return [one.code for one in invalid.listed]

    assert read_row("2223334444") == read_row(" 2223334444")
