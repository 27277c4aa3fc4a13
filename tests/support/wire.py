"""Requests as bytes: as files, and as curl sends them."""

import re
import shlex
import socket
import subprocess
import threading
from pathlib import Path

from tests.support.documented import FILES, HOST
from tests.support.http import Client, Reply

REQUESTS = Path(__file__).parents[1] / "documented" / "requests"

#: curl draws another for each request
_BOUNDARY = b"------------------------0123456789abcdef"


def recorded(name: str) -> bytes:
    """What curl 7.88.1 sends, with a fixed boundary."""
    return (REQUESTS / f"{name}.http").read_bytes()


def replay(client: Client, name: str) -> Reply:
    """The recorded request's bytes, asked of the API."""
    head, _, body = recorded(name).partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    assert int(headers.get("Content-Length", "0")) == len(body)
    return client.ask(method, target, body, headers)


def sent_by_curl(command: str, folder: Path) -> bytes:
    """What the curl of this machine sends for the command line, with a fixed boundary, to the reference's host.

    The files that the command line names are made in `folder`: curl tells a server only their last names.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # a shell joins lines at a backslash, shlex doesn't
        arguments = [word.replace(HOST, host) for word in shlex.split(command.replace("\\\n", ""))]
        for path, content in FILES.items():
            (folder / Path(path).name).write_bytes(content)
            arguments = [word.replace(path, str(folder / Path(path).name)) for word in arguments]
        received: list[bytes] = []
        server = threading.Thread(target=lambda: received.append(_take_one(listener)))
        server.start()
        # -q: without the settings of whoever runs this
        subprocess.run(
            ["curl", "-q", "--silent", "--show-error", "--noproxy", "*", "--max-time", "10", *arguments[1:]],  # noqa: S607
            check=True,
            capture_output=True,
        )
        server.join()
    return _with_fixed_names(received[0])


def _take_one(listener: socket.socket) -> bytes:
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


def _with_fixed_names(request: bytes) -> bytes:
    boundary = re.search(rb"boundary=(\S+)", request)
    if boundary is not None:
        request = request.replace(boundary[1], _BOUNDARY)
    head, _, body = request.partition(b"\r\n\r\n")
    head = re.sub(rb"\r\nHost: \S+", b"\r\nHost: " + HOST.removeprefix("https://").encode(), head)
    head = re.sub(rb"curl/[0-9.]+", b"curl/7.88.1", head)
    head = re.sub(rb"\r\nContent-Length: \d+", b"\r\nContent-Length: %d" % len(body), head)
    return head + b"\r\n\r\n" + body
