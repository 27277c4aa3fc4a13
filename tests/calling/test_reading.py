"""`"result": "failed"` in an answer isn't taken for completed: the body is read, or the reason says that it isn't."""

import gzip
import re
import time
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.domain.outcome import Outcome, Result, outcome_of
from chalicelib.gateway.http.reading import read_head
from chalicelib.gateway.http.unpacking import LONGEST_BODY
from tests.calling.test_listening import heard

FAILED = b'{"result": "failed", "reason": "busy", "duration": 3}'
GZIPPED = gzip.compress(FAILED, mtime=0)
RAW_DEFLATED = GZIPPED[10:-8]
IN_TWO_MEMBERS = gzip.compress(FAILED[:20], mtime=0) + gzip.compress(FAILED[20:], mtime=0)
CHARACTERS = '{"result": "failed", "reason": "busy", "duration": 3, "note": "ñandú"}'


def answer(*headers: str, body: bytes = FAILED) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + "".join(f"{header}\r\n" for header in headers).encode("latin-1") + b"\r\n" + body


def chunked(body: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"%x\r\n%b\r\n%b" % (len(body), body, end)


def length(body: bytes) -> str:
    return f"Content-Length: {len(body)}"


READ = {
    "nothing odd": answer(length(FAILED)),
    "the same length twice": answer(length(FAILED), length(FAILED)),
    "the same length in a list": answer(f"{length(FAILED)}, {len(FAILED)}"),
    "two lengths": answer("Content-Length: 5", length(FAILED)),
    "a length in characters": answer(f"Content-Length: {len(CHARACTERS)}", body=CHARACTERS.encode()),
    "a length of an announced body that is longer": answer("Content-Length: 100"),
    "a length that is no number": answer("Content-Length: many"),
    "a negative length": answer("Content-Length: -1"),
    "a header without a colon": answer("no colon", length(FAILED)),
    "a header without a colon before the coding": answer("no colon", "Content-Encoding: gzip", body=GZIPPED),
    "a header without a name": answer(": nameless", length(FAILED)),
    "a name that is not ASCII": answer("Größe: 1", "Content-Encoding: gzip", body=GZIPPED),
    "a space before the colon": answer("Content-Encoding : gzip", body=GZIPPED),
    "a carriage return in a header": answer("X: a\rb", "Content-Encoding: gzip", body=GZIPPED),
    "a folded header": answer("Content-Encoding:", " gzip", body=GZIPPED),
    "a line of spaces": answer("X: 1", "   ", "Content-Encoding: gzip", body=GZIPPED),
    "a null character": answer("X: \0", length(FAILED)),
    "identity as transfer encoding": answer("Transfer-Encoding: identity", length(FAILED)),
    "identity before chunked": answer("Transfer-Encoding: identity, chunked", body=chunked(FAILED)),
    "a length beside chunks": answer("Transfer-Encoding: chunked", "Content-Length: 5", body=chunked(FAILED)),
    "chunked twice": answer("Transfer-Encoding: chunked, chunked", body=chunked(FAILED)),
    "a trailer": answer("Transfer-Encoding: chunked", body=chunked(FAILED, b"0\r\nX: 1\r\n\r\n")),
    "chunks without an end": answer("Transfer-Encoding: chunked", body=chunked(FAILED, b"")),
    "long headers": answer(*["X-A: a value of some length"] * 1_000, length(FAILED)),
    "a long header": answer("X-A: " + "a" * 70_000, length(FAILED)),
    "an HTTP of 2.0": answer(length(FAILED)).replace(b"1.1", b"2.0"),
    "line feeds": answer(length(FAILED)).replace(b"\r\n", b"\n"),
    "gzip": answer("Content-Encoding: gzip", length(GZIPPED), body=GZIPPED),
    "gzip by its old name": answer("content-encoding: X-GZIP", body=GZIPPED),
    "gzip in two members": answer("Content-Encoding: gzip", body=IN_TWO_MEMBERS),
    "gzip with zeros after it": answer("Content-Encoding: gzip", body=GZIPPED + bytes(20)),
    "gzip with a rest": answer("Content-Encoding: gzip", body=GZIPPED + b"rest"),
    "gzip without its end": answer("Content-Encoding: gzip", body=GZIPPED[:-8]),
    "gzip with the length of what was packed": answer("Content-Encoding: gzip", length(FAILED[:30]), body=GZIPPED),
    "gzip that isn't named": answer(length(GZIPPED), body=GZIPPED),
    "gzip as transfer coding": answer("Transfer-Encoding: gzip", body=GZIPPED),
    "chunks of gzip as transfer coding": answer("Transfer-Encoding: gzip, chunked", body=chunked(GZIPPED)),
    "chunks of gzip": answer("Content-Encoding: gzip", "Transfer-Encoding: chunked", body=chunked(GZIPPED)),
    "gzip after identity": answer("Content-Encoding: identity", "Content-Encoding: gzip", body=GZIPPED),
    "gzip before identity": answer("Content-Encoding: gzip, identity", body=GZIPPED),
    "gzip of gzip": answer("Content-Encoding: gzip", "Content-Encoding: gzip", body=gzip.compress(GZIPPED, mtime=0)),
    "gzip that is none": answer("Content-Encoding: gzip"),
    "gzip once though named twice": answer("Content-Encoding: gzip, gzip", body=GZIPPED),
    "a coding that is unknown, and not there": answer("Content-Encoding: br"),
    "an unknown transfer coding that is not there": answer("Transfer-Encoding: zstd, chunked", body=chunked(FAILED)),
    "deflate": answer("Content-Encoding: deflate", body=zlib.compress(FAILED)),
    "deflate without a header": answer("Content-Encoding: deflate", body=RAW_DEFLATED),
    "a byte order mark": answer(body=b"\xef\xbb\xbf" + FAILED),
    "UTF-16": answer(body=FAILED.decode().encode("utf-16")),
    "space up to the limit": answer(body=FAILED.ljust(LONGEST_BODY)),
}

BR = b"\x0b\x02\x80hello\x03"
LONG = FAILED[:-1] + b', "note": "' + b"x" * LONGEST_BODY + b'"}'
UNREAD = {
    "a coding that is unknown": answer("Content-Encoding: br", body=BR),
    "an unknown coding below gzip": answer("Content-Encoding: br, gzip", body=gzip.compress(BR, mtime=0)),
    "an unknown transfer coding": answer("Transfer-Encoding: br, chunked", body=chunked(BR)),
    "gzip that is none": answer("Content-Encoding: gzip", body=b"<vxml/>"),
    "too many codings": answer("Content-Encoding: " + ", ".join(["gzip"] * 50), body=GZIPPED),
    "half of gzip": answer("Content-Encoding: gzip", body=GZIPPED[:20]),
    "gzip whose second member is cut off": answer("Content-Encoding: gzip", body=IN_TWO_MEMBERS[:-20]),
    "a second member that is broken": answer("Content-Encoding: gzip", body=IN_TWO_MEMBERS[:-40] + bytes(range(40))),
    "a broken chunk": answer("Transfer-Encoding: chunked", body=b"ZZ\r\n" + FAILED),
    "a chunk that is cut off": answer("Transfer-Encoding: chunked", body=chunked(FAILED)[:30]),
    "half a body": answer(length(FAILED), body=FAILED[:30]),
    "half a body without a length": answer(body=FAILED[:30]),
    "headers without an end": b"HTTP/1.1 200 OK\r\nX: 1\r\n",
    "headers that are too long": answer(*["X-A: a value of some length"] * 4_000),
    "JSON that is too long": answer(length(LONG), body=LONG),
    "JSON that is too long, in chunks": answer("Transfer-Encoding: chunked", body=chunked(LONG)),
    "JSON that is too long when unpacked": answer("Content-Encoding: gzip", body=gzip.compress(LONG, mtime=0)),
    "text that is too long": answer(body=b"<vxml>".ljust(LONGEST_BODY + 1)),
    "a single quotation mark": answer(body=FAILED.replace(b'"', b"'")),
    "latin-1": answer(body=CHARACTERS.encode("latin-1")),
}


def outcome(response: bytes) -> Outcome:
    found, _ = heard([response])
    assert found is not None
    return outcome_of(found)


@pytest.mark.parametrize("name", READ)
def test_the_body_is_read_whatever_the_headers_are_like(name: str) -> None:
    assert outcome(READ[name]) == Outcome(Result.FAILED, "busy", duration=3)


@pytest.mark.parametrize("name", UNREAD)
def test_a_body_that_is_not_read_whole_shows_in_the_reason(name: str) -> None:
    assert outcome(UNREAD[name]) == Outcome(Result.COMPLETED, "http_200_unread")


@pytest.mark.parametrize(
    "response",
    [
        answer(length(b"OK"), body=b"OK"),
        answer("no colon", body=b"OK"),
        answer("Transfer-Encoding: identity", "Content-Length: 2", body=b"OK"),
        answer("Content-Length: 11", body='{"n":"ñññ"}'.encode()),
        answer("Content-Encoding: gzip", "Content-Length: 0", body=b""),
        answer("Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        answer(body=b"<vxml>".ljust(LONGEST_BODY)),
        answer(body=b"{}"),
    ],
)
def test_a_body_that_is_read_whole_has_a_plain_reason(response: bytes) -> None:
    assert outcome(response) == Outcome(Result.COMPLETED, "http_200")


NAMES = st.sampled_from(
    ["Content-Length", "content-encoding", "Transfer-Encoding", "Retry-After", "From", "X-1", "a b"]
)
VALUES = st.text(st.characters(max_codepoint=0x17F), max_size=12) | st.sampled_from(["5", "gzip", "chunked", "5, 5"])
LINES = st.builds("{}:{}".format, NAMES, VALUES) | VALUES


@given(st.lists(LINES, max_size=5), st.sampled_from(["\r\n", "\n"]))
@example(["Content-Length: 5", "Content-Length: 5"], "\r\n")
@example(["X-1:\t a : b \t", "x-1: c"], "\r\n")
@example(["X-1: a", " folded"], "\r\n")
def test_a_line_that_is_no_header_changes_no_other_header(lines: list[str], ends: str) -> None:
    """So the two parsers read headers without a fault in the same way: the second one reads what the first refuses."""
    texts = (re.sub("[\r\n]", "", line) + ends for line in lines if line)
    block = "".join(texts).encode("latin-1", "replace")
    assert read_head(200, block + b"no header\r\n") == read_head(200, block)


def test_a_bomb_is_unpacked_up_to_the_limit() -> None:
    found, _ = heard([answer("Content-Encoding: gzip", body=gzip.compress(bytes(10_000_000)))])
    assert found is not None
    assert (found.body, found.is_whole) == (bytes(LONGEST_BODY), False)


@pytest.mark.parametrize(
    "response",
    [
        answer("X: " + " \t" * 45_000),
        answer("a" * 90_000 + " " * 5_000),
        answer("X: 1", *[" "] * 30_000),
        answer("X: " + "\r" * 90_000),
        answer(*["name" + " " * 80] * 1_000),
        answer("Content-Length: " + "1," * 45_000),
        answer("Content-Encoding: gzip", body=gzip.compress(b"", mtime=0) * 4_500),
        answer("Transfer-Encoding: chunked", body=b"1\r\n0\r\n" * 16_000),
    ],
    ids=lambda response: repr(response[17:50]),
)
def test_an_answer_of_any_shape_costs_little(response: bytes) -> None:
    begun = time.process_time()
    heard([response])
    assert time.process_time() - begun < 0.5
