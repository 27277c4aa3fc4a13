"""Requests as bytes: recorded in files, and as curl sends them now."""

import re
import shlex
import socket
import subprocess
import threading
from pathlib import Path

from tests.support.documented import FILES, HOST
from tests.support.http import Client, Reply

REQUESTS = Path(__file__).parents[1] / "documented" / "requests"

#: in place of the boundary that curl draws for each request
_BOUNDARY = b"------------------------0123456789abcdef"


def recorded(name: str) -> bytes:
    """What curl 7.88.1 sends, with the boundary replaced."""
    return (REQUESTS / f"{name}.http").read_bytes()


def replay(client: Client, name: str) -> Reply:
    """Send the recorded request to the API."""
    head, _, body = recorded(name).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers.get("Content-Length", "0")) == len(body)
    return client.ask(method, target, body, headers)


def sent_by_curl(command: str, folder: Path) -> bytes:
    """What this machine's curl sends for the command line, with the reference's host and a fixed boundary.

    The files that the command line names are created in `folder`. curl sends a server only their last names.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # A shell joins lines at a backslash; shlex doesn't.
        arguments = [word.replace(HOST, host) for word in shlex.split(command.replace("\\\n", ""))]
        for path, content in FILES.items():
            (folder / Path(path).name).write_bytes(content)
            arguments = [word.replace(path, str(folder / Path(path).name)) for word in arguments]
        received: list[bytes] = []
        server = threading.Thread(target=lambda: received.append(_receive_one(listener)))
        server.start()
        # -q: without the user's own settings
        subprocess.run(
            ["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", *arguments[1:]],  # noqa: S607
            check=True,
            capture_output=True,
        )
        server.join()
    return _normalized(received[0])


def _receive_one(listener: socket.socket) -> bytes:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(10)
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(65536)
        head, _, body = request.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        while length is not None and len(body) < int(length[1]):
            body += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
    return head + b"\r\n\r\n" + body


def _normalized(request: bytes) -> bytes:
    boundary = re.search(rb"boundary=(\S+)", request)
    if boundary is not None:
        request = request.replace(boundary[1], _BOUNDARY)
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nHost: \S+", b"\r\nHost: " + HOST.removeprefix("https://").encode(), head)
    head = re.sub(rb"curl/[0-9.]+", b"curl/7.88.1", head)
    head = re.sub(rb"\r\nContent-Length: \d+", b"\r\nContent-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body
