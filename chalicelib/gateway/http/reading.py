"""The headers and the body of an answer, in the bytes that have come of it.

Real servers send a header without a colon, a length twice, or a length in characters. Most clients take all of that,
and so do the parsers of the standard library: `email` reads headers here, and `http.client` reads bodies. They get
bytes, and no connection.
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BytesIO

#: Bytes of a body that are read. The rest is dropped.
LONGEST_BODY = 65_536

#: What makes `email` end the headers early: a carriage return within a line, spaces before a colon, no colon.
_STRAY_RETURN = re.compile(r"\r(?!\n)")
_SPACES_BEFORE_COLON = re.compile(r"^([!-9;-~]+)[ \t]+(?=:)", re.MULTILINE)
_NO_HEADER = re.compile(r"^(?![!-9;-~]*:|[ \t]).*\n", re.MULTILINE)
_FOLD = re.compile(r"\s*\r?\n\s*")
#: more digits are no length of a body
_LENGTH = re.compile(r"[0-9]{1,15}")

#: the beginning of a chunk without content
_LAST_CHUNK = re.compile(rb"(?:\A|\n)0")

#: statuses without a body (RFC 9112 §6.3)
_FIRST_FINAL, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304
#: what precedes the chunks for `http.client`
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#: zlib's `wbits` for each content coding. Servers send `deflate` with zlib's header or without it.
_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}


@dataclass(frozen=True)
class Head:
    """What an answer's status line and headers say."""

    #: names in lower case; of a name that came twice, the first value
    headers: Mapping[str, str]
    is_chunked: bool
    #: of the body as it is sent; None if it ends when the connection closes
    length: int | None


@dataclass(frozen=True)
class Body:
    """What has come of a body."""

    content: bytes
    #: False if a part is missing
    is_whole: bool


def read_head(status: int, lines: bytes) -> Head:
    """Read the header lines. Lines that are no header are left out."""
    text = _STRAY_RETURN.sub(" ", lines.decode("latin-1"))
    message = HeaderParser().parsestr(_NO_HEADER.sub("", _SPACES_BEFORE_COLON.sub(r"\1", text)))
    headers: dict[str, str] = {}
    for name, value in message.items():
        headers.setdefault(name.lower(), _FOLD.sub(" ", value).strip())
    if status < _FIRST_FINAL or status in (_NO_CONTENT, _NOT_MODIFIED):
        return Head(headers, is_chunked=False, length=0)
    codings = [coding for coding in _listed(message, "Transfer-Encoding") if coding != "identity"]
    return Head(headers, codings[-1:] == ["chunked"], None if codings else _length(message))


def read_body(head: Head, received: bytes, *, is_closed: bool) -> Body:
    """Read the body in what has come after the headers. `is_closed` is True if no more can come."""
    if head.is_chunked:
        return _read_chunks(received, is_closed=is_closed)
    if head.length is None:
        return Body(received, is_closed)
    return Body(received[: head.length], len(received) >= head.length)


def _read_chunks(received: bytes, *, is_closed: bool) -> Body:
    # `http.client` would take a chunk's size that has half come for a whole one.
    received = received[: received.rfind(b"\n") + 1]
    if not is_closed and not _LAST_CHUNK.search(received):
        return Body(b"", is_whole=False)  # at once: there may be thousands of chunks
    response = HTTPResponse(_Received(_CHUNKED + received))  # type: ignore[arg-type] # it only makes a file of it
    try:
        response.begin()
        return Body(response.read(), is_whole=True)
    except IncompleteRead as error:
        return Body(error.partial, is_whole=False)
    except (HTTPException, ValueError, OverflowError):
        return Body(b"", is_whole=False)


class _Received:
    """Stands in for the socket of a response that has come."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._content)


def _length(headers: Message) -> int | None:
    """Lengths that contradict each other, or are no numbers, say nothing."""
    lengths = set(_listed(headers, "Content-Length"))
    is_length = len(lengths) == 1 and all(map(_LENGTH.fullmatch, lengths))
    return int(lengths.pop()) if is_length else None


def _listed(headers: Message, name: str) -> list[str]:
    """The values of a header that may have several, separated by commas, in one line or in more."""
    values = ",".join(headers.get_all(name, [])).lower().split(",")
    return [value.strip() for value in values if value.strip()]


def decompress(body: bytes | bytearray, encoding: str) -> bytes | None:
    """The decompressed body, up to LONGEST_BODY. None if it can't be decompressed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return bytes(body[:LONGEST_BODY])
    for bits in _WINDOW_BITS.get(encoding, ()):
        try:
            return zlib.decompressobj(bits).decompress(body, LONGEST_BODY)
        except zlib.error:
            continue
    return None
