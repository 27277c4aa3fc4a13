"""The HTTP API on this machine: Chalice's local server, made to answer as the gateway does.

It serves on a socket it is handed, and ends on SIGTERM or when its standard input closes, once the requests it has
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

#: the largest body that the gateway takes, in bytes
GATEWAY_LIMIT = 10 * 1024 * 1024
#: seconds that requests at work when the end comes may take to finish
PATIENCE = 30.0


class Refused(LocalGatewayException):
    """What the gateway answers by itself, in the API's envelope."""

    def __init__(self, code: int, error: str) -> None:
        super().__init__({}, json.dumps({"status": "error", "error": error}).encode())
        self.CODE = code


class Server(ThreadedHTTPServer):
    """Takes connections from a socket that somebody else has opened, and knows how many requests are at work."""

    socket: socket.socket

    def __init__(self, descriptor: int, app: Chalice, config: Config) -> None:
        listener = socket.socket(fileno=descriptor)
        handler = functools.partial(Handler, app_object=app, config=config)
        super().__init__(listener.getsockname(), handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self._at_work = 0
        self._changed = threading.Condition()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        with self._changed:
            self._at_work += 1
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._changed.notify_all()

    def drain(self, patience: float) -> None:
        """Waits for the requests that have begun; idle connections don't count."""
        with self._changed:
            self._changed.wait_for(lambda: self._at_work == 0, patience)


class Handler(ChaliceRequestHandler):
    server: Server
    # Without this, small answers wait for the client's acknowledgement of their headers.
    disable_nagle_algorithm = True
    #: seconds an idle connection is kept
    timeout = 75
    error_content_type = "application/json"
    error_message_format = '{"status": "error", "error": "%(message)s."}'

    def _answer(self) -> None:
        with self.server.at_work():
            try:
                self._generic_handle()
            except Refused as refused:
                # Something of the request may be unread.
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
        """A client that is still sending doesn't listen: what is too much is taken in all the same."""
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

    def _send_error_response(self, error: LocalGatewayException) -> None:
        """A path without a route: Chalice imitates the gateway's own answer, which the template replaces."""
        super()._send_error_response(error if isinstance(error, Refused) else Refused(404, "Not found."))

    def _send_http_response_with_body(self, code: int, headers: dict[str, Any], body: str | bytes) -> None:
        if self.command == "HEAD":
            self._send_http_response_no_body(code, headers)
        else:
            super()._send_http_response_with_body(code, headers, body)


def main() -> None:
    # Chalice calls what it serves `app`, in the project's own folder.
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from app import app

    # Requests come in many threads; so each sees its own `current_request`, as chalice.local does it.
    CustomLocalChalice.__bases__ = (LocalChalice, app.__class__)
    app.__class__ = CustomLocalChalice
    config = Config.create(chalice_app=app, lambda_timeout=29, lambda_memory_size=1769, function_name="api_handler")
    server = Server(int(sys.argv[1]), app, config)
    signal.signal(signal.SIGTERM, lambda *_: _end(server))
    threading.Thread(target=lambda: (os.read(sys.stdin.fileno(), 1), server.shutdown()), daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    server.drain(PATIENCE)


def _end(server: Server) -> None:
    # Waits for the loop that this thread is in the middle of.
    threading.Thread(target=server.shutdown, daemon=True).start()


if __name__ == "__main__":
    main()
