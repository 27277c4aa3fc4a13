from chalicelib.domain.upload import read
from demo.numbers import MOST, file, numbers


def test_the_api_reads_from_the_file_the_very_numbers_that_are_expected() -> None:
    entries = read(file(300)).entries
    assert [(entry.destination, entry.message_reference) for entry in entries] == [
        (number.destination, number.reference) for number in numbers(300)
    ]


def test_no_number_is_there_twice() -> None:
    assert len(set(numbers(MOST))) == MOST


def test_the_file_has_what_files_of_customers_have() -> None:
    heading, blank, *lines = file(10).decode().removesuffix("\r\n").split("\r\n")
    assert (heading, blank, len(lines)) == ("phone_number,reference", "", 10)
    assert lines[:5] == [
        "tel:+12223330000;ani=7778889999,demo-0000",
        '"tel:+12223330001 ; ani=7778889999","demo-0001"',
        "2223330002, demo-0002",
        "+1 222 333 0003,demo-0003",
        '"(222) 333-0004","Doe, Jane 0004"',
    ]
