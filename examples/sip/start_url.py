"""A start_url for calls that last: it answers 202 to each dial, and posts to status_url how the call goes."""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from examples.sip import events
from examples.sip.outcome import Event
from examples.sip.signature import is_signed

#: Begins a call to a number, and hands its events to the function. False if no line is free.
Call = Callable[[str, Callable[[Event], None]], bool]
#: Gets each event, with its number before it, and the status of callpacer's answer after it.
Watch = Callable[[str, Event, int], None]


class StartUrl(ThreadingHTTPServer):
    daemon_threads = True
    #: how many dials may wait to be accepted
    request_queue_size = 128

    def __init__(
        self,
        secret: str | None,
        call: Call,
        port: int = 0,
        *,
        tell: events.Tell = events.tell,
        watch: Watch = lambda *_: None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`secret` is the account's; None takes anybody's dials. `port` is one of 127.0.0.1, 0 for any free one.

        `log` gets a line for each dial that is refused.
        """
        super().__init__(("127.0.0.1", port), _Handler)
        self._secret = secret
        self._call = call
        self._tell = tell
        self._watch = watch
        self._log = log

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/start"

    def answer_dial(self, headers: dict[str, str], body: bytes) -> int:
        """Begin the call that a dial asks for. Returns the status of the answer. `headers` have lower-case names."""
        if self._secret is not None and not is_signed(self._secret, headers, body, time.time()):
            self._log("a dial is refused: its signature isn't the account's")
            return 401
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        if not form.keys() >= {"phone_number", "status_url"}:
            self._log("a dial is refused: it has no status_url, so nobody would hear how the call ends")
            return 422
        number = form["phone_number"].removeprefix("tel:").partition(";")[0]

        def hear(event: Event) -> None:
            status = self._tell(form["status_url"], event, time.time())
            self._watch(number, event, status)

        if self._call(number, hear):
            return 202
        self._log(f"{number} is put off: all lines are busy")
        return 503  # callpacer dials again later, if the campaign asks for that


class _Handler(BaseHTTPRequestHandler):
    server: StartUrl
    #: seconds that a client may take to send its request
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.answer_dial(headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: what happens in calls is shown."""
