"""A tenant's web server: `start_url`, which makes each call, and `result_url`, which receives each outcome.

Here no telephone rings: the server records each request, and answers it after a while with one of a few outcomes.
"""

import base64
import hashlib
import hmac
import json
import socket
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

from demo.summary import Call, Number, Outcome, Report

#: seconds by which a message's timestamp may differ from now, so that an old message can't be replayed
_TOLERANCE = 300


@dataclass(frozen=True)
class Answer:
    """The answer of start_url to one call."""

    status: int
    body: bytes
    #: the outcome that the report has to have
    outcome: Outcome


def _with_result(result: str, callee_type: str, duration: int) -> Answer:
    """An answer whose body has the result."""
    body = {"result": result, "callee_type": callee_type, "duration": duration}
    return Answer(200, json.dumps(body).encode(), Outcome(result, "http_200", callee_type, str(duration)))


def _without_result(status: int, body: bytes, result: str) -> Answer:
    """An answer whose result follows from the status alone."""
    return Answer(status, body, Outcome(result, f"http_{status}", "unknown", "0"))


_VOICEXML = b'<?xml version="1.0"?><vxml version="2.1"><form><block>Hello.</block></form></vxml>'
_PERSON = _with_result("completed", "voice", 42)
_MACHINE = _with_result("completed", "answeringmachine", 17)
_FAX = _with_result("completed", "fax", 5)
_DIALOGUE = _without_result(200, _VOICEXML, "completed")
_NO_ANSWER = _with_result("failed", "unknown", 0)
_BUSY = _without_result(486, b"Busy Here", "failed")
_NOT_FOUND = _without_result(404, b"Not Found", "failed")

#: all answers, in the order in which the screen shows their outcomes
ANSWERS = (_PERSON, _MACHINE, _DIALOGUE, _FAX, _BUSY, _NO_ANSWER, _NOT_FOUND)
#: the answers to twenty calls, repeated for further ones
_IN_TURN = (
    *(_PERSON, _PERSON, _MACHINE, _PERSON, _BUSY, _PERSON, _DIALOGUE, _PERSON, _PERSON, _NO_ANSWER),
    *(_PERSON, _MACHINE, _PERSON, _PERSON, _FAX, _BUSY, _PERSON, _DIALOGUE, _MACHINE, _NOT_FOUND),
)


def answer_to(index: int) -> Answer:
    """The answer to the call with this index, from 0."""
    return _IN_TURN[index % len(_IN_TURN)]


def seconds_until_answer(index: int) -> float:
    """From 0.1 to 0.4, in no visible order."""
    return 0.1 + index * 37 % 101 * 0.003


def is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """True if the request is signed with the account's secret, by the Standard Webhooks specification.

    `headers` have lower-case names. Every customer's server has to check this.
    """
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()) or abs(now - int(timestamp)) > _TOLERANCE:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{identifier}.{timestamp}.".encode() + body, hashlib.sha256)
    expected = b"v1," + base64.b64encode(digest)
    given = headers.get("webhook-signature", "").encode().split()
    return any(hmac.compare_digest(expected, one) for one in given)


@dataclass
class Tenant:
    """A context manager: inside it the server answers, on a free port of 127.0.0.1."""

    #: the account's, with which every request is signed
    secret: str
    calls: list[Call] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._indexes = count()
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def start_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/start"

    @property
    def result_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/result"

    def called(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Record a request to start_url."""
        now, form, index = time.time(), _form(body), next(self._indexes)
        answer = answer_to(index)
        signed = is_signed(self.secret, headers, body, now)
        self.calls.append(Call(now, _number(form), form.get("call_id", ""), signed, answer.outcome))
        time.sleep(seconds_until_answer(index))
        return answer

    def reported(self, headers: Mapping[str, str], body: bytes) -> None:
        """Record a request to result_url."""
        now, form = time.time(), _form(body)
        outcome = Outcome(*(form.get(name, "") for name in ("result", "reason", "callee_type", "duration")))
        signed = is_signed(self.secret, headers, body, now)
        self.reports.append(Report(now, _number(form), form.get("call_id", ""), signed, outcome))


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _number(form: Mapping[str, str]) -> Number:
    return Number(form.get("phone_number", ""), form.get("message_reference", ""))


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/start":
            answer = self.server.tenant.called(headers, body)
            self._answer(answer.status, answer.body)
        elif self.path == "/result":
            self.server.tenant.reported(headers, body)
            self._answer(200, b"")
        else:
            self._answer(404, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing: the terminal shows the demo."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, tenant: Tenant) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tenant = tenant

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: Any) -> None:
        """Ignore a client that closes its connection early: it has made no call."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
