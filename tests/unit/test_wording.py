"""The sentences of faults in uploads, each exactly as customers read it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.wording import sentences_of
from chalicelib.domain.faults import EntryFault, InvalidEntries, UnreadableUpload, UploadFault
from chalicelib.domain.upload import read


def refused(value: object) -> UnreadableUpload | InvalidEntries:
    with pytest.raises((UnreadableUpload, InvalidEntries)) as caught:
        read(value)
    assert isinstance(caught.value, UnreadableUpload | InvalidEntries)
    return caught.value


#: each fault of an entry, an upload that has it, where the fault is, and the sentence's end after "The … entry "
ENTRIES: list[tuple[EntryFault, object, int, str]] = [
    (
        EntryFault.NO_NUMBER,
        ["12"],
        0,
        '"12" is not a valid phone number: ten digits, or + and a country code.',
    ),
    (
        EntryFault.NO_NUMBER,
        b"2223334444\n12\n",
        2,
        '"12" is not a valid phone number: ten digits, or + and a country code.',
    ),
    (
        EntryFault.NO_NUMBER,
        [-2223334444],
        0,
        '"-2223334444" is not a valid phone number: ten digits, or + and a country code.',
    ),
    (
        EntryFault.NO_NUMBER,
        [{}],
        0,
        '"{}" is not a valid phone number: ten digits, or + and a country code.',
    ),
    (
        EntryFault.AMOUNT,
        ["2.22E+09"],
        0,
        '"2.22E+09" reads like an amount that a spreadsheet made of a number: format the column as text.',
    ),
    (
        EntryFault.DIGITS_BEHIND_NUMBER,
        ["2223334444 x12"],
        0,
        (
            '"2223334444 x12" has digits behind its number: write ;postd= before digits to be sent once the call is '
            "answered."
        ),
    ),
    (
        EntryFault.UNEXPECTED_CHARACTER,
        ["222-333-4444?"],
        0,
        '"222-333-4444?" has an unexpected character "?" after "222-333-4444".',
    ),
    (
        EntryFault.UNEXPECTED_CHARACTER,
        ["222\t3334444"],
        0,
        '"222\\u00093334444" has an unexpected character U+0009 after "222".',
    ),
    (
        EntryFault.UNEXPECTED_CHARACTER,
        ["222\u20113334444"],
        0,
        '"222\u20113334444" has an unexpected character U+2011 after "222".',
    ),
    (
        EntryFault.UNEXPECTED_CHARACTER,
        ["'2223334444"],
        0,
        '"\'2223334444" has an unexpected character "\'" at its beginning.',
    ),
    (
        EntryFault.COMMA_IN_NUMBER,
        [{"phone_number": "2223334444, march"}],
        0,
        '"{"phone_number": "2223334444, march"}" has a comma in its phone number.',
    ),
    (
        EntryFault.UNKNOWN_PARAMETER,
        ["2223334444;isub=5"],
        0,
        (
            '"2223334444;isub=5" has an unknown parameter: only ani and postd are known, and columns are separated by '
            "commas."
        ),
    ),
    (EntryFault.REPEATED_PARAMETER, ["2223334444;ani=1;ani=2"], 0, '"2223334444;ani=1;ani=2" has more than one ani.'),
    (
        EntryFault.INVALID_ANI,
        ["2223334444;ani=x"],
        0,
        '"2223334444;ani=x" has an invalid ani: it must be 1 to 15 digits, with or without a plus sign.',
    ),
    (
        EntryFault.INVALID_POSTD,
        ["2223334444;postd=x"],
        0,
        '"2223334444;postd=x" has an invalid postd: it must be 1 to 64 digits, asterisks or number signs.',
    ),
    (
        EntryFault.CONTROL_CHARACTERS,
        ["2223334444,a\x7fb"],
        0,
        '"2223334444,a\\u007fb" has control characters in its message_reference.',
    ),
    (
        EntryFault.REFERENCE_TOO_LONG,
        ["2223334444," + "a" * 256],
        0,
        f'"2223334444,{"a" * 29}\u2026" has a message_reference greater than 255 bytes.',
    ),
    (
        EntryFault.SEVERAL_NUMBERS,
        b"2223334444,tel:+14443332222",
        1,
        '"2223334444,tel:+14443332222" has more than one phone number: each needs a line of its own.',
    ),
    (
        EntryFault.NUMBER_OR_REFERENCE,
        ["2223334444, 4443332222"],
        0,
        (
            '"2223334444, 4443332222" has "4443332222" behind its number, which could be another number or a '
            "reference: write tel: before each number, or give each an entry of its own."
        ),
    ),
    (
        EntryFault.PARAMETER_BEHIND_COMMA,
        ["2223334444, ani=777"],
        0,
        '"2223334444, ani=777" has "ani=777" behind a comma: a parameter is separated from its number by a semicolon.',
    ),
    (
        EntryFault.UNCLOSED_QUOTATION_MARK,
        b'2223334444,"march\n',
        1,
        '"2223334444,"march" has a quotation mark that is not closed.',
    ),
    (
        EntryFault.TOO_MANY_COLUMNS,
        b"phone,Name\n2223334444,Smith, Ann",
        2,
        '"2223334444,Smith, Ann" has 3 columns where the heading has 2: what holds a separator needs quotation marks.',
    ),
    (
        EntryFault.NUMBER_IN_ANOTHER_COLUMN,
        b"phone,Spare\n2223334444,4443332222",
        2,
        (
            '"2223334444,4443332222" has "4443332222" in the column "Spare", which could be another number: if it '
            "isn't, leave the column out, or call it message_reference."
        ),
    ),
    (
        EntryFault.COLUMN_NOT_EMPTY,
        b"phone,Contact Number,ref\n2223334444,12,x",
        2,
        (
            '"2223334444,12,x" has "12" in the column "Contact Number", whose name may mean a number, a caller id or '
            "an extension but isn't known: give it the name of what it has, or leave it out."
        ),
    ),
    (
        EntryFault.NUMBER_IN_NAMELESS_COLUMN,
        b"phone,,Name\n2223334444,4443332222,Ann",
        2,
        '"2223334444,4443332222,Ann" has "4443332222" in a column without a name.',
    ),
    (
        EntryFault.HEADING_REPEATS_PART,
        b"Phone,Mobile\n2223334444,4443332222",
        1,
        '"Phone,Mobile" is a heading in which "Phone" and "Mobile" could both be the phone_number: only one can be.',
    ),
    (
        EntryFault.HEADING_WITHOUT_NUMBER,
        b"ani,reference\n1,2",
        1,
        (
            '"ani,reference" is a heading without a column for the number; known are phone_number (or phone, mobile, '
            "telephone, destination and the like), ani, postd and message_reference."
        ),
    ),
    (
        EntryFault.HEADING_WITH_SEVERAL_REFERENCES,
        b"phone,a,b,c,d,e,f\n2223334444",
        1,
        (
            '"phone,a,b,c,d,e,f" is a heading in which "a", "b", "c", "d", "e" could be the message_reference: call '
            "one of them so."
        ),
    ),
    (
        EntryFault.UNKNOWN_HEADING,
        b"Name\n2223334444",
        1,
        (
            '"Name" is neither a phone number nor a heading that is known. Known are phone_number (or phone, mobile, '
            "telephone, destination and the like), ani, postd and message_reference."
        ),
    ),
    (EntryFault.NO_STRING, [None], 0, '"null" must be a string.'),
    (EntryFault.NO_STRING, [1.5], 0, '"1.5" must be a string.'),
    (EntryFault.NO_STRING, [True], 0, '"true" must be a string.'),
    (
        EntryFault.UNKNOWN_MEMBER,
        [{"name": "Ann"}],
        0,
        '"{"name": "Ann"}" has an unknown member "name": known are phone_number, ani, postd, message_reference.',
    ),
    (
        EntryFault.MEMBER_WITHOUT_TEXT,
        [{"phone_number": [2]}],
        0,
        '"{"phone_number": [2]}" has a phone_number that is no text.',
    ),
]

#: each fault of a whole upload, an upload that has it, and the sentence's end after "The … field "
UPLOADS: list[tuple[UploadFault, object, str]] = [
    (UploadFault.NO_ENTRIES, [], "is required."),
    (UploadFault.NO_ARRAY_OR_FILE, 7, "must be an array or a file."),
    (UploadFault.NO_UTF8, b"\xff\xfe", "must be a CSV or TXT file in UTF-8: save it as CSV UTF-8."),
    (UploadFault.NO_JSON, "[1 2]", "is not valid JSON: Expecting ',' delimiter: line 1 column 4 (char 3)."),
    (UploadFault.JSON_TOO_LARGE, "[" * 100_000, "is not valid JSON: nested too deeply or too long."),
    (UploadFault.NO_JSON_ARRAY, "{}", "must be a JSON array, if it is JSON."),
    (UploadFault.NAME_GIVEN_TWICE, '[{"ani":1,"ani":2}]', "has an object with the same name twice."),
]


@pytest.mark.parametrize(("code", "value", "index", "ending"), ENTRIES)
def test_each_fault_of_an_entry_has_its_sentence(code: EntryFault, value: object, index: int, ending: str) -> None:
    found = refused(value)
    assert isinstance(found, InvalidEntries)
    assert [faulty.code for faulty in found.listed] == [code]
    assert sentences_of(found) == {
        "phone_numbers": ["The phone_numbers field has 1 invalid entry."],
        f"phone_numbers.{index}": [f"The phone_numbers.{index} entry {ending}"],
    }


@pytest.mark.parametrize(("code", "value", "ending"), UPLOADS)
def test_each_fault_of_an_upload_has_its_sentence(code: UploadFault, value: object, ending: str) -> None:
    found = refused(value)
    assert isinstance(found, UnreadableUpload)
    assert found.code is code
    assert sentences_of(found) == {"phone_numbers": [f"The phone_numbers field {ending}"]}


def test_no_code_is_without_a_sentence() -> None:
    assert {code for code, *_ in ENTRIES} == set(EntryFault)
    assert {code for code, *_ in UPLOADS} == set(UploadFault)


@pytest.mark.parametrize(
    ("count", "ending"),
    [
        (1, "1 invalid entry."),
        (2, "2 invalid entries."),
        (100, "100 invalid entries."),
        (101, "101 invalid entries; the first 100 are listed."),
        (10_000, "10000 invalid entries; the first 100 are listed."),
        (10_001, "more than 10000 invalid entries; the first 100 are listed."),
    ],
)
def test_the_first_sentence_has_the_numbers_of_invalid_and_of_listed_entries(count: int, ending: str) -> None:
    sentences = sentences_of(refused(["x"] * count))
    assert list(sentences) == ["phone_numbers", *(f"phone_numbers.{index}" for index in range(min(count, 100)))]
    assert sentences["phone_numbers"] == [f"The phone_numbers field has {ending}"]


def test_a_sentence_shortens_the_value_and_escapes_its_invisible_characters() -> None:
    (sentence,) = sentences_of(refused(["2223\x07\u202e" + "9" * 60]))["phone_numbers.0"]
    assert sentence.startswith(f'The phone_numbers.0 entry "2223\\u0007\\u202e{"9" * 34}\u2026" ')


def test_a_heading_with_thousands_of_columns_costs_little_and_its_sentences_are_short() -> None:
    begun = time.process_time()
    found = sentences_of(refused(b"phone," + b"a," * 100_000 + b"\n" + b"2225550142\n" * 20_000))
    assert time.process_time() - begun < 3
    assert sum(len(sentence) for sentences in found.values() for sentence in sentences) < 50_000


@given(st.binary() | st.text(alphabet='\r\n",;tel:+1234567890 [anipostd=]\x00').map(str.encode))
def test_any_bytes_are_read_or_refused_with_sentences(content: bytes) -> None:
    try:
        read(content)
    except (UnreadableUpload, InvalidEntries) as found:
        sentences = [sentence for field in sentences_of(found).values() for sentence in field]
    else:
        sentences = []
    assert all(sentence.endswith(".") for sentence in sentences)
