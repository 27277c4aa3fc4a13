"""Stands in for callpacer: it dials a start_url with signed forms, and takes the events of each call."""

import base64
import json
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit

from examples.sip.outcome import FINAL
from examples.sip.signature import sign

#: the statuses of events that callpacer knows
_KNOWN = FINAL | {"queued", "initiated", "ringing", "in_progress", "answered"}
#: seconds that an answer of start_url may take
_PATIENCE = 10


class Stub:
    """A context manager: inside it the status_url of each dial answers, on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        #: the account's secret, with which dials are signed
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self._ids = count(1)
        self._changed = threading.Condition()
        #: the events of each number, in order
        self._events: dict[str, list[dict[str, str]]] = defaultdict(list)
        #: the number of each status_url, by the path of that URL
        self._numbers: dict[str, str] = {}
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def dial(self, start_url: str, number: str) -> int:
        """The status of start_url's answer to a dial."""
        call = str(next(self._ids))
        path = f"/events/{call}?{urlencode({'signature': secrets.token_urlsafe(12)})}"
        with self._changed:
            self._numbers[path] = number
        form = {
            "phone_number": f"tel:{number}",
            "message_reference": "",
            "call_id": call,
            "campaign_id": "1",
            "ani": "",
            "attempt": "1",
            "status_url": f"http://127.0.0.1:{self._server.server_port}{path}",
        }
        body = urlencode(form).encode()
        parts = urlsplit(start_url)
        connection = HTTPConnection(parts.netloc, timeout=_PATIENCE)
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            connection.request(
                "POST", parts.path, body, headers | sign(self.secret, f"{call}-1", int(time.time()), body)
            )
            return connection.getresponse().status
        finally:
            connection.close()

    def take_event(self, path: str, event: Mapping[str, str]) -> int:
        """Record an event that was posted to `path`. Returns the status of the answer."""
        with self._changed:
            if path not in self._numbers:
                return 401
            if event.get("status") not in _KNOWN:
                return 422
            events = self._events[self._numbers[path]]
            if event not in events:
                events.append(dict(event))
            self._changed.notify_all()
            return 200

    def events(self, number: str) -> list[dict[str, str]]:
        """The events of a number so far, each once."""
        with self._changed:
            return list(self._events[number])

    def is_over(self, number: str) -> bool:
        return any(event["status"] in FINAL for event in self.events(number))

    def wait(self, seconds: float) -> None:
        """Return at the next event, or after so many seconds."""
        with self._changed:
            self._changed.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode(errors="replace")
        is_json = self.headers.get("Content-Type", "").startswith("application/json")
        event = {name: str(value) for name, value in (json.loads(body) if is_json else dict(parse_qsl(body))).items()}
        self.send_response(self.server.stub.take_event(self.path, event))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: the screen shows the events."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, stub: Stub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.stub = stub
