"""The seams between a decision and the world: placing a call, and telling how it ended.

The dialer knows only these two; `chalicelib.gateway.http` is the way there over plain HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol
from urllib.parse import quote_plus

from chalicelib.domain.outcome import RequestResult

#: Asked at the last moment at which a call can still be held back. It returns, or raises what speaks against the call.
LastLook = Callable[[], Awaitable[None]]

#: How long a call, and a report, may take in all, in seconds: lookup, connection, last look, request, answer.
CALL_DEADLINE = 30.0
REPORT_DEADLINE = 10.0


class StartUrlClient(Protocol):
    """Whatever can place a call."""

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        """Ask `url` for a call with the form `body`, and say what came of it.

        Nothing of the request may be sent before `last_look` has returned. If it raises, nothing is sent at all, and
        what it raised goes through unchanged. So a NotSent is certain, and after it the call may be placed again.
        """


class ResultUrlClient(Protocol):
    """Whatever takes a report to its receiver."""

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        """Send the form `body` to `url`, and say what came of it."""


def form_body(fields: Mapping[str, str]) -> bytes:
    """The fields as application/x-www-form-urlencoded, in UTF-8, made once so that what is signed is what is sent.

    Their names are words, with underscores.
    """
    return "&".join(f"{name}={_quoted(value)}" for name, value in fields.items()).encode("ascii")


def _quoted(value: str) -> str:
    # Most are numbers and words, and urllib takes long to find out that they need no quotes.
    return value if value.isascii() and value.isalnum() else quote_plus(value)
