"""A start_url that rings SIP telephones: it answers 202 to each dial, and posts to status_url how the call goes.

python -m examples.sip.start_url --secret whsec_… --to HOST:PORT [--host ADDRESS] [--lines N] [--port N]
"""

import argparse
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl

from examples.sip import events
from examples.sip.caller import Manner
from examples.sip.lines import Lines
from examples.sip.outcome import Event
from examples.sip.signature import is_signed
from examples.sip.sounds import write_prompt

#: what the callee hears if espeak-ng is there to say it
PROMPT = "Hello. This is a test call of callpacer. Good bye."

#: Begins a call to a number, and hands its events to the function. False if no line is free.
Call = Callable[[str, Callable[[Event], None]], bool]
#: gets the number, each event, and the status of callpacer's answer to it
Watch = Callable[[str, Event, int], None]


def _print_event(number: str, event: Event, status: int) -> None:
    print(number, " ".join(event.form().values()), f"-> {status}", flush=True)


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
        watch: Watch = _print_event,
    ) -> None:
        """`secret` is the account's; None takes anybody's dials. `port` is one of 127.0.0.1, 0 for any free one."""
        super().__init__(("127.0.0.1", port), _Handler)
        self._secret = secret
        self._call = call
        self._tell = tell
        self._watch = watch

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/start"

    def dialled(self, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer to a dial. `headers` have lower-case names."""
        if self._secret is not None and not is_signed(self._secret, headers, body, time.time()):
            return 401
        form = dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
        if not form.keys() >= {"phone_number", "status_url"}:
            return 422  # without status_url nobody would hear how the call ends
        number = form["phone_number"].removeprefix("tel:").partition(";")[0]

        def hear(event: Event) -> None:
            status = self._tell(form["status_url"], event, time.time())
            self._watch(number, event, status)

        # 503: callpacer may dial again later, if the campaign asks for that.
        return 202 if self._call(number, hear) else 503


class _Handler(BaseHTTPRequestHandler):
    server: StartUrl
    #: seconds that a client may take to send its request
    timeout = 10

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.dialled(headers, body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing: what happens in calls is shown."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.sip.start_url", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--secret", required=True, help="the account's secret, with which callpacer signs")
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the telephone, or the exchange that knows it")
    parser.add_argument("--host", default="127.0.0.1", help="the address of this machine to call from (127.0.0.1)")
    parser.add_argument("--lines", type=int, default=4, help="how many calls at a time (4)")
    parser.add_argument("--port", type=int, default=9000, help="the port of start_url (9000)")
    parser.add_argument("--ring-seconds", type=float, default=20.0, help="how long it rings before it is given up (20)")
    options = parser.parse_args()
    with TemporaryDirectory() as directory:
        prompt = write_prompt(Path(directory) / "prompt.wav", PROMPT)
        manner = Manner(options.to, prompt, options.ring_seconds, options.host)
        with Lines([manner] * options.lines) as lines, StartUrl(options.secret, lines.call, options.port) as server:
            print(f"start_url: {server.url}", flush=True)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
