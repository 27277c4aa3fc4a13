"""A request's parameters. The body itself shows its format, because the Content-Type is often wrong.

The example in the reference, Create Campaign, has `Content-Type: application/json` and a multipart form, whose parts
curl then calls attachments. Other clients send no Content-Type. So a body is multipart if it begins with a boundary or
has the boundary that a header names. It is JSON if it begins with a brace. Else it is an urlencoded form.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from typing import NoReturn

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from chalicelib.api import transfer_encoding, urlencoded
from chalicelib.api.nesting import nested
from chalicelib.api.values import are_the_same
from chalicelib.api.wording import JSON_TOO_LARGE, NAME_GIVEN_TWICE, NO_JSON, SPACE_FOR_PLUS, InvalidFields, named
from chalicelib.domain import json_text
from chalicelib.domain.json_text import NameGivenTwice
from chalicelib.errors import TooLarge

#: Bytes. A function's event has at most 6 MB, and holds the body as base64.
MAX_BODY_BYTES = 4_500_000

#: Form fields in one body. An array of numbers is one field, so no client needs as many.
MAX_FIELDS = 1_000

#: RFC 2046 §5.1.1
_MAX_BOUNDARY_LENGTH = 70

#: Lines of a part's headers. Each line of a folded header counts.
_MAX_HEADER_LINES = 40
_LINES_WITHOUT_CR = "The body is not valid multipart: its lines must end with CR LF."
#: The bytes at the beginning of a body that are searched for MIME headers.
_MIME_HEADERS_SIZE = 2_000

#: how gzip, zlib and zstandard begin
_COMPRESSED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x28\xb5\x2f\xfd")

#: The methods whose body has a meaning. That of a GET or DELETE has none (RFC 9110 §9.3).
_METHODS_WITH_BODY = ("POST", "PUT", "PATCH")


@dataclass(frozen=True)
class FilePart:
    """A file in a form."""

    filename: str
    content: bytes


@dataclass(frozen=True)
class Parameters:
    """The values of a request's body and query, by name.

    A value of a form or a query is text or a FilePart. It is a list or a dict of those if the name is repeated or has
    brackets (`days[]`, `days[0]`). A value of a JSON body is any JSON value.
    """

    values: Mapping[str, object] = field(default_factory=dict)


def read(method: str, body: bytes, query: Mapping[str, Sequence[str]], content_type: str = "") -> Parameters:
    """The parameters of a request. `query` has each name's values, percent-decoded.

    A name may be in both body and query if its values mean the same. Of the `content_type` only a boundary is used.
    Raises TooLarge for a body over MAX_BODY_BYTES, and InvalidFields by `body` for one that can't be read.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(MAX_BODY_BYTES, len(body))
    for name, texts in query.items():
        if any(urlencoded.may_have_lost_a_plus(name, text) for text in texts):
            raise InvalidFields({named(name): [f"The {named(name)} field {SPACE_FOR_PLUS}"]})
    values = _fields((name, text) for name, texts in query.items() for text in texts)
    if method.upper() in _METHODS_WITH_BODY:
        in_body = _read_body(body, content_type)
        _refuse_different(values, in_body)
        values |= in_body
    return Parameters(values)


def _refuse_different(in_query: Mapping[str, object], in_body: Mapping[str, object]) -> None:
    """Raises InvalidFields if a name has one value in the query and another in the body."""
    different = [name for name in in_query if name in in_body and not are_the_same(in_query[name], in_body[name])]
    if different:
        sentence = "The {} field has one value in the query and another in the body."
        raise InvalidFields({named(name): [sentence.format(named(name))] for name in different})


def _read_body(body: bytes, content_type: str) -> dict[str, object]:
    multipart = _find_multipart(body, content_type)
    if multipart is not None:
        return _fields(_parse_multipart(*multipart))
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    if not body:
        return {}
    if body.startswith(_COMPRESSED):
        _refuse("The body is compressed: send it as it is.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    if text.startswith("<"):
        _refuse("The body must be a JSON object or a form; it begins with <, as XML does.")
    if "=" in text and text[0] not in '{["':
        return _fields(_parse_urlencoded(text))
    return _parse_json(text)


def _refuse(sentence: str) -> NoReturn:
    raise InvalidFields({"body": [sentence]})


def _parse_json(text: str) -> dict[str, object]:
    try:
        value = json_text.load(text)
    except json.JSONDecodeError as error:
        _refuse(f"The body {NO_JSON.format(parser_message=error)}")
    except NameGivenTwice:
        _refuse(f"The body {NAME_GIVEN_TWICE}")
    except (RecursionError, ValueError):
        # too many nested arrays, or an integer with more digits than Python converts
        _refuse(f"The body {JSON_TOO_LARGE}")
    if not isinstance(value, dict):
        _refuse("The body must be a JSON object.")
    return value


def _parse_urlencoded(text: str) -> list[tuple[str, str]]:
    try:
        return urlencoded.fields(text, MAX_FIELDS)
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    except ValueError:
        _refuse(f"The body must not have more than {MAX_FIELDS} fields.")


def _fields(pairs: Iterable[tuple[str, str | FilePart]]) -> dict[str, object]:
    return nested((name, _unquote(value) if isinstance(value, str) else value) for name, value in pairs)


def _unquote(text: str) -> str:
    """The text without the quotes of the reference, Create Schedule: `--form 'nickname="3wkdays"'`.

    curl removes the quotes and the backslashes within them. Other clients send them, and the value is then a JSON
    string. A client that wants quotes in a value can send JSON.
    """
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def _find_multipart(body: bytes, content_type: str) -> tuple[bytes, bytes] | None:
    """The boundary, and the body from its first delimiter on. None if the body isn't multipart.

    The boundary is named by the request's header, or by MIME headers at the beginning of the body, or the body begins
    with it. What stands before the first delimiter is a preamble without meaning (RFC 2046 §5.1.1).
    """
    if b"--" not in body:
        return None
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    headers_in_body = BytesHeaderParser().parsebytes(body[:_MIME_HEADERS_SIZE])
    header = Message()
    header["Content-Type"] = content_type
    for boundary in filter(None, map(_boundary, (header, headers_in_body))):
        delimiter = b"--" + boundary
        found = re.search(rb"(?:\A|[\r\n])(" + re.escape(delimiter) + rb")", body)
        if found is not None:
            preamble, body = body[: found.start(1)], body[found.start(1) :]
            is_empty = re.match(re.escape(delimiter) + rb"--[ \t]*(?:\r\n|\Z)", body) is not None
            if delimiter in preamble or b"name=" in preamble or (is_empty and preamble.strip()):
                _refuse("The body is not valid multipart: something stands before its first boundary.")
            return boundary, body
    if not body.startswith(b"--"):
        return None
    first_line, line_end, _ = body.partition(b"\r\n")
    if b"\n" in first_line:
        _refuse(_LINES_WITHOUT_CR)
    boundary = first_line[2:].rstrip(b" \t")
    if not line_end:
        # A form without fields has only its last delimiter.
        boundary = boundary.removesuffix(b"--")
    return boundary, body


def _parse_multipart(boundary: bytes, body: bytes) -> list[tuple[str, str | FilePart]]:
    """The fields and files of a body that begins with its boundary (RFC 7578)."""
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
        parser.write(_simplify_multipart(boundary, body))
    except FormParserError:
        _refuse("The body is not valid multipart." if b"\r\n" in body else _LINES_WITHOUT_CR)
    if not collector.ended:
        _refuse("The body is not valid multipart: it ends before its last boundary.")
    if re.search(rb"\n--" + re.escape(boundary) + rb"--(?s:.*)--" + re.escape(boundary), body):
        _refuse("The body is not valid multipart: something stands behind its last boundary.")
    return collector.parts


def _boundary(headers: Message) -> bytes:
    """The boundary that the headers name. Empty if there is none or the headers can't be parsed."""
    try:
        return str(headers.get_boundary("")).encode("latin-1", "replace")
    except (TypeError, ValueError):
        return b""


def _simplify_multipart(boundary: bytes, body: bytes) -> bytes:
    """The body without what the parser can't read: padding after a boundary, and folded headers.

    The content of a part isn't changed: a line that begins with the boundary is always a delimiter.
    """
    line = b"--" + boundary
    if line + b" " in body or line + b"\t" in body or line + b"-- " in body or line + b"--\t" in body:
        body = re.sub(rb"(?<![^\n])(" + re.escape(line) + rb"(?:--)?)[ \t]+(?=\r\n|\Z)", rb"\1", body)
    if b"\r\n " in body or b"\r\n\t" in body:
        # Without a bound, matching would take quadratic time: it would read on to the end from each delimiter.
        headers = re.compile(
            rb"(?<![^\n])" + re.escape(line) + rb"\r\n(?:[^\r\n]+\r\n){1,%d}(?=\r\n)" % _MAX_HEADER_LINES
        )
        body = headers.sub(lambda match: re.sub(rb"\r\n[ \t]+", b" ", match[0]), body)
    return body


class _PartCollector:
    """Collects the parts from the parser's events. The parser gets the whole body at once, so a header comes whole."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, str | FilePart]] = []
        self.ended = False
        self._header = b""
        self._disposition = b""
        #: values of Content-Transfer-Encoding
        self._encodings: set[str] = set()
        self._content: list[bytes] = []

    def on_part_begin(self) -> None:
        self._disposition = b""
        self._encodings = set()
        self._content = []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = data[start:end].lower()

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        if self._header == b"content-disposition":
            self._disposition = data[start:end]
        elif self._header == b"content-transfer-encoding":
            self._encodings.add(data[start:end].decode("latin-1").strip().lower())

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def on_part_end(self) -> None:
        if len(self.parts) == MAX_FIELDS:
            _refuse(f"The body must not have more than {MAX_FIELDS} fields.")
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if not name:
            _refuse("The body is not valid multipart: each part needs a name.")
        content = self._decoded(name)
        # Some clients send `filename*` for a name that isn't ASCII, although RFC 7578 §4.2 forbids it.
        if b"filename" in options or b"filename*=" in self._disposition:
            filename = options.get(b"filename", b"").decode(errors="replace")
            # If no file was chosen, a browser sends an empty file without a name.
            if filename or content:
                self.parts.append((name, FilePart(filename, content)))
            return
        try:
            self.parts.append((name, content.decode()))
        except UnicodeDecodeError:
            _refuse("The body is not valid UTF-8.")

    def _decoded(self, name: str) -> bytes:
        encoding = ", ".join(sorted(self._encodings))
        try:
            return transfer_encoding.decode(b"".join(self._content), encoding)
        except transfer_encoding.Undecodable as fault:
            _refuse(f"The body is not valid multipart: the {named(name)} part {fault}.")

    def on_end(self) -> None:
        self.ended = True
