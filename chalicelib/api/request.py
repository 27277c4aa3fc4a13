"""A request's parameters, read by what the body is rather than by what its header claims.

The reference's own examples say `Content-Type: application/json` and send a multipart form, whose parts curl then calls
attachments; others say nothing at all. So a multipart body is one that begins with a boundary, or has the boundary that
a header names; a JSON object begins with a brace, and anything else can only be an urlencoded form.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from typing import NoReturn
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from chalicelib.api.nesting import nested
from chalicelib.api.wording import InvalidFields
from chalicelib.domain import json_text
from chalicelib.domain.json_text import NameGivenTwice
from chalicelib.errors import TooLarge

#: Bytes. A function's event holds 6 MB, and a body travels in it as base64.
MAX_BODY_BYTES = 4_500_000

#: Form fields in one body, far above any use: an array of numbers is one field.
MAX_FIELDS = 1_000

#: RFC 2046 §5.1.1
_MAX_BOUNDARY_LENGTH = 70

#: lines of a part's headers, folded ones counted as they stand
_MAX_HEADERS = 40
#: bytes in which MIME headers at the beginning of a body are looked for
_MIME_HEADERS = 2_000

#: A plus sign before a number, which an urlencoded form takes for a space: at the beginning of a value, of a text in
#: quotation marks, or behind `tel:`.
_PLUS_SIGN = re.compile(r"((?:^|&)[^=&]*=|\"|%22|tel(?::|%3A)(?:%20)?)\+(?=[0-9])", re.IGNORECASE)
#: The same in a query, which comes decoded.
_SPACE_FOR_PLUS = re.compile(r"(?:^|\"|tel:) [0-9]{7}", re.IGNORECASE)

#: the methods whose body means something; RFC 9110 §9.3 gives none to that of a GET or DELETE
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class FilePart:
    """A file in a form."""

    filename: str
    content: bytes


@dataclass(frozen=True)
class Parameters:
    """What a request says, by name, from its body and its query.

    A value is text or a FilePart where a form or the query gave it, a list or a dict of those where the name came more
    than once or with brackets (`days[]`, `days[0]`), and any JSON value where a JSON body did.
    """

    values: Mapping[str, object] = field(default_factory=dict)


def read(method: str, body: bytes, query: Mapping[str, Sequence[str]], content_type: str = "") -> Parameters:
    """The parameters of a request; `query` holds each name's values, percent-decoded.

    What the body gives wins over the query: it is the more deliberate of the two. Of the `content_type` only a boundary
    is used. Raises TooLarge for a body over MAX_BODY_BYTES, InvalidFields about `body` for one that can't be read.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(MAX_BODY_BYTES, len(body))
    for name, several in query.items():
        if any(_SPACE_FOR_PLUS.search(value) for value in several):
            raise InvalidFields({name: [f"The {name} field has a space before a number: + is written %2B in a query."]})
    values = _fields((name, value) for name, several in query.items() for value in several)
    if method.upper() in _METHODS_WITH_BODY:
        values |= _read_body(body, content_type)
    return Parameters(values)


def _read_body(body: bytes, content_type: str) -> dict[str, object]:
    multipart = _multipart_in(body, content_type)
    if multipart is not None:
        return _fields(_multipart(*multipart))
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    if not body:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    if "=" in text and text[0] not in '{["':
        return _fields(_urlencoded(_PLUS_SIGN.sub(r"\1%2B", text)))
    return _json_object(text)


def _refuse(sentence: str) -> NoReturn:
    raise InvalidFields({"body": [sentence]})


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json_text.load(text)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not valid JSON: {error}.")
    except NameGivenTwice:
        _refuse("The body has an object with the same name twice.")
    except (RecursionError, ValueError):
        # arrays within arrays, or an integer that Python won't convert
        _refuse("The body is not valid JSON: nested too deeply or too long.")
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object.")
    return value


def _urlencoded(text: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    except ValueError:
        _refuse(f"The body must not have more than {MAX_FIELDS} fields.")


def _fields(pairs: Iterable[tuple[str, str | FilePart]]) -> dict[str, object]:
    """A form's fields by name."""
    return nested((name, _unquote(value) if isinstance(value, str) else value) for name, value in pairs)


def _unquote(text: str) -> str:
    """The reference writes `--form 'nickname="3wkdays"'`. curl takes the quotes away, and the backslashes within; what
    other clients make of it has them still, and is then a JSON string. Quotes meant as such can be sent in JSON.
    """
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _multipart_in(body: bytes, content_type: str) -> tuple[bytes, bytes] | None:
    """The boundary, and the body from its first delimiter on; None if there is none.

    The boundary is the one that the request's header names, or MIME headers that were sent as part of the body, or
    that the body begins with. What stands before it is a preamble, which says nothing (RFC 2046 §5.1.1).
    """
    if b"--" not in body:
        return None
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    named_by_the_body = BytesHeaderParser().parsebytes(body[:_MIME_HEADERS])
    header = Message()
    header["Content-Type"] = content_type
    for boundary in filter(None, map(_boundary, (header, named_by_the_body))):
        line = b"--" + boundary
        delimiter = re.search(rb"(?:\A|[\r\n])(" + re.escape(line) + rb")", body)
        if delimiter is not None:
            preamble, body = body[: delimiter.start(1)], body[delimiter.start(1) :]
            is_empty = re.match(re.escape(line) + rb"--[ \t]*(?:\r\n|\Z)", body) is not None
            if line in preamble or b"name=" in preamble or (is_empty and preamble.strip()):
                _refuse("The body is not valid multipart: something stands before its first boundary.")
            return boundary, body
    if not body.startswith(b"--"):
        return None
    first_line, line_end, _ = body.partition(b"\r\n")
    if b"\n" in first_line:
        _refuse("The body is not valid multipart: its lines must end with CR LF.")
    boundary = first_line[2:].rstrip(b" \t")
    if not line_end:
        # a form without fields is its last delimiter alone
        boundary = boundary.removesuffix(b"--")
    return boundary, body


def _multipart(boundary: bytes, body: bytes) -> list[tuple[str, str | FilePart]]:
    """The parts of a body that begins with its boundary (RFC 7578), files and fields alike."""
    if not 1 <= len(boundary) <= _MAX_BOUNDARY_LENGTH:
        _refuse("The body is not valid multipart: its boundary must have 1 to 70 characters.")
    collector = _PartCollector()
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": collector.on_part_begin,
            "on_header_field": collector.on_header_field,
            "on_header_value": collector.on_header_value,
            "on_part_data": collector.on_part_data,
            "on_part_end": collector.on_part_end,
            "on_end": collector.on_end,
        },
    )
    try:
        parser.write(_plain_multipart(boundary, body))
    except FormParserError:
        _refuse("The body is not valid multipart.")
    if not collector.ended:
        _refuse("The body is not valid multipart: it ends before its last boundary.")
    if re.search(rb"\n--" + re.escape(boundary) + rb"--(?s:.*)--" + re.escape(boundary), body):
        _refuse("The body is not valid multipart: something stands behind its last boundary.")
    return collector.parts


def _boundary(headers: Message) -> bytes:
    """The one that the headers name; nothing if they can't be read, for which the parser has errors of all kinds."""
    try:
        return str(headers.get_boundary("")).encode("latin-1", "replace")
    except (TypeError, ValueError):
        return b""


def _plain_multipart(boundary: bytes, body: bytes) -> bytes:
    """The body without what the parser doesn't take: padding behind a boundary, and folded headers.

    No part's content can look like either: a line that begins with the boundary is a delimiter.
    """
    line = b"--" + boundary
    if line + b" " in body or line + b"\t" in body or line + b"-- " in body or line + b"--\t" in body:
        body = re.sub(rb"(?<![^\n])(" + re.escape(line) + rb"(?:--)?)[ \t]+(?=\r\n|\Z)", rb"\1", body)
    if b"\r\n " in body or b"\r\n\t" in body:
        # A bound, since each of a million delimiters could be followed by the same million lines.
        headers = re.compile(rb"(?<![^\n])" + re.escape(line) + rb"\r\n(?:[^\r\n]+\r\n){1,%d}(?=\r\n)" % _MAX_HEADERS)
        body = headers.sub(lambda match: re.sub(rb"\r\n[ \t]+", b" ", match[0]), body)
    return body


class _PartCollector:
    """Takes the parser's events. The parser is given the body at once, so that a header comes in one piece."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str | FilePart]] = []
        self.ended = False
        self._header = b""
        self._disposition = b""
        self._content: list[bytes] = []

    def on_part_begin(self) -> None:
        self._disposition = b""
        self._content = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = data[start:end].lower()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header == b"content-disposition":
            self._disposition = data[start:end]

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def on_part_end(self) -> None:
        if len(self.parts) == MAX_FIELDS:
            _refuse(f"The body must not have more than {MAX_FIELDS} fields.")
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if not name:
            _refuse("The body is not valid multipart: each part needs a name.")
        content = b"".join(self._content)
        # `filename*` is what some clients write for a name that isn't ASCII, though RFC 7578 §4.2 forbids it
        if b"filename" in options or b"filename*=" in self._disposition:
            filename = options.get(b"filename", b"").decode(errors="replace")
            # a browser sends a nameless empty file for a file that wasn't chosen
            if filename or content:
                self.parts.append((name, FilePart(filename, content)))
            return
        try:
            self.parts.append((name, content.decode()))
        except UnicodeDecodeError:
            _refuse("The body is not valid UTF-8.")

    def on_end(self) -> None:
        self.ended = True
