"""An answer's outcome depends on its bytes, and not on the packets in which they come."""

import asyncio
import gzip
from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.domain.outcome import Answered
from chalicelib.gateway.http.listening import MOST_BEFORE_STATUS, MOST_BYTES, AnswerListener

JSON_BODY = b'{"result": "failed", "duration": 3}'
GZIPPED = gzip.compress(JSON_BODY, mtime=0)
RAW_DEFLATED = gzip.compress(JSON_BODY)[10:-8]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

#: what the answer's final status is, 0 if there is none; and the answer
ODD: list[tuple[int, bytes]] = [
    (200, b"HTTP/1.1 100 C\r\nfoo\r\n\r\n" + OK),
    (200, b"HTTP/1.1 103 Early Hints\r\nLink: </a>;\r\n rel=x\r\nfoo\r\n: bar\r\n\r\n" + OK),
    (200, b"HTTP/1.1 100 Continue\n\nHTTP/1.1 102 Processing\r\n\r\n" + OK),
    (200, b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    (200, b"HTTP/1.1\t200\tOK\r\nContent-Length: 2\r\n\r\nhi"),
    (200, b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nhi"),
    (200, b"\r\n \r\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi"),
    (200, b"HTTP/1.0 200\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 \xd6K\r\nContent-Length: 2\r\n\r\nhi and more than that"),
    (200, b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nX : a\rb\r\nContent-Length : 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\n folded: first\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: 35\r\nContent-Length: 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n" + JSON_BODY),
    (200, b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"n":"\xc3\xb1\xc3\xb1\xc3\xb1"}'),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIPPED),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + GZIPPED + b"rest"),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 35\r\n\r\n" + GZIPPED),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 35\r\n\r\n" + JSON_BODY),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n" + RAW_DEFLATED),
    (200, b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n1234"),
    (200, CHUNKED.replace(b"chunked", b"gzip, chunked") + b"%x\r\n%b\r\n0\r\n\r\nmore" % (len(GZIPPED), GZIPPED)),
    (200, b'HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n{"result": "failed", "n": "\xc3\xb1\xc3\xb1"}'),
    (200, b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{'result': 'failed'}\r\nmore"),
    (200, CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n") + b"23\r\n" + JSON_BODY + b"\r\n0\r\n\r\n"),
    (200, CHUNKED + b"0a;ext=1\r\n" + JSON_BODY[:10] + b"\r\n019\r\n" + JSON_BODY[10:] + b"\r\n00\r\nX: 1\r\n\r\n"),
    (200, CHUNKED + b"2\r\nhi\r\n0\r\n\r\nHTTP/1.1 500 Not this one\r\n\r\n"),
    (200, CHUNKED + b"5\r\nhello\r\nZZ\r\n"),
    (200, CHUNKED + b"5\r\nhello\r\n-5\r\nx\r\n0\r\n\r\n"),
    (200, CHUNKED + b"f" * 40 + b"\r\nhello\r\n0\r\n\r\n"),
    (200, CHUNKED + b"5\r\nhel"),
    (200, CHUNKED),
    (200, b"HTTP/1.1 200 OK\r\nX-A: 1"),
    (200, b"HTTP/1.1 200 OK\r\n"),
    (204, b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nOK"),
    (204, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nOK\r\n0\r\n\r\n"),
    (101, b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nbytes of it"),
    (503, b"HTTP/1.1 503 Busy\r\nno colon\r\nRetry-After: 10\r\nRetry-After: 20\r\n\r\nbusy"),
    (0, b""),
    (0, b"HTTP/1.1 20"),
    (0, b"HTTP/1.1 100 C\r\n\r\n"),
    (0, b"HTTP/1.1 100 C\r\n\r\n\r\n220 mail.example.com ESMTP\r\n"),
    (0, b"HTTP/1.1 102 P\r\n\r\n" * 6 + OK),
    (0, b"HTTP/1.1 200OK\r\n\r\n"),
    (0, b"HTTP/1.1 000 OK\r\n\r\n"),
    (0, b"HTTP/1.1 99999 OK\r\n\r\n"),
    (0, b"HTTP/2 200\r\n\r\n"),
    (0, b"HTTX/1.1 200 OK\r\n\r\n"),
    (0, b"SSH-2.0-OpenSSH_9.6\r\nHTTP/1.1 200 OK\r\n\r\n"),
    (0, b"\x15\x03\x01\x00\x02\x02\x0a"),
]
LONG: list[tuple[int, bytes]] = [
    (200, b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 7_000 + b"\r\n\r\n" + OK),
    (0, b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 9_000 + b"\r\n\r\n" + OK),
    (0, b"HTTP/1.1 200 " + b"a" * MOST_BEFORE_STATUS + b"\r\n\r\nhi"),
    (0, b"\r\n" * MOST_BEFORE_STATUS + OK),
    (200, b"HTTP/1.1 200 OK\r\n" + b"X-A: a value of some length\r\n" * 2_000 + b"Content-Length: 2\r\n\r\nhi"),
    (200, b"HTTP/1.1 200 OK\r\n" + b"X-A: a value of some length\r\n" * 4_000 + b"Content-Length: 2\r\n\r\nhi"),
    (200, b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 80_000 + b"\r\nContent-Length: 2\r\n\r\nhi"),
    (200, b"HTTP/1.1 200 OK\r\n\r\n" + JSON_BODY + b" " * 70_000),
    (200, b"HTTP/1.1 200 OK\r\n\r\n" + JSON_BODY + b" " * MOST_BYTES),
    (200, CHUNKED + b"23\r\n" + JSON_BODY + b"\r\n10000\r\n" + b" " * 65_536 + b"\r\n0\r\n\r\n"),
    (200, CHUNKED + b"1\r\n \r\n" * 20_000),
]


def shown(answer: bytes) -> str:
    return repr(answer[:60])


def heard(pieces: Sequence[bytes]) -> tuple[Answered | None, str]:
    """What a listener takes from an answer in these pieces, after which the server closes; and how it ended."""
    loop = asyncio.new_event_loop()
    try:
        listener = AnswerListener(loop=loop)
        listener.set_response_params()
        for piece in pieces:
            listener.data_received(piece)
        listener.eof_received()
        ended_by = listener.exception()
        return listener.answer(), repr(ended_by)
    finally:
        loop.close()


def cut(answer: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(answer)]
    return [answer[start:end] for start, end in pairwise(bounds)]


def in_two(answer: bytes, step: int) -> Iterator[list[bytes]]:
    return (cut(answer, [place]) for place in range(1, len(answer), step))


@pytest.mark.parametrize(("status", "answer"), ODD, ids=lambda one: shown(one) if isinstance(one, bytes) else one)
def test_an_answer_in_any_two_packets_is_the_same_as_in_one(status: int, answer: bytes) -> None:
    whole = heard([answer])
    assert (whole[0].status if whole[0] else 0) == status
    for pieces in in_two(answer, 1):
        assert heard(pieces) == whole, pieces
    assert heard([bytes([one]) for one in answer]) == whole


@pytest.mark.parametrize(("status", "answer"), LONG, ids=lambda one: shown(one) if isinstance(one, bytes) else one)
def test_a_long_answer_in_packets_of_any_size_is_the_same_as_in_one(status: int, answer: bytes) -> None:
    whole = heard([answer])
    assert (whole[0].status if whole[0] else 0) == status
    for size in (997, 1_460, 8_191, 8_192, 8_193, 65_536, 98_303):
        assert heard(cut(answer, range(size, len(answer), size))) == whole
    for pieces in in_two(answer, len(answer) // 50):
        assert heard(pieces) == whole


@settings(max_examples=300, deadline=None)
@given(answer=st.sampled_from([answer for _, answer in ODD]), data=st.data())
def test_an_answer_in_any_packets_is_the_same_as_in_one(answer: bytes, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(answer)), max_size=12))
    assert heard(cut(answer, places)) == heard([answer])


@settings(max_examples=300, deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([b"HTTP/1.1 ", b"100", b"200", b" ", b"\r\n", b"\n", b"\r", b"foo", b":", b"0", b"a"])
    )
)
def test_any_bytes_in_any_packets_are_the_same_as_in_one(pieces: list[bytes]) -> None:
    assert heard(pieces) == heard([b"".join(pieces)])
