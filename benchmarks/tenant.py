"""A tenant's server in a process of its own, as light as it can be: it reads each request whole, and answers 200.

python -m benchmarks.tenant <descriptor of the listening socket> < pipe

It ends when its standard input closes, or after ten minutes.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socket import socket

from infra.local.emulator import listen

#: seconds
_LONGEST_LIFE = 600
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def tenant() -> Iterator[str]:
    """Its URL."""
    with listen(0) as listener:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.tenant", str(listener.fileno())],
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{port}/start"
    finally:
        process.communicate()


class _Connection(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # the loop's promise
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, ends, body = self._received.partition(b"\r\n\r\n")
        if ends and len(body) >= _length(head):
            self._received = b""
            self._transport.write(_ANSWER)


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)


async def _serve(listener: socket) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Connection, sock=listener)
    ended = loop.run_in_executor(None, os.read, sys.stdin.fileno(), 1)
    await asyncio.wait([ended], timeout=_LONGEST_LIFE)
    server.close()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(_serve(socket(fileno=int(sys.argv[1]))))
