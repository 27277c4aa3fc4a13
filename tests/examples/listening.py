"""A server on this machine that answers by a function, and hands on what it was asked."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue

#: seconds that a test waits for a request
PATIENCE = 5.0


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    #: with its query
    path: str
    #: by lower-case name
    headers: Mapping[str, str]
    body: str


#: The status and the body of an answer. None closes the connection without one.
Answer = tuple[int, bytes] | None


class Listener:
    """What was asked, in order."""

    def __init__(self, url: str) -> None:
        #: such as http://127.0.0.1:41234
        self.url = url
        self._asked: SimpleQueue[Asked] = SimpleQueue()

    def put(self, asked: Asked) -> None:
        self._asked.put(asked)

    def next(self) -> Asked:
        """The next request, or the one that comes. Raises queue.Empty if none comes in time."""
        return self._asked.get(timeout=PATIENCE)

    def was_asked_nothing(self) -> bool:
        """True if there is no further request so far."""
        return self._asked.empty()


@contextmanager
def listener(answer: Callable[[Asked], Answer]) -> Iterator[Listener]:
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
            asked = Asked(method, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            heard.put(asked)
            answered = answer(asked)
            if answered is None:
                self.close_connection = True
                return
            self.send_response(answered[0])
            self.send_header("Content-Length", str(len(answered[1])))
            self.end_headers()
            self.wfile.write(answered[1])

        def log_message(self, *_: object) -> None:
            """The test's output is for its failures."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        heard = Listener(url)
        yield heard


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    """The URL of a server that answers inside this."""
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
