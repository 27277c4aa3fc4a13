"""A tenant's web server on this machine, which records each request and its time."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class ReceivedRequest:
    """One request."""

    #: Unix seconds, when the request was read
    at: float
    form: dict[str, str]
    #: the same when the same report is sent again
    webhook_id: str
    #: Unix seconds, when the dialer signed it, right before it connected; 0 if it isn't signed
    signed: int


@dataclass
class Tenant:
    """`start_url` and `result_url`, each with the requests that it received so far, in order."""

    url: str
    #: until start_url answers; a test may change it
    seconds_per_call: float
    calls: list[ReceivedRequest] = field(default_factory=list)
    reports: list[ReceivedRequest] = field(default_factory=list)
    #: those of the calls that aren't answered yet
    under_way: list[ReceivedRequest] = field(default_factory=list)
    #: those of the calls whose caller had closed the connection before the answer
    cut_off: list[ReceivedRequest] = field(default_factory=list)

    @property
    def start_url(self) -> str:
        return f"{self.url}/start"

    @property
    def result_url(self) -> str:
        return f"{self.url}/result"

    def numbers_called(self) -> list[str]:
        return [call.form["phone_number"] for call in self.calls]


@contextmanager
def serve(seconds_per_call: float = 0.2) -> Iterator[Tenant]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = dict(parse_qsl(body.decode(), keep_blank_values=True))
            received = ReceivedRequest(
                time.time(), form, self.headers["webhook-id"], int(self.headers["webhook-timestamp"] or 0)
            )
            if self.path == "/start":
                tenant.calls.append(received)
                tenant.under_way.append(received)
                time.sleep(tenant.seconds_per_call)
                tenant.under_way.remove(received)
                if self.is_cut_off():
                    tenant.cut_off.append(received)
                    self.close_connection = True
                    return
            else:
                tenant.reports.append(received)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def is_cut_off(self) -> bool:
            """The connection can be read. A caller that lives sends nothing more before the answer."""
            readable, _, _ = select.select([self.connection], [], [], 0)
            try:
                return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
            except ConnectionError:
                return True

        def log_message(self, *_: object) -> None:
            """Log nothing: the output of a test shows its failures."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        tenant = Tenant(f"http://127.0.0.1:{server.server_port}", seconds_per_call)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield tenant
        finally:
            server.shutdown()
            thread.join()
