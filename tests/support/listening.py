"""A server on this machine that answers each request by a function, and hands the requests to the test."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

#: seconds that a test waits for a request
PATIENCE = 5.0


@dataclass(frozen=True)
class ReceivedRequest:
    """A request, as the server received it."""

    method: str
    #: with its query
    path: str
    #: by lower-case name
    headers: Mapping[str, str]
    body: str


#: The status and the body of an answer. None closes the connection without one.
Answer = tuple[int, bytes] | None


class Listener:
    """The requests that the server received, in their order."""

    def __init__(self, url: str) -> None:
        #: such as http://127.0.0.1:41234
        self.url = url
        self._requests: SimpleQueue[ReceivedRequest] = SimpleQueue()

    def put(self, request: ReceivedRequest) -> None:
        self._requests.put(request)

    def next(self) -> ReceivedRequest:
        """The next request. If there is none yet, it waits for one. Raises queue.Empty if none comes in time."""
        return self._requests.get(timeout=PATIENCE)

    def has_no_more(self) -> bool:
        """True if no further request has come so far."""
        return self._requests.empty()


@contextmanager
def listener(answer: Callable[[ReceivedRequest], Answer]) -> Iterator[Listener]:
    """A server on a free port of 127.0.0.1. It hands a request on before it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.take("POST")

        def do_GET(self) -> None:
            self.take("GET")

        def do_DELETE(self) -> None:
            self.take("DELETE")

        def take(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = ReceivedRequest(method, self.path, headers, body)
            found.put(request)
            answered = answer(request)
            if answered is None:
                self.close_connection = True
                return
            status, content = answered
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """The test's output is for its failures."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        found = Listener(url)
        yield found


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """The URL of the server. It answers until the context ends."""
    server.daemon_threads = True
    with server:
        # The interval is what the end of each test may take.
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
