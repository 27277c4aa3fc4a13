"""One answer as it comes in: where its status line is, and when it has ended.

aiohttp sends the request, but doesn't parse the answer: its parser refuses answers that real servers send, and whether
it had read the status by then depended on the packets. Here the bytes that have come decide alone, however they were
cut.
"""

import asyncio
import re
from typing import Any

from aiohttp import ClientError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError

from chalicelib.domain.outcome import Answered
from chalicelib.gateway.http.reading import Head, read_body, read_head
from chalicelib.gateway.http.unpacking import Body, State

#: Bytes of an answer that are read, with headers and chunk sizes. Of the body, 64 KiB are read.
MOST_BYTES = 98_304
#: Bytes in which the status line must come and end, with the interim answers before it.
MOST_BEFORE_STATUS = 8_192
#: Interim answers (RFC 9110 §15.2) that may come before the status line.
MOST_INTERIM = 5

#: RFC 9112 §4, with any spaces
_STATUS_LINE = re.compile(rb"\s*HTTP/[0-9]\.[0-9][ \t]+([1-9][0-9]{2})(?:[ \t][^\n]*)?\r?\n")
#: what may still become a status line: its beginning, or none of it
_UNFINISHED_LINE = re.compile(rb"\s*(?:H|HT|HTT|HTTP|HTTP/[^\n]*)?\Z")
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200

#: Seconds after which it is looked whether the answer has ended. Each further pause is twice as long.
_FIRST_PAUSE = 0.02


class BadAnswer(HttpProcessingError):
    """The bytes don't begin with a status line, or too many come before it."""


class AnswerEnded(ClientError):
    """The answer has ended, or no more of it is read. aiohttp, which waits for it, is told so by an exception."""


class AnswerListener(ResponseHandler):
    """Keeps the bytes of an answer, up to MOST_BYTES."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._received = bytearray()
        #: True while a request waits for its answer
        self._is_awaited = False
        #: the status of the final answer, and where its line ends; 0 until it has come
        self._status, self._headers_begin = 0, 0
        #: what the headers say, once they have ended, and where that is
        self._head: Head | None = None
        self._body_begins = 0
        #: the body when it was last looked whether the answer has ended, and how many bytes had come by then
        self._body, self._looked_at = Body(b"", State.CUT), 0
        #: True if the server has sent its last byte
        self._is_closed = False
        self._pause = _FIRST_PAUSE
        self._next_look: asyncio.TimerHandle | None = None

    def answer(self) -> Answered | None:
        """What has come of the answer; None if there is no status line."""
        if not self._status:
            return None
        if self._looked_at < len(self._received):
            self._read()
        headers = {} if self._head is None else self._head.headers
        return Answered(self._status, headers, self._body.content, self._body.state is State.WHOLE)

    def set_response_params(self, **_: Any) -> None:
        """aiohttp calls this before it sends the request. What came before that is an answer, too.

        The handler that this extends would make a parser here.
        """
        self._is_awaited = True
        self._take_in()

    def data_received(self, data: bytes) -> None:
        self._received += data[: MOST_BYTES - len(self._received)]
        self._take_in()

    def eof_received(self) -> None:
        super().eof_received()
        self._is_closed = True
        self._take_in()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _take_in(self) -> None:
        """Find the status line in what has come, and then the end of the answer."""
        if not self._is_awaited or not self._received:
            return
        if not self._status:
            try:
                self._status, self._headers_begin = find_status(self._received)
            except BadAnswer as error:
                self._end(error)
        if self._status:
            self._look_for_end()

    def _look_for_end(self) -> None:
        """See whether the answer has ended: now or soon.

        That takes time in which other calls wait. So it isn't done at each packet, but after twice as many bytes or a
        pause.
        """
        if self._is_closed or len(self._received) == MOST_BYTES or len(self._received) >= 2 * self._looked_at:
            self._look()
        elif self._next_look is None:
            self._next_look = self._loop.call_later(self._pause, self._look)
            self._pause *= 2

    def _look(self) -> None:
        self._next_look = None
        self._read()
        if self._body.state is not State.CUT or self._is_closed or len(self._received) == MOST_BYTES:
            self._end(AnswerEnded())

    def _read(self) -> None:
        """Read the headers, once they have ended, and the body so far."""
        self._looked_at = len(self._received)
        if self._head is None:
            end = _END_OF_HEADERS.search(self._received, self._headers_begin - 1)
            if end is None:
                return
            self._head = read_head(self._status, bytes(self._received[self._headers_begin : end.start() + 1]))
            self._body_begins = end.end()
        self._body = read_body(self._head, bytes(self._received[self._body_begins :]), is_closed=self._is_closed)

    def _end(self, reason: BadAnswer | AnswerEnded) -> None:
        self._stop()
        self.set_exception(reason)

    def _stop(self) -> None:
        self._is_awaited = False
        if self._next_look is not None:
            self._next_look.cancel()


def find_status(received: bytes | bytearray) -> tuple[int, int]:
    """The status of the final answer, and where its line ends. 0 if it may still come. Raises BadAnswer.

    Once it has found a status or raised, more bytes change nothing.
    """
    received, has_more = received[:MOST_BEFORE_STATUS], len(received) >= MOST_BEFORE_STATUS
    start = 0
    for _ in range(MOST_INTERIM + 1):
        line = _STATUS_LINE.match(received, start)
        if line is None:
            if has_more or not _UNFINISHED_LINE.match(received, start):
                raise BadAnswer(message="no status line")
            return 0, 0
        status = int(line[1])
        if status >= _FIRST_FINAL or status == _SWITCHING_PROTOCOLS:
            return status, line.end()
        end = _END_OF_HEADERS.search(received, line.end() - 1)
        if end is None:
            if has_more:
                raise BadAnswer(message="no status line")
            return 0, 0
        start = end.end()
    raise BadAnswer(message="too many interim answers")
