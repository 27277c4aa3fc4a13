"""The two interfaces through which the dialer asks for calls and reports their outcomes.

`chalicelib.gateway.http` implements both over HTTP.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote_plus

from chalicelib.domain.outcome import RequestResult

#: The last check before anything is sent. It returns if the call may be made, and raises if it may not.
LastLook = Callable[[], Awaitable[None]]

#: How long a call, and a report, may take in all, in seconds: lookup, connection, last look, request, answer.
CALL_DEADLINE = 30.0
REPORT_DEADLINE = 10.0

#: what must be quoted: all but the unreserved characters of RFC 3986 §2.3
_RESERVED = re.compile(r"[^A-Za-z0-9_.~-]+")


class StartUrlClient(Protocol):
    """Asks a start_url for a call."""

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        """POST the form `body` to `url` once, and answer the result.

        No byte of the request is sent before `last_look` has returned. If it raises, nothing is sent, and its exception
        is raised unchanged. So NotSent is certain: the call may be made again.
        """


class ResultUrlClient(Protocol):
    """Sends a report to a result_url."""

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        """POST the form `body` to `url` once, and answer the result."""


def form_body(fields: Mapping[str, str]) -> bytes:
    """The fields as application/x-www-form-urlencoded, in UTF-8. The signature is over these bytes.

    Names aren't encoded: they are words with underscores.
    """
    return "&".join(f"{name}={_quoted(value)}" for name, value in fields.items()).encode("ascii")


def _quoted(value: str) -> str:
    return _RESERVED.sub(lambda run: _quoted_run(run[0]), value)


#: Forms have the same few characters again and again, and quoting a whole URL takes twice as long.
_quoted_run = lru_cache(maxsize=1024)(quote_plus)
