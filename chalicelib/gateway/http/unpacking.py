"""A body without the codings in which a server has packed it, though it was asked not to."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, auto

#: Bytes of a body that are read. The rest is dropped.
LONGEST_BODY = 65_536

#: zlib's `wbits` for each content coding. Servers send `deflate` with zlib's header or without it.
_WINDOW_BITS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
#: Some servers don't say that they compress.
_GZIP_BEGINS = b"\x1f\x8b"
#: No server packs a body more often.
_MOST_CODINGS = 3


class State(IntEnum):
    """How much of a body there is. Of two, the higher one holds."""

    WHOLE = auto()
    #: more bytes may make it whole
    CUT = auto()
    #: no bytes can make it whole: it is too long, or packed in an unknown or broken way
    UNREADABLE = auto()


@dataclass(frozen=True)
class Body:
    """What has come of a body, and could be unpacked."""

    content: bytes
    state: State


def unpacked(content: bytes, codings: Sequence[str], *, is_cut: bool) -> Body:
    """The body without its codings, up to LONGEST_BODY. What can't be unpacked stays as it is."""
    if not codings and content.startswith(_GZIP_BEGINS):
        codings = ("gzip",)
    if len(codings) > _MOST_CODINGS or not _WINDOW_BITS.keys() >= set(codings):
        return Body(content[:LONGEST_BODY], State.UNREADABLE)
    state = State.CUT if is_cut else State.WHOLE
    for coding in reversed(codings):
        body = _decompress(content, _WINDOW_BITS[coding])
        content, state = body.content, max(state, body.state)
    return Body(content, state) if len(content) <= LONGEST_BODY else Body(content[:LONGEST_BODY], State.UNREADABLE)


def _decompress(content: bytes, window_bits: Sequence[int]) -> Body:
    """What can be decompressed, by the window size that fits best."""
    bodies = [_decompress_members(content, bits) for bits in window_bits]
    return min(bodies, key=lambda body: body.state)


def _decompress_members(content: bytes, bits: int) -> Body:
    """gzip may have several members, and zeros after them (RFC 1952 §2.2)."""
    found = b""
    while content.strip(b"\0"):
        member = zlib.decompressobj(bits)
        try:
            found += member.decompress(content, LONGEST_BODY + 1 - len(found))
        except zlib.error:
            return Body(found or content, State.UNREADABLE)
        if not member.eof or len(found) > LONGEST_BODY:
            return Body(found, State.CUT)
        content = member.unused_data
    return Body(found, State.WHOLE)
