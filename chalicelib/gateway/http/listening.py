"""The status line of an answer, whatever comes after it.

A server has decided when it has sent its status line. Real servers send a body with a 204, a length in characters or a
header without a colon, and the parser gives up on all of it. Which of that it has seen by then depends on how the bytes
were cut into packets, so the status is read apart from it.
"""

import re

from aiohttp.client_proto import ResponseHandler
from aiohttp.http import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD

#: Bytes of an answer that are taken, with all that isn't its body. A body is read up to 64 KiB.
MOST_BYTES = 98_304
#: Bytes in which the status line must have come, with interim answers before it.
MOST_BEFORE_STATUS = 8_192
#: Interim answers (RFC 9110 §15.2) before the status line.
MOST_INTERIM = 5

_STATUS_LINE = re.compile(rb"\s*HTTP/1\.[01] +([1-9][0-9]{2})(?: [^\n]*)?\r?\n")
_END_OF_HEADERS = re.compile(rb"\n\r?\n")
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200


class TooMuch(HttpProcessingError):
    """More than an answer may have of something."""


class StatusListener(ResponseHandler):
    """Reads the status line as it comes in, and hands everything on to the parser until there is too much of it."""

    #: the status of the final answer; 0 until its line has come
    status = 0
    _left = MOST_BYTES
    _before_status = b""

    def data_received(self, data: bytes) -> None:
        if not self._left:
            return
        if self._parser is None:
            # Before there is a request. It is kept, and comes again.
            super().data_received(data)
            return
        if not self.status:
            self._before_status += data
            try:
                self.status = status_in(self._before_status)
            except TooMuch as fault:
                self._left = 0
                self.set_exception(fault)
                return
        taken = data[: self._left]
        self._left -= len(taken)
        super().data_received(taken)
        if not self._left:
            self._end()

    def _end(self) -> None:
        """The answer is as long as it may be: what there is of its body is all of it."""
        if self._payload is None or self._payload is EMPTY_PAYLOAD:
            self.set_exception(TooMuch(message="headers without end"))
            return
        self._payload.feed_eof()
        self._payload = self._parser = None


def status_in(received: bytes) -> int:
    """The status of the final answer, 0 if its line isn't complete. Raises TooMuch for what nobody waits for."""
    begins = 0
    for _ in range(MOST_INTERIM + 1):
        line = _STATUS_LINE.match(received, begins)
        if line is None:
            break
        status = int(line[1])
        if status >= _FIRST_FINAL or status == _SWITCHING_PROTOCOLS:
            return status
        end = _END_OF_HEADERS.search(received, line.end() - 1)
        if end is None:
            break
        begins = end.end()
    else:
        raise TooMuch(message="interim answers without end")
    if len(received) > MOST_BEFORE_STATUS:
        raise TooMuch(message="no status line")
    return 0
