"""The status line of an answer, whatever comes after it.

A server that has sent its status line has decided. But real servers also send a body with a 204, a length in
characters, or a header without a colon, and aiohttp's parser then fails. Whether it has parsed the status by then
depends on how the bytes were cut into packets. So the status is read apart from the parser.
"""

import re

from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

#: Bytes of an answer that are read, with headers and chunk sizes. Of the body, 64 KiB are read.
MOST_BYTES = 98_304
#: Bytes in which the status line must come, with the interim answers before it.
MOST_BEFORE_STATUS = 8_192
#: Interim answers (RFC 9110 §15.2) that may come before the status line.
MOST_INTERIM = 5

_STATUS_LINE = re.compile(rb"\s*HTTP/1\.[01] +([1-9][0-9]{2})(?: [^\n]*)?\r?\n")
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200


class AnswerTooLong(HttpProcessingError):
    """Too many bytes or interim answers come before the status line, or the headers don't end."""


class StatusListener(ResponseHandler):
    """Reads the status line as it comes in. Passes the bytes to the parser, up to MOST_BYTES."""

    #: the status of the final answer; 0 until its line has come
    status = 0
    _bytes_left = MOST_BYTES
    _before_status = b""

    def data_received(self, data: bytes) -> None:
        if not self._bytes_left:
            return
        if self._parser is None:
            # There is no request yet. aiohttp keeps the data, and passes it again when there is one.
            super().data_received(data)
            return
        if not self.status:
            self._before_status += data
            try:
                self.status = find_status(self._before_status)
            except AnswerTooLong as error:
                self._bytes_left = 0
                self.set_exception(error)
                return
        taken = data[: self._bytes_left]
        self._bytes_left -= len(taken)
        super().data_received(taken)
        if not self._bytes_left:
            self._end_answer()

    def _end_answer(self) -> None:
        """End an answer that has its full length. The body ends with what was received of it."""
        if self._payload is None or self._payload is EMPTY_PAYLOAD:
            self.set_exception(AnswerTooLong(message="the headers don't end"))
            return
        self._payload.feed_eof()
        self._payload = self._parser = None


def find_status(received: bytes) -> int:
    """The status of the final answer. 0 if its line isn't complete. Raises AnswerTooLong."""
    start = 0
    for _ in range(MOST_INTERIM + 1):
        line = _STATUS_LINE.match(received, start)
        if line is None:
            break
        status = int(line[1])
        if status >= _FIRST_FINAL or status == _SWITCHING_PROTOCOLS:
            return status
        end = _END_OF_HEADERS.search(received, line.end() - 1)
        if end is None:
            break
        start = end.end()
    else:
        raise AnswerTooLong(message="too many interim answers")
    if len(received) > MOST_BEFORE_STATUS:
        raise AnswerTooLong(message="no status line")
    return 0
