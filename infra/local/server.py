"""The HTTP API on this machine: Chalice's local server, changed to answer as API Gateway does.

It serves on a socket it inherits. It ends on SIGTERM or when its standard input closes, after the requests that have
begun are answered.

    python -m infra.local.server <descriptor of the listening socket> < pipe
"""

import functools
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chalice import Chalice
from chalice.config import Config
from chalice.local import (
    ChaliceRequestHandler,
    CustomLocalChalice,
    LocalChalice,
    LocalGatewayException,
    ThreadedHTTPServer,
)

from chalicelib.api.request import MAX_BODY_BYTES

#: the largest body that API Gateway takes, in bytes
GATEWAY_LIMIT = 10 * 1024 * 1024
#: seconds that running requests may take to finish when it ends
PATIENCE = 30.0


class Refused(LocalGatewayException):
    """An error that the gateway answers by itself, in the API's envelope."""

    def __init__(self, code: int, error: str) -> None:
        super().__init__({}, json.dumps({"status": "error", "error": error}).encode())
        self.CODE = code


class Server(ThreadedHTTPServer):
    """Accepts connections from an inherited socket, and counts the requests that run."""

    socket: socket.socket

    def __init__(self, descriptor: int, app: Chalice, config: Config) -> None:
        listener = socket.socket(fileno=descriptor)
        handler = functools.partial(Handler, app_object=app, config=config)
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._running = 0
        self._changed = threading.Condition()

    @contextmanager
    def request_running(self) -> Iterator[None]:
        with self._changed:
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def drain(self, patience: float) -> None:
        """Wait for the requests that run; idle connections don't count."""
        with self._changed:
            self._changed.wait_for(lambda: self._running == 0, patience)


class Handler(ChaliceRequestHandler):
    server: Server
    # Without this, small answers wait for the client's acknowledgement of their headers.
    disable_nagle_algorithm = True
    #: seconds for which an idle connection is kept
    timeout = 75
    error_content_type = "application/json"
    error_message_format = '{"status": "error", "error": "%(message)s."}'

    def _answer(self) -> None:
        with self.server.request_running():
            try:
                self._generic_handle()
            except Refused as refused:
                # A part of the request may be unread.
                self.close_connection = True
                self._send_error_response(refused)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = _answer  # noqa: N815

    def _parse_payload(self) -> tuple[dict[str, Any], bytes | None]:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return dict(self.headers), self._read_chunks()
        length = self._number(self.headers.get("content-length", "0"), 10)
        body = bytearray()
        self._read(length, body)
        return dict(self.headers), bytes(body) or None

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while length := self._number(self.rfile.readline(1000).decode("latin-1").partition(";")[0], 16):
            self._read(length, body)
            self.rfile.readline(1000)
        while self.rfile.readline(1000).strip():
            pass
        return bytes(body)

    def _read(self, length: int, body: bytearray) -> None:
        """Read a body that is too large to its end, too: a client reads no answer before it has sent everything."""
        too_much = len(body) + length > GATEWAY_LIMIT
        while length > 0 and (piece := self.rfile.read(min(length, 1 << 16))):
            length -= len(piece)
            if not too_much:
                body += piece
        if too_much:
            raise Refused(413, f"The request body is larger than the limit of {MAX_BODY_BYTES} bytes.")

    def _number(self, text: str, base: int) -> int:
        try:
            return int(text, base)
        except ValueError:
            raise Refused(400, "The length of the request body is not a number.") from None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer what isn't HTTP without the words of the base class: they quote the request, and break the JSON."""
        super().send_error(code)

    def _send_error_response(self, error: LocalGatewayException) -> None:
        """Replace Chalice's error for a path without a route, as the template does with the gateway's own."""
        super()._send_error_response(error if isinstance(error, Refused) else Refused(404, "Not found."))

    def _send_http_response_with_body(self, code: int, headers: dict[str, Any], body: str | bytes) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)


def main() -> None:
    # app.py is in the project's own folder.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from app import app

    # Requests run in many threads, and each needs its own `current_request`. chalice.local does the same.
    CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
    app.__class__ = CustomLocalChalice
    config = Config.create(chalice_app=app, lambda_timeout=29, lambda_memory_size=1769, function_name="api_handler")
    server = Server(int(sys.argv[1]), app, config)
    signal.signal(signal.SIGTERM, lambda *_: _end(server))
    threading.Thread(target=lambda: (os.read(sys.stdin.fileno(), 1), server.shutdown()), daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.drain(PATIENCE)


def _end(server: Server) -> None:
    # In a thread of its own: `shutdown` waits for the serving loop, which runs in this thread.
    threading.Thread(target=server.shutdown, daemon=True).start()


if __name__ == "__main__":
    main()
