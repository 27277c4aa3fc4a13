"""A tenant's web server: `start_url`, which makes each call, and `result_url`, which receives each outcome.

It records each request, answers it as `demo.telephone` says, and posts to the call's `status_url` what happens then.
"""

import base64
import hashlib
import hmac
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from demo.record import Call, Event, Number, Outcome, Report
from demo.telephone import Answer, Step, answer_to, seconds_until_answer

#: seconds by which a message's timestamp may differ from now, so that an old message can't be replayed
_TOLERANCE = 300
#: seconds that callpacer's answer to an event may take
_PATIENCE = 35
#: seconds before an event that wasn't taken is posted again
_PAUSES = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Dial:
    """A call that the tenant has to answer, and to go on with."""

    id: str
    attempt: int
    status_url: str
    #: how many calls came before it
    index: int

    @property
    def answer(self) -> Answer:
        return answer_to(self.index, self.attempt)


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
    #: waits so many seconds, and answers True if the server ends meanwhile; by default on the real clock
    wait: Callable[[float], bool] | None = None
    calls: list[Call] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._indexes = count()
        self._ending = threading.Event()
        self._wait = self.wait or self._ending.wait
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def start_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/start"

    @property
    def result_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/result"

    def called(self, headers: Mapping[str, str], body: bytes) -> Dial:
        """Record a request to start_url, and return when it has to be answered."""
        now, form, index = time.time(), _form(body), next(self._indexes)
        dial = Dial(form.get("call_id", ""), _whole(form, "attempt"), form.get("status_url", ""), index)
        signed = is_signed(self.secret, headers, body, now)
        outcome, lasts = dial.answer.outcome, bool(dial.answer.steps)
        self.calls.append(Call(now, _number(form), dial.id, dial.attempt, signed, outcome, lasts))
        self._wait(seconds_until_answer(index))
        return dial

    def go_on(self, dial: Dial) -> None:
        """Post the events of a call when their time has come."""
        passed = 0.0
        for step in dial.answer.steps:
            if self._wait(step.after - passed):
                return
            passed = step.after
            self._tell(dial, step)

    def _tell(self, dial: Dial, step: Step) -> None:
        """Post an event until it is taken. One that comes twice does no harm."""
        now = time.time()
        answer = post(dial.status_url, step.fields)
        for pause in _PAUSES:
            if answer == 200 or self._wait(pause):
                break
            answer = post(dial.status_url, step.fields)
        self.events.append(Event(now, dial.id, dial.attempt, step.fields["status"], answer))

    def reported(self, headers: Mapping[str, str], body: bytes) -> None:
        """Record a request to result_url."""
        now, form = time.time(), _form(body)
        outcome = Outcome(*(form.get(name, "") for name in ("result", "reason", "callee_type", "duration")))
        signed = is_signed(self.secret, headers, body, now)
        attempts = _whole(form, "attempts")
        self.reports.append(Report(now, _number(form), form.get("call_id", ""), attempts, signed, outcome))


def post(url: str, fields: Mapping[str, str]) -> int:
    """Post a form to an http URL. Answers the status; 0 if there is no answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=_PATIENCE)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        connection.request("POST", f"{parts.path}?{parts.query}", urlencode(fields), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))


def _number(form: Mapping[str, str]) -> Number:
    return Number(form.get("phone_number", ""), form.get("message_reference", ""))


def _whole(form: Mapping[str, str], name: str) -> int:
    """A number of the form; 0 if there is none."""
    text = form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path == "/start":
            dial = self.server.tenant.called(headers, body)
            self._answer(dial.answer.status, dial.answer.body)
            threading.Thread(target=self.server.tenant.go_on, args=(dial,), daemon=True).start()
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
