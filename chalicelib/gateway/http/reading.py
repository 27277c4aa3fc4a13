"""The headers and the body of an answer, in the bytes that have come of it.

Real servers send a header without a colon, a length twice, or a length in characters. Most clients take all of that,
and so do the parsers of the standard library: `email` reads headers here, and `http.client` reads bodies. They get
bytes, and no connection. Headers without a fault are read by aiohttp's parser, in a fifth of the time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.parser import HeaderParser
from http.client import HTTPException, HTTPResponse, IncompleteRead
from io import BytesIO

from aiohttp.http import HeadersParser, HttpProcessingError

from chalicelib.domain.outcome import is_broken_object
from chalicelib.gateway.http.unpacking import Body, State, unpacked

#: What makes `email` end the headers early: a carriage return within a line, spaces before a colon, no colon.
_STRAY_RETURN = re.compile(r"\r(?!\n)")
_SPACES_BEFORE_COLON = re.compile(r"^([!-9;-~]+)[ \t]+(?=:)", re.MULTILINE)
_NO_HEADER = re.compile(r"^(?![!-9;-~]*:|[ \t]).*\n", re.MULTILINE)
_LINE_END = re.compile(r"\r?\n")
#: more digits are no length of a body
_LENGTH = re.compile(r"[0-9]{1,15}")

#: the beginning of a chunk without content
_LAST_CHUNK = re.compile(rb"(?:\A|\n)0")

#: statuses without a body (RFC 9112 §6.3)
_FIRST_FINAL, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304
#: what precedes the chunks for `http.client`
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Head:
    """What an answer's status line and headers say."""

    #: names in lower case; of a name that came twice, the first value
    headers: Mapping[str, str]
    #: how the body is packed, in the order in which that was done
    codings: Sequence[str]
    is_chunked: bool
    #: of the body as it is sent; None if it ends when the connection closes
    length: int | None


def read_head(status: int, lines: bytes) -> Head:
    """Read the header lines. Lines that are no header are left out."""
    values = _values(lines)
    headers = {name: of_name[0] for name, of_name in values.items()}
    if status < _FIRST_FINAL or status in (_NO_CONTENT, _NOT_MODIFIED):
        return Head(headers, (), is_chunked=False, length=0)
    codings, transfer = _codings(values, "content-encoding"), _codings(values, "transfer-encoding")
    if transfer[-1:] == ["chunked"]:
        codings += [coding for coding in transfer if coding != "chunked"]
        return Head(headers, codings, is_chunked=True, length=None)
    return Head(headers, codings + transfer, is_chunked=False, length=None if transfer else _length(values))


def read_body(head: Head, received: bytes, *, is_closed: bool) -> Body:
    """Read the body in what has come after the headers. `is_closed` is True if no more can come.

    A length may be in characters, or that of the body before it was compressed. So if it cuts off a JSON object or
    compressed data, the body ends when the connection closes.
    """
    if head.is_chunked:
        return _read_chunks(received, head.codings, is_closed=is_closed)
    if head.length is not None:
        has_come = len(received) >= head.length
        body = unpacked(received[: head.length], head.codings, is_cut=not has_come)
        if not has_come or not (body.state is State.CUT or is_broken_object(body.content)):
            return body
    return unpacked(received, head.codings, is_cut=not is_closed)


def _read_chunks(received: bytes, codings: Sequence[str], *, is_closed: bool) -> Body:
    # `http.client` would take a chunk's size that has half come for a whole one.
    received = received[: received.rfind(b"\n") + 1]
    if not is_closed and not _LAST_CHUNK.search(received):
        return Body(b"", State.CUT)  # at once: there may be thousands of chunks
    response = HTTPResponse(_Received(_CHUNKED + received))  # type: ignore[arg-type] # it only makes a file of it
    try:
        response.begin()
        body = unpacked(response.read(), codings, is_cut=False)
    except IncompleteRead as error:
        return unpacked(error.partial, codings, is_cut=True)
    except (HTTPException, ValueError, OverflowError):
        return Body(b"", State.UNREADABLE)
    # After the last chunk, nothing can come that makes it whole.
    return body if body.state is State.WHOLE else Body(body.content, State.UNREADABLE)


class _Received:
    """Stands in for the socket of a response that has come."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, _mode: str) -> BytesIO:
        return BytesIO(self._content)


def _values(lines: bytes) -> Mapping[str, Sequence[str]]:
    """The values of each header, in order, by its name in lower case."""
    values: dict[str, list[str]] = {}
    for name, value in _fields(lines):
        values.setdefault(name.lower(), []).append(value)
    return values


def _fields(lines: bytes) -> Iterable[tuple[str, str]]:
    if lines.isascii():  # aiohttp and `email` decode other bytes differently
        with suppress(HttpProcessingError):
            return HeadersParser().parse_headers([*lines.split(b"\r\n"), b""])[0].items()
    text = _STRAY_RETURN.sub(" ", lines.decode("latin-1"))
    message = HeaderParser().parsestr(_NO_HEADER.sub("", _SPACES_BEFORE_COLON.sub(r"\1", text)))
    return ((name, _LINE_END.sub(" ", value).strip()) for name, value in message.items())


def _length(values: Mapping[str, Sequence[str]]) -> int | None:
    """Lengths that contradict each other, or are no numbers, say nothing."""
    lengths = set(_listed(values, "content-length"))
    is_length = len(lengths) == 1 and all(map(_LENGTH.fullmatch, lengths))
    return int(lengths.pop()) if is_length else None


def _codings(values: Mapping[str, Sequence[str]], name: str) -> list[str]:
    return [coding for coding in _listed(values, name) if coding != "identity"]


def _listed(values: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """The values of a header that may have several, separated by commas, in one line or in more."""
    if name not in values:
        return []
    listed = ",".join(values[name]).lower().split(",")
    return [value.strip() for value in listed if value.strip()]
