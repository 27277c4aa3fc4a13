"""The worst bodies that a request can have: the processor time until each is read or refused.

Each body has the largest size that is accepted. The slowest ones have a million items, each of which is read by itself.
"""

import time
from collections.abc import Iterator

from chalicelib.api import request
from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.api.validation import Form
from chalicelib.errors import CallpacerError

_PART = b'--B\r\nContent-Disposition: form-data; name="phone_numbers"; filename="n.csv"\r\n\r\n%s\r\n--B--'
#: the item that an array repeats, by its description
_ITEMS = {
    "ones": b"1",
    "integers of seven digits": b"2223334",
    "short texts": b'"1"',
    "numbers": b'"2223334444"',
    "numbers as integers": b"2223334444",
    "numbers as objects": b'{"phone_number":"2223334444"}',
    "empty objects": b"{}",
    "objects with something else": b'{"a":1}',
    "empty arrays": b"[]",
    "texts with an extension": b'"2223334444 x 1"',
}
#: the piece that the text of one element repeats
_PIECES = {
    "numbers": b"2223334444,",
    "unmistakable numbers": b"tel:2223334444,",
    "parameters": b",1;",
    "commas": b",",
}
#: the first line of a file, and the line that it repeats after that
_LINES = {
    "numbers": (b"2223334444\n", b"2223334444\n"),
    "numbers with a reference": (b"2223334444\n", b'"2223334444","Ann"\n'),
    "numbers below a heading": (b"phone,ani,name\n", b"2223334444,777,Ann\n"),
    "rows that are too long": (b"phone,ani,name\n", b"1,1,1,1\n"),
    "short lines": (b"2223334444\n", b"x\n"),
    "second numbers": (b"2223334444\n", b"2223334444,1,1,1,2223334444\n"),
    "foreign numbers": (b"", b"+44 20 7123 4567\n"),
    "foreign numbers with hyphens": (b"", b"+44-20-7123-4567\n"),
    "quoted cells with commas": (b"", b'2223334444,"Smith, Ann"\n'),
    "codes": (b"", b"2223334444,INV-2024-00123\n"),
    "UUIDs": (b"", b"2223334444,550e8400-e29b-41d4-a716-446655440000\n"),
    "stretches of days": (b"", b"2223334444,2024-01-05 - 2024-02-05\n"),
    "typographic quotation marks": (b"", "2223334444,\u201cAnn\u201d 2024-01-05\n".encode()),
    "digits apart": (b"", b"2223334444,1a2a3a4a5a6a7\n"),
    "times": (b"", b"2223334444,2024-01-02 10:30\n"),
    "amounts": (b"", b"2223334444,USD 1 234 567.00\n"),
    "accents": (b"", "2223334444,Jos\u00e9\n".encode()),
    "references like parameters": (b"", b"2223334444" + b",a;x;ani=" * 25 + b"\n"),
    "references like extensions": (b"", b"2223334444;ani=1" + b",x1" * 80 + b"\n"),
    "references like numbers": (b"", b"2223334444" + b",1234567890" * 21 + b"\n"),
    "references of many pieces": (b"", b"2223334444" + b",1" * 120 + b"\n"),
    "invisible characters": (b"2223334444\n", b"\xe2\x80\xaa1\n"),
    "tabs": (b"2223334444\t1\n", b"2223334444\t1\n"),
    "digits of one line": (b"", b"1 "),
    "columns of a heading": (b"", b"phone,"),
}
#: the bytes that a form repeats
_FORMS = {
    "delimiters with folded headers": b"--B\r\nX: 1\r\n 1\r\n",
    "lines of a folded header": b"\r\n 1",
    "brackets": b"[0]",
    "fields": b"a=1&",
}


def run(size: int = MAX_BODY_BYTES) -> Iterator[str]:
    for name, body in bodies(size):
        begun = time.process_time()
        outcome = read(body)
        yield f"{time.process_time() - begun:5.2f} s: {name}; {outcome}"


def read(body: bytes) -> str:
    """How many numbers were read, or the beginning of the refusal."""
    try:
        form = Form(request.read("POST", body, {}))
        found = form.phone_numbers(required=True)
        form.check()
    except CallpacerError as refused:
        return str(refused)[:70]
    return f"{len(found.entries):,} numbers"


def bodies(size: int) -> Iterator[tuple[str, bytes]]:
    """Each body with its description."""
    for name, item in _ITEMS.items():
        yield f"an array of {name}", b'{"phone_numbers":[%s]}' % filled(item + b",", size)[:-1]
    for name, piece in _PIECES.items():
        yield f"an element of {name}", b'{"phone_numbers":["2223334444%s"]}' % filled(piece, size)
    for name, (first, line) in _LINES.items():
        yield f"a file of {name}", _PART % (first + filled(line, size))
    for name, piece in _FORMS.items():
        yield f"a form of {name}", (b"--B\r\nX: 1" if piece.startswith(b"\r") else b"a") + filled(piece, size)


def filled(piece: bytes, size: int) -> bytes:
    return piece * ((size - 200) // len(piece))
