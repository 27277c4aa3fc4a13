"""An urlencoded form, in which a plus sign means a space.

Clients that forget that send a number's plus sign as it is. Where a space before a digit makes no sense, the plus sign
is read as one.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, unquote_plus

#: the field of an upload, whose array may have indexes
_UPLOAD = "phone_numbers"

_SPACES = "(?: |%20)*"
#: A plus sign at the beginning of a value or of a quoted text, or after `tel:`.
_FIRST = rf"^|\"|%22|tel(?::|%3A){_SPACES}"
_PLUS_SIGN = re.compile(rf"({_FIRST})\+(?=[0-9])", re.IGNORECASE)
#: In an upload also at the beginning of a line, behind a comma, behind the `=` of a parameter, or behind another space.
#: A program that writes a comma as `%2C` writes a plus sign as `%2B`.
_PLUS_SIGN_IN_UPLOAD = re.compile(
    rf"((?:{_FIRST}|[\r\n,=]|%0[AD]|(?<!\+)%3D){_SPACES}|(?:,|%2C)(?:\+| |%20)+)\+(?=[0-9])", re.IGNORECASE
)
_BARE_NUMBER = r"(?:^|[\"\r\n]|%22|%0[AD])(?:[-0-9.()+ ]|%2[089B])*"
#: Even so, behind a bare number's comma a space before as many digits as a foreign number has may have been one.
_MAYBE_PLUS_SIGN = re.compile(rf"({_BARE_NUMBER}%2C)\+(?=[0-9]{{10,15}}(?![0-9]))", re.IGNORECASE)

#: The same in a query, which is already decoded, so that a space may have been either.
_SPACE_FOR_PLUS = re.compile(r"(?:^|[\"\r\n]|tel:) [0-9]{7}", re.IGNORECASE)
_SPACE_FOR_PLUS_IN_UPLOAD = re.compile(
    r"[^ ]= [0-9]|,  +[0-9]|(?:^|[\"\r\n])[-0-9.()+ ]*, [0-9]{10,15}(?![0-9])", re.IGNORECASE
)


def fields(text: str, most: int) -> list[tuple[str, str]]:
    """The names and values of a form in their order. Raises ValueError for more than `most` fields.

    Raises UnicodeDecodeError, which is a ValueError, if it isn't UTF-8.
    """
    if text.count("&") >= most:
        raise ValueError(most)
    restored = "&".join(map("=".join, _with_plus_signs(text)))
    return parse_qsl(restored, keep_blank_values=True, errors="strict")


def may_have_lost_a_plus(name: str, text: str) -> bool:
    """True if a value of a query, percent-decoded, has a space where a plus sign may have been."""
    if _SPACE_FOR_PLUS.search(text):
        return True
    return name.startswith(_UPLOAD) and _SPACE_FOR_PLUS_IN_UPLOAD.search(text) is not None


def _with_plus_signs(text: str) -> Iterator[list[str]]:
    """Each field's name, and its value if it has one, still encoded, with `%2B` in place of a plus sign that is one."""
    for field in text.split("&"):
        name, *value = field.split("=", 1)
        if not value:
            yield [name]
        elif unquote_plus(name).startswith(_UPLOAD):
            restored = _PLUS_SIGN_IN_UPLOAD.sub(r"\1%2B", value[0])
            yield [name, _MAYBE_PLUS_SIGN.sub(r"\1%2B", restored)]
        else:
            yield [name, _PLUS_SIGN.sub(r"\1%2B", value[0])]
