"""Reading of uploads, from a file's bytes to the entries of a campaign's queue, compared with the csv module alone."""

import csv
import io
from collections.abc import Iterator

from benchmarks.comparison import ROUNDS, compared
from chalicelib.domain.upload import read

#: about as many as a request can hold
NUMBERS = 100_000


def run(numbers: int = NUMBERS, rounds: int = ROUNDS) -> Iterator[str]:
    content = file_of(numbers)

    def upload() -> None:
        found = len(read(content).entries)
        if found != numbers:
            raise RuntimeError(f"{found} of {numbers} numbers were read")

    def bare() -> None:
        rows = len(list(csv.reader(io.StringIO(content.decode()))))
        if rows != numbers + 1:
            raise RuntimeError(f"{rows} of {numbers + 1} rows were read")

    yield from compared("numbers", numbers, ("reading of uploads", upload), ("the csv module", bare), rounds)


def file_of(numbers: int) -> bytes:
    """A heading, and numbers that alternate between their usual forms."""
    forms = (
        "tel:+1222{:07d};ani=7778889999,reference {}",
        "222{:07d},reference {}",
        '"1222{:07d}","reference {}"',
        "+1 222 {:07d},reference {}",
    )
    lines = (forms[index % len(forms)].format(index, index) for index in range(numbers))
    return "".join(f"{line}\r\n" for line in ("phone_number,reference", *lines)).encode()
