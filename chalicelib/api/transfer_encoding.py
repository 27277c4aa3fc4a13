"""The Content-Transfer-Encoding of a multipart part (RFC 2045 §6). Programs that build forms as mail have one."""

import base64
import quopri
import re

from chalicelib.api.wording import quoted

#: encodings that leave the content as it is
_AS_IT_IS = ("", "7bit", "8bit", "binary")
_KNOWN = (*_AS_IT_IS[1:], "base64", "quoted-printable")

_WHITESPACE = b" \t\r\n"
#: Whitespace at a line's end isn't content (RFC 2045 §6.7).
_PADDING = re.compile(rb"(?<![ \t])[ \t]+(?=\r?\n|\Z)")
#: An equals sign without its two digits or a line's end, or a character that should have been encoded.
_NOT_QUOTED_PRINTABLE = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)|[^\t\r\n -~]")


class Undecodable(ValueError):
    """The content can't be decoded. The message is the predicate of a sentence about the part."""


def decode(content: bytes, encoding: str) -> bytes:
    """The content as it was before it was encoded. Raises Undecodable."""
    if encoding in _AS_IT_IS:
        return content
    if encoding == "base64":
        return _from_base64(content)
    if encoding == "quoted-printable":
        return _from_quoted_printable(content)
    raise Undecodable(f"has the unknown Content-Transfer-Encoding {quoted(encoding)}; known are {', '.join(_KNOWN)}")


def _from_base64(content: bytes) -> bytes:
    try:
        return base64.b64decode(content.translate(None, _WHITESPACE), validate=True)
    except ValueError:
        raise Undecodable("is not valid base64") from None


def _from_quoted_printable(content: bytes) -> bytes:
    content = _PADDING.sub(b"", content)
    if _NOT_QUOTED_PRINTABLE.search(content):
        raise Undecodable("is not valid quoted-printable")
    return quopri.decodestring(content)
