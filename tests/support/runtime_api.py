"""Lambda's runtime API on this machine, for one execution environment.

It is documented at https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
The runtime client asks for the next invocation, waits for it, and posts the handler's answer or error.
"""

import json
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_VERSION = "/2018-06-01/runtime"


class Kind(StrEnum):
    """The last part of the path that an outcome is posted to."""

    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init/error"


@dataclass(frozen=True)
class Invocation:
    """One event, and what Lambda sends the runtime with it."""

    request_id: str
    #: Unix milliseconds; the context's remaining time counts down to it
    deadline: int
    arn: str
    trace_id: str
    event: Mapping[str, Any]

    def headers(self) -> dict[str, str]:
        return {
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(self.deadline),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
            "Lambda-Runtime-Trace-Id": self.trace_id,
            "Content-Type": "application/json",
        }


@dataclass(frozen=True)
class Outcome:
    """What the runtime posted."""

    kind: Kind
    #: empty for an error at the start, before any invocation
    request_id: str
    #: the handler's answer, or an object with `errorType`, `errorMessage` and `stackTrace`
    body: Any


@dataclass
class RuntimeApi:
    #: host and port, as AWS_LAMBDA_RUNTIME_API has them
    address: str = ""
    #: in the order in which they were posted
    outcomes: queue.Queue[Outcome] = field(default_factory=queue.Queue)
    _waiting: queue.Queue[Invocation | None] = field(default_factory=queue.Queue)
    #: the ids of invocations that the runtime has received, and has posted no outcome of
    _open: set[str] = field(default_factory=set)

    def put(self, invocation: Invocation) -> None:
        self._waiting.put(invocation)

    def close(self) -> None:
        """End the wait of the runtime for an invocation. There is no further one."""
        self._waiting.put(None)

    def next(self) -> Invocation | None:
        """Waits for the next invocation. None after `close`."""
        invocation = self._waiting.get()
        if invocation is not None:
            self._open.add(invocation.request_id)
        return invocation

    def accept(self, outcome: Outcome) -> bool:
        """False for an outcome of an invocation that isn't open."""
        if outcome.kind is not Kind.INIT_ERROR:
            if outcome.request_id not in self._open:
                return False
            self._open.remove(outcome.request_id)
        self.outcomes.put(outcome)
        return True


@contextmanager
def serve_runtime_api() -> Iterator[RuntimeApi]:
    api = RuntimeApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path != f"{_VERSION}/invocation/next":
                self._answer(404, {"errorMessage": self.path, "errorType": "NoSuchPath"})
                return
            invocation = api.next()
            if invocation is None:
                self.close_connection = True
            else:
                self._answer(200, invocation.event, invocation.headers())

        def do_POST(self) -> None:
            # A streamed answer has no length; callpacer streams none.
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if api.accept(_outcome(self.path, json.loads(body))):
                self._answer(202, {"status": "OK"})
            else:
                self._answer(400, {"errorMessage": self.path, "errorType": "InvalidRequestID"})

        def _answer(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (headers or {"Content-Type": "application/json"}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing: the output of a test shows its failures."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        api.address = f"127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield api
        finally:
            api.close()
            server.shutdown()
            thread.join()


def _outcome(path: str, body: Any) -> Outcome:
    name = path.removeprefix(f"{_VERSION}/")
    if name == Kind.INIT_ERROR:
        return Outcome(Kind.INIT_ERROR, "", body)
    _, request_id, kind = name.split("/")
    return Outcome(Kind(kind), request_id, body)
