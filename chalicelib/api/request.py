"""A request's parameters, read by what the body is rather than by what its header claims.

The reference's own examples say `Content-Type: application/json` and send a multipart form, whose parts curl then calls
attachments; others say nothing at all. So no header is looked at: a multipart body begins with its boundary, a JSON
object with a brace, and anything else can only be an urlencoded form.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import parse_qsl

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from chalicelib.errors import InvalidFields, TooLarge

#: Bytes. A function's event holds 6 MB, and a body travels in it as base64.
MAX_BODY_BYTES = 4_500_000

#: Form fields in one body, far above any use: an array of numbers is one field.
MAX_FIELDS = 1_000

#: RFC 2046 §5.1.1
_MAX_BOUNDARY_LENGTH = 70

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

    A value is text or a FilePart where a form or the query gave it, a list of those where the name came more than once
    or with brackets (`days[]`), and any JSON value where a JSON body did.
    """

    values: Mapping[str, object] = field(default_factory=dict)


def read(method: str, body: bytes, query: Mapping[str, Sequence[str]]) -> Parameters:
    """The parameters of a request; `query` holds each name's values, percent-decoded.

    What the body gives wins over the query: it is the more deliberate of the two. Raises TooLarge for a body over
    MAX_BODY_BYTES, InvalidFields about `body` for one that can't be read.
    """
    if len(body) > MAX_BODY_BYTES:
        raise TooLarge(MAX_BODY_BYTES, len(body))
    values = _fields((name, value) for name, several in query.items() for value in several)
    if method.upper() in _METHODS_WITH_BODY:
        values |= _read_body(body)
    return Parameters(values)


def _read_body(body: bytes) -> dict[str, object]:
    body = body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    if not body:
        return {}
    if body.startswith(b"--"):
        return _fields(_multipart(body))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        _refuse("The body is not valid UTF-8.")
    if "=" in text and text[0] not in '{["':
        return _fields(_urlencoded(text))
    return _json_object(text)


def _refuse(sentence: str) -> NoReturn:
    raise InvalidFields({"body": [sentence]})


def _json_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        _refuse(f"The body is not valid JSON: {error}.")
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
    """A form's fields by name: `days[]`, and a name that comes more than once, make an array."""
    several: dict[str, list[str | FilePart]] = defaultdict(list)
    arrays = set()
    for written, value in pairs:
        name = written.removesuffix("[]")
        if name != written:
            arrays.add(name)
        several[name].append(_unquote(value) if isinstance(value, str) else value)
    return {name: values if name in arrays or len(values) > 1 else values[0] for name, values in several.items()}


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


def _multipart(body: bytes) -> list[tuple[str, str | FilePart]]:
    """The parts of a body that begins with its boundary (RFC 7578), files and fields alike."""
    delimiter, line_end, _ = body.partition(b"\r\n")
    boundary = delimiter[2:]
    if not line_end:
        # a form without fields is its last delimiter alone
        boundary = boundary.removesuffix(b"--")
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
        parser.write(body)
    except FormParserError:
        _refuse("The body is not valid multipart.")
    if not collector.ended:
        _refuse("The body is not valid multipart: it ends before its last boundary.")
    return collector.parts


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
