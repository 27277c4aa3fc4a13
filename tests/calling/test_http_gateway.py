"""The gateway with real servers on this machine, which also misbehave as servers do."""

import asyncio
import errno
import gzip
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.domain.slicing import MOST_SLOW_DIALS
from chalicelib.gateway.addresses import is_allowed
from chalicelib.gateway.clients import LastLook, form_body
from chalicelib.gateway.http.connection import OneCallConnector, Sending
from chalicelib.gateway.http.listening import MOST_INTERIM
from chalicelib.gateway.http.lookup import AddressNotAllowed, AllowedAddresses, ThreadedLookup, checked_socket
from chalicelib.gateway.http.posting import HttpGateway
from chalicelib.gateway.http.unpacking import LONGEST_BODY

# They bound how many seconds a call takes.
pytestmark = pytest.mark.waits

Behaviour = Callable[["Connection"], Awaitable[None]]
T = TypeVar("T")

FORM = b"phone_number=tel%3A%2B12223334444&call_id=4294967296"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """Run a scenario for 20 seconds at most."""
    return asyncio.run(asyncio.wait_for(scenario, 20))


class Connection:
    """One connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        #: all bytes so far
        self.received = b""
        #: set when the client has closed the connection, cleanly or not
        self.ended = asyncio.Event()

    async def request(self) -> bytes:
        """The whole request, head and body."""
        while b"\r\n\r\n" not in self.received:
            await self.more()
        head, _, body = self.received.partition(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        while len(body) < length:
            body += await self.more()
        return self.received

    async def more(self) -> bytes:
        data = await self.reader.read(65_536)
        if not data:
            raise ConnectionResetError
        self.received += data
        return data

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def read_to_the_end(self) -> None:
        while True:
            await self.more()

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.connections: list[Connection] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/call"

    @property
    def received(self) -> bytes:
        return b"".join(connection.received for connection in self.connections)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        task = asyncio.create_task(self.handle(connection))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def handle(self, connection: Connection) -> None:
        try:
            await self.behaviour(connection)
        except OSError:
            connection.ended.set()
        finally:
            connection.writer.transport.abort()


@asynccontextmanager
async def serving(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    server = Server(behaviour)
    listening = await asyncio.start_server(server.accept, host, 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in server.tasks:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)


def gateway(**settings: Any) -> HttpGateway:
    return HttpGateway(**{"allow_loopback": True, "call_deadline": 5.0, "connect_timeout": 2.0, **settings})


async def pass_last_look() -> None:
    """A last look that always passes."""


def dial(
    behaviour: Behaviour,
    *,
    url: str = "http://127.0.0.1:{port}/call",
    body: bytes = FORM,
    headers: Mapping[str, str] | None = None,
    last_look: LastLook = pass_last_look,
    until_closed: bool = False,
    **settings: Any,
) -> tuple[RequestResult, Server]:
    """Call a server that behaves so. `until_closed` waits until the server sees the connection closed."""

    async def scenario() -> tuple[RequestResult, Server]:
        async with serving(behaviour) as server:
            address = url.format(port=server.port)
            result = await gateway(**settings).place_call(address, body, headers or {}, last_look=last_look)
            if until_closed:
                await asyncio.wait_for(server.connections[0].ended.wait(), 5)
            return result, server

    return run(scenario())


def answered(result: RequestResult, status: int = 200) -> Answered:
    """The answer, which must have this status."""
    assert isinstance(result, Answered)
    assert result.status == status
    return result


def answering(*pieces: bytes, pause: float = 0.05) -> Behaviour:
    """Reads the request, sends the pieces one by one, and closes."""

    async def behaviour(connection: Connection) -> None:
        await connection.request()
        for piece in pieces:
            await connection.send(piece)
            await asyncio.sleep(pause)

    return behaviour


def resetting(*pieces: bytes) -> Behaviour:
    """Reads the request, sends the pieces one by one, and resets the connection."""

    async def behaviour(connection: Connection) -> None:
        await connection.request()
        for piece in pieces:
            await connection.send(piece)
            await asyncio.sleep(0.1)
        connection.reset()

    return behaviour


def repeating(head: bytes, piece: bytes, pause: float = 0.0) -> Behaviour:
    """Reads the request, sends the head, and then the piece without end."""

    async def behaviour(connection: Connection) -> None:
        await connection.request()
        await connection.send(head)
        while True:
            await connection.send(piece)
            if pause:
                await asyncio.sleep(pause)

    return behaviour


async def stay_silent(connection: Connection) -> None:
    await connection.read_to_the_end()


# What is sent, and what an answer is.


def test_a_call_is_one_post_of_the_given_bytes_and_few_headers() -> None:
    path = "/a%2Fb//c/../d;e?x=1&y=%C3%BC&z=a+b"
    headers = {"Idempotency-Key": "7-1", "webhook-id": "7"}
    _, server = dial(answering(OK), url="http://127.0.0.1:{port}" + path, headers=headers)
    head, body = server.received.split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == f"POST {path} HTTP/1.1"
    sent = {name.lower(): value for name, value in (line.split(": ") for line in lines)}
    assert sent.pop("host").startswith("127.0.0.1:")
    assert sent.pop("accept") == "*/*"
    assert sent == {
        "idempotency-key": "7-1",
        "webhook-id": "7",
        "content-type": "application/x-www-form-urlencoded",
        "content-length": str(len(FORM)),
        "user-agent": "callpacer",
        "accept-encoding": "identity",
        "connection": "close",
    }
    assert body == FORM


def test_an_answer_has_its_status_lower_case_headers_and_body() -> None:
    head = b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\n"
    expected = {"content-type": "application/json", "x-a": "1", "content-length": "2"}
    assert dial(answering(head + b"{}"))[0] == Answered(200, expected, b"{}")


@pytest.mark.parametrize("status", [201, 204, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503, 599])
def test_every_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    location = b"" if status == 204 else b"Location: /elsewhere\r\nContent-Length: 0\r\n"
    result, server = dial(answering(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, location)))
    answered(result, status)
    assert len(server.connections) == 1


def test_an_interim_status_is_not_the_answer() -> None:
    result, _ = dial(answering(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", OK))
    assert answered(result).body == b"hi"


def test_a_body_without_a_length_ends_when_the_connection_closes() -> None:
    assert dial(answering(b"HTTP/1.0 200 OK\r\n\r\n<vxml", b"/>"))[0] == Answered(200, {}, b"<vxml/>")


def test_a_compressed_body_is_read() -> None:
    packed = gzip.compress(b"<vxml/>")
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert answered(dial(answering(head + packed))[0]).body == b"<vxml/>"


def test_cookies_are_not_kept_from_call_to_call() -> None:
    async def scenario() -> bytes:
        async with serving(answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as server:
            client = gateway()
            for _ in range(2):
                await client.place_call(server.url, FORM, {}, last_look=pass_last_look)
            assert len(server.connections) == 2
            return server.received

    assert b"cookie" not in run(scenario()).lower()


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answered(dial(answering(OK))[0])


def test_fields_become_a_form_in_utf_8() -> None:
    assert form_body({"phone_number": "tel:+12223334444;ani=1", "message_reference": "ü & 1"}) == (
        b"phone_number=tel%3A%2B12223334444%3Bani%3D1&message_reference=%C3%BC+%26+1"
    )


@pytest.mark.parametrize("value", ["", "march", "1768395600", "two words", "100%", "a_b-c.d~e", "ü", "²", "٣", "a\x7f"])
def test_values_are_quoted_as_urllib_quotes_them(value: str) -> None:
    assert form_body({"message_reference": value}).decode() == urlencode({"message_reference": value})


# After a status line, the result is Answered, whatever follows.


def test_an_answer_with_a_truncated_body_is_kept() -> None:
    result, _ = dial(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    assert result == Answered(200, {"content-length": "100"}, b"half", is_whole=False)


def test_an_answer_is_kept_if_the_server_resets_in_its_body() -> None:
    result, _ = dial(resetting(b"HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\nhalf"))
    answered(result, 500)


def test_a_slow_body_is_read_until_the_deadline() -> None:
    slow = repeating(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b".", pause=0.05)
    began = time.monotonic()
    result, _ = dial(slow, call_deadline=0.5)
    assert time.monotonic() - began < 2
    assert 1 <= len(answered(result).body or b"") < 20


def test_an_endless_body_is_read_up_to_64_kib_and_the_connection_is_closed() -> None:
    began = time.monotonic()
    result, _ = dial(repeating(b"HTTP/1.1 200 OK\r\n\r\n", bytes(10_000)), until_closed=True)
    assert time.monotonic() - began < 4
    assert answered(result).body == bytes(LONGEST_BODY)
    assert LONGEST_BODY == 65_536


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_status_line_that_comes_too_late_is_none_in_whatever_pieces(pieces: int) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 9_000 + b"\r\n\r\n"
    assert dial(answering(*([hints, OK] if pieces == 2 else [hints + OK])))[0] == Unknown("bad_answer")


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
INTERIM_ANSWER = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize("pieces", [(b"ZZ\r\n",), (b"5\r\nhello\r\n", b"ZZ\r\n"), (b"5\r\nhello\r\nZZ\r\n",)])
def test_an_answer_with_broken_chunks_is_kept(pieces: Sequence[bytes]) -> None:
    answered(dial(answering(CHUNKED, *pieces), call_deadline=0.6)[0])


def test_an_answer_with_broken_chunks_in_one_piece_with_its_head_is_kept() -> None:
    assert answered(dial(answering(CHUNKED + b"ZZ\r\n"))[0]).body == b""


@pytest.mark.parametrize(
    "response",
    [
        b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"n":"\xc3\xb1\xc3\xb1\xc3\xb1"}',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nOK!",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\nOK",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nOK",
        b"HTTP/1.0 200\r\n\r\nOK",
        b"HTTP/1.1 200 \xd6K\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nOK\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 100 C\r\nno colon\r\n\r\n" + OK,
        b"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nhi",
    ],
    ids=lambda response: repr(response[:60]),
)
@pytest.mark.parametrize(
    "cut", ["whole", "within the first line", "after the first line", "in the middle", "before the last line"]
)
def test_a_status_line_is_an_answer_whatever_follows_in_whatever_pieces(response: bytes, cut: str) -> None:
    cuts = {
        "whole": len(response),
        "within the first line": 10,
        "after the first line": response.index(b"\n") + 1,
        "in the middle": len(response) // 2,
        "before the last line": response.rindex(b"\n") + 1,
    }
    at = cuts[cut]
    answered(dial(answering(response[:at], response[at:]), call_deadline=3.0)[0])


@pytest.mark.parametrize("cut", [27, 100])
def test_a_body_after_status_204_is_ignored(cut: int) -> None:
    response = b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nOK"
    assert dial(answering(response[:cut], response[cut:]))[0] == Answered(204, {"content-length": "2"}, b"")


@pytest.mark.parametrize(
    "response",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n01\r\ni\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("size", [1000, 10, 1])
def test_an_answer_ends_with_its_body_though_the_server_keeps_the_connection(response: bytes, size: int) -> None:
    async def keep_open(connection: Connection) -> None:
        await connection.request()
        for start in range(0, len(response), size):
            await connection.send(response[start : start + size])
            await asyncio.sleep(0.001)
        await connection.read_to_the_end()

    began = time.monotonic()
    assert answered(dial(keep_open, call_deadline=10)[0]).body == b"hi"
    assert time.monotonic() - began < 5


def test_a_status_that_comes_before_the_request_is_no_answer() -> None:
    """The server answers and closes at once, so nothing was sent."""

    async def refuse_at_once(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 503 Busy\r\n\r\n")
        connection.writer.close()

    async def slow_look() -> None:
        await asyncio.sleep(0.3)

    assert dial(refuse_at_once, last_look=slow_look)[0] == NotSent("closed")


def test_endless_headers_after_an_interim_answer_do_not_hold_up_the_call() -> None:
    began = time.monotonic()
    response = INTERIM_ANSWER + b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 20_000
    assert dial(answering(response, pause=5), call_deadline=5.0)[0] == Answered(200, {}, b"", is_whole=False)
    assert time.monotonic() - began < 3


def test_a_few_interim_answers_may_precede_the_answer() -> None:
    assert answered(dial(answering(INTERIM_ANSWER * MOST_INTERIM, OK))[0]).body == b"hi"


@pytest.mark.parametrize("code", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_too_many_interim_answers_are_a_bad_answer(code: bytes) -> None:
    assert dial(answering(b"HTTP/1.1 %s\r\n\r\n" % code * (MOST_INTERIM + 1), OK))[0] == Unknown("bad_answer")


#: what a server sends first, and then without end
FLOODS = {
    "interim answers": (b"", INTERIM_ANSWER),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
    "chunks of a byte": (CHUNKED, b"1\r\na\r\n"),
    "chunk extensions": (CHUNKED, b"1;" + b"e" * 100),
    "blank lines": (b"", b"\r\n"),
    "a folded header": (b"HTTP/1.1 200 OK\r\nX-A: 1", b"\r\n 1"),
}


@pytest.mark.parametrize(("head", "piece"), FLOODS.values(), ids=FLOODS)
def test_servers_that_flood_do_not_hold_up_other_calls(head: bytes, piece: bytes) -> None:
    """Fifteen of twenty calls go to such a server."""

    async def scenario() -> list[float]:
        async with serving(repeating(head, piece * 2_000)) as hostile, serving(answering(OK)) as plain:
            client = gateway(call_deadline=8.0)
            began = time.monotonic()

            async def call(url: str) -> float:
                result = await client.place_call(url, FORM, {}, last_look=pass_last_look)
                if url == plain.url:
                    answered(result)
                return time.monotonic() - began

            took = await asyncio.gather(*(call(hostile.url) for _ in range(15)), *(call(plain.url) for _ in range(5)))
            for connection in hostile.connections:
                await asyncio.wait_for(connection.ended.wait(), 5)
            return took

    took = run(scenario())
    assert max(took[15:]) < 1.0
    assert max(took) < 4.0


def test_an_answer_to_half_a_request_is_an_answer() -> None:
    async def answer_early(connection: Connection) -> None:
        await connection.more()
        await connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.2)

    answered(dial(answer_early, body=bytes(900_000))[0], 413)


def test_a_protocol_switch_is_an_answer_at_once() -> None:
    switch = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    answered(dial(answering(switch, pause=0.2))[0], 101)


# After the last look and without a status line, the result is Unknown.


def test_a_call_without_an_answer_by_the_deadline_is_unknown() -> None:
    began = time.monotonic()
    result, server = dial(stay_silent, call_deadline=0.3)
    assert result == Unknown("timeout")
    assert 0.25 < time.monotonic() - began < 2
    assert server.received.endswith(FORM)


def test_a_head_that_never_ends_is_an_answer_at_the_deadline() -> None:
    slow_head = repeating(b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n", pause=0.05)
    assert dial(slow_head, call_deadline=0.3)[0] == Answered(200, {}, b"", is_whole=False)


def test_a_call_is_unknown_if_the_server_closes_without_an_answer() -> None:
    assert dial(answering())[0] == Unknown("closed")


@pytest.mark.parametrize("pieces", [(), (b"HTTP/1.1 20",)], ids=["no answer", "half a status line"])
def test_a_call_is_unknown_if_the_server_resets_before_its_status_line_ends(pieces: Sequence[bytes]) -> None:
    assert dial(resetting(*pieces))[0] == Unknown("reset")


@pytest.mark.parametrize(
    "response",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 99999 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200OK\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x0a",
    ],
    ids=lambda response: repr(response[:40]),
)
def test_a_call_is_unknown_if_the_answer_is_not_http(response: bytes) -> None:
    assert dial(answering(response))[0] == Unknown("bad_answer")


def test_a_head_of_50_kilobytes_is_read() -> None:
    result, _ = dial(answering(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 50_000 + b"\r\nContent-Length: 0\r\n\r\n"))
    assert len(answered(result).headers["x-a"]) == 50_000


def test_a_server_that_reads_nothing_gets_nothing_after_the_deadline() -> None:
    body = bytes(20_000_000)
    over = asyncio.Event()

    async def read_nothing_until_over(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await connection.read_to_the_end()

    async def scenario() -> tuple[RequestResult, float, int]:
        async with serving(read_nothing_until_over) as server:
            began = time.monotonic()
            client = gateway(call_deadline=0.5)
            with pytest.warns(ResourceWarning, match="large body"):
                result = await client.place_call(server.url, body, {}, last_look=pass_last_look)
            took = time.monotonic() - began
            over.set()
            await asyncio.wait_for(server.connections[0].ended.wait(), 10)
            return result, took, len(server.received)

    result, took, received = run(scenario())
    assert result == Unknown("timeout")
    assert took < 3
    assert received < len(body)


# Before the last look has passed, the result is NotSent.


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def no_last_look() -> None:
    raise AssertionError("there must be no last look")


def call_without_last_look(url: str, **settings: Any) -> RequestResult:
    """A call that must end before its last look."""
    return run(gateway(**settings).place_call(url, FORM, {}, last_look=no_last_look))


def fake_lookup(*answers: Sequence[str] | OSError) -> Callable[[str], Coroutine[Any, Any, Sequence[str]]]:
    """A name server that gives these answers, one for each lookup."""
    remaining = list(answers)

    async def lookup(_: str) -> Sequence[str]:
        answer = remaining.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    return lookup


def test_a_call_whose_connection_is_refused_is_not_sent() -> None:
    assert call_without_last_look(f"http://127.0.0.1:{free_port()}/") == NotSent("refused")


def test_a_call_to_a_name_whose_addresses_all_refuse_is_not_sent() -> None:
    lookup = fake_lookup(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    assert call_without_last_look(f"http://several.test:{free_port()}/", lookup=lookup) == NotSent("refused")


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("broken"), []])
def test_a_call_to_a_name_without_an_address_is_not_sent(answer: Sequence[str] | OSError) -> None:
    assert call_without_last_look("http://nowhere.test/", lookup=fake_lookup(answer)) == NotSent("dns")


def test_a_call_to_an_unreachable_network_is_not_sent() -> None:
    # TCP can't connect to the broadcast address of loopback.
    async def broadcast(_: str) -> Sequence[str]:
        return ["127.255.255.255"]

    assert call_without_last_look("http://unreachable.test/", lookup=broadcast) == NotSent("unreachable")


def test_a_lookup_that_never_ends_is_a_connect_timeout() -> None:
    async def lookup(_: str) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    began = time.monotonic()
    assert call_without_last_look("http://slow.test/", lookup=lookup, connect_timeout=0.2) == NotSent("connect_timeout")
    assert time.monotonic() - began < 2


def test_a_blocking_lookup_holds_up_neither_the_event_loop_nor_its_end() -> None:
    def blocking(_: str) -> Sequence[str]:
        time.sleep(2)
        return []

    async def scenario() -> tuple[RequestResult, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.02)
                ticks += 1

        ticking = asyncio.create_task(tick())
        client = gateway(lookup=ThreadedLookup(blocking), connect_timeout=0.4)
        result = await client.place_call("http://slow.test/", FORM, {}, last_look=no_last_look)
        ticking.cancel()
        return result, ticks

    began = time.monotonic()
    result, ticks = run(scenario())
    assert time.monotonic() - began < 1.5
    assert result == NotSent("connect_timeout")
    assert ticks > 5


def test_the_machines_resolver_finds_localhost() -> None:
    assert "127.0.0.1" in run(ThreadedLookup()("localhost")) or "::1" in run(ThreadedLookup()("localhost"))


def test_a_server_with_a_full_backlog_is_a_connect_timeout() -> None:
    async def scenario() -> RequestResult:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            port = server.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            try:
                for sock in waiting:
                    sock.setblocking(False)
                    assert sock.connect_ex(("127.0.0.1", port)) in {0, errno.EINPROGRESS}
                await asyncio.sleep(0.1)
                client = gateway(connect_timeout=0.3)
                url = f"http://127.0.0.1:{port}/"
                return await client.place_call(url, FORM, {}, last_look=no_last_look)
            finally:
                for sock in waiting:
                    sock.close()

    assert run(scenario()) == NotSent("connect_timeout")


def test_nothing_is_sent_if_the_connection_closes_during_the_last_look() -> None:
    async def close_at_once(_: Connection) -> None:
        """The server closes when this returns."""

    async def slow_look() -> None:
        await asyncio.sleep(0.2)

    result, server = dial(close_at_once, last_look=slow_look)
    assert (result, server.received) == (NotSent("closed"), b"")


def test_nothing_is_sent_if_the_last_look_outlasts_the_deadline() -> None:
    async def endless_look() -> None:
        await asyncio.sleep(60)

    result, server = dial(stay_silent, last_look=endless_look, until_closed=True, call_deadline=0.3)
    assert (result, server.received) == (NotSent("timeout"), b"")


# The last look.


def test_the_last_look_comes_after_the_connection_and_before_the_first_byte() -> None:
    async def scenario() -> tuple[list[tuple[int, bytes]], bytes]:
        seen: list[tuple[int, bytes]] = []

        async with serving(answering(OK)) as server:

            async def last_look() -> None:
                await asyncio.sleep(0.2)
                seen.append((len(server.connections), server.received))

            await gateway().place_call(server.url, FORM, {}, last_look=last_look)
            return seen, server.received

    seen, received = run(scenario())
    assert seen == [(1, b"")]
    assert received.endswith(FORM)


class WindowClosed(Exception):
    """An exception of a last look."""


@pytest.mark.parametrize(
    "error",
    [
        WindowClosed("too late"),
        TimeoutError("the database was slow"),
        OSError(errno.EIO, "broken"),
        ConnectionResetError("somebody else's connection"),
        aiohttp.ClientError("another client"),
        aiohttp.ServerDisconnectedError(),
        KeyError("campaign"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_the_last_look_is_raised_and_nothing_is_sent(error: Exception) -> None:
    async def last_look() -> None:
        raise error

    async def scenario() -> bytes:
        async with serving(stay_silent) as server:
            with pytest.raises(type(error)) as raised:
                await gateway().place_call(server.url, FORM, {}, last_look=last_look)
            assert raised.value is error
            assert raised.value.__cause__ is None
            await asyncio.wait_for(server.connections[0].ended.wait(), 5)
            return server.received

    assert run(scenario()) == b""


@pytest.mark.parametrize("moment", ["lookup", "last look", "answer", "body"])
def test_a_call_can_be_cancelled_at_any_moment_and_closes_its_connection(moment: str) -> None:
    async def behaviour(connection: Connection) -> None:
        if moment == "body":
            await connection.request()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await connection.read_to_the_end()

    async def slow_look() -> None:
        if moment == "last look":
            await asyncio.sleep(60)

    async def lookup(_: str) -> Sequence[str]:
        if moment == "lookup":
            await asyncio.sleep(60)
        return ["127.0.0.1"]

    async def scenario() -> None:
        async with serving(behaviour) as server:
            url = f"http://slow.test:{server.port}/"
            call = asyncio.create_task(gateway(lookup=lookup).place_call(url, FORM, {}, last_look=slow_look))
            await asyncio.sleep(0.3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            for connection in server.connections:
                await asyncio.wait_for(connection.ended.wait(), 5)
            assert bool(server.connections) is (moment != "lookup")

    run(scenario())


def test_a_slow_call_does_not_hold_up_the_others() -> None:
    async def scenario() -> tuple[list[RequestResult], float]:
        async with serving(stay_silent) as slow, serving(answering(OK, pause=0.0)) as quick:
            client = gateway(call_deadline=3.0)
            held = asyncio.create_task(client.place_call(slow.url, FORM, {}, last_look=pass_last_look))
            began = time.monotonic()
            calls = (client.place_call(quick.url, FORM, {}, last_look=pass_last_look) for _ in range(MOST_SLOW_DIALS))
            answers = await asyncio.gather(*calls)
            took = time.monotonic() - began
            assert not held.done()
            held.cancel()
            assert len(quick.connections) == MOST_SLOW_DIALS
            return list(answers), took

    answers, took = run(scenario())
    assert all(isinstance(answer, Answered) for answer in answers)
    assert took < 2.5


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and secure.test, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "callpacer test")])
    names: list[x509.GeneralName] = [x509.IPAddress(IPv4Address("127.0.0.1")), x509.DNSName("secure.test")]
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


def serving_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def dial_tls(
    certificate: Path, behaviour: Behaviour, *, host: str = "secure.test", trusted: bool = True
) -> tuple[RequestResult, bytes, int]:
    """The result, what the server received, and how many last looks there were."""

    async def scenario() -> tuple[RequestResult, bytes, int]:
        looks = 0

        async def last_look() -> None:
            nonlocal looks
            await asyncio.sleep(0.1)
            assert server.received == b""
            looks += 1

        async with serving(behaviour, serving_tls(certificate)) as server:
            client = gateway(
                lookup=fake_lookup(["127.0.0.1"]),
                tls=ssl.create_default_context(cafile=certificate) if trusted else None,
            )
            result = await client.place_call(f"https://{host}:{server.port}/", FORM, {}, last_look=last_look)
            return result, server.received, looks

    return run(scenario())


@pytest.mark.parametrize("host", ["secure.test", "secure.test.", "127.0.0.1"])
def test_a_trusted_server_is_called_over_tls_after_the_last_look(certificate: Path, host: str) -> None:
    result, received, looks = dial_tls(certificate, answering(OK), host=host)
    assert answered(result).body == b"hi"
    assert received.endswith(FORM)
    assert looks == 1


@pytest.mark.parametrize(("host", "trusted"), [("secure.test", False), ("other.test", True), ("127.0.0.1", False)])
def test_nothing_is_sent_over_an_untrusted_or_mismatched_certificate(
    certificate: Path, host: str, trusted: bool
) -> None:
    assert dial_tls(certificate, answering(OK), host=host, trusted=trusted) == (NotSent("tls"), b"", 0)


def test_a_call_is_unknown_if_the_server_resets_over_tls(certificate: Path) -> None:
    result, _, _ = dial_tls(certificate, resetting())
    assert result in {Unknown("reset"), Unknown("closed")}


def test_nothing_is_sent_to_an_https_server_without_tls() -> None:
    async def plain(connection: Connection) -> None:
        await connection.more()
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(0.2)

    async def close(connection: Connection) -> None:
        await connection.more()

    async def reset(connection: Connection) -> None:
        await connection.more()
        connection.reset()

    def result(behaviour: Behaviour) -> RequestResult:
        return dial(behaviour, url="https://127.0.0.1:{port}/", last_look=no_last_look, connect_timeout=0.4)[0]

    assert result(plain) == NotSent("tls")
    assert result(close) == result(reset) == NotSent("closed")
    assert result(stay_silent) == NotSent("connect_timeout")


# P9: the gateway reaches public servers only.


def test_a_name_that_is_rebound_to_loopback_is_not_dialled() -> None:
    lookup = fake_lookup(["93.184.215.14"], ["127.0.0.1"])
    addresses = run(lookup("rebinding.test"))
    assert all(is_allowed(address, allow_loopback=False) for address in addresses)
    url = "http://rebinding.test:{port}/"
    result, server = dial(answering(OK), url=url, last_look=no_last_look, allow_loopback=False, lookup=lookup)
    assert (result, len(server.connections)) == (NotSent("address_not_allowed"), 0)


PRIVATE_ADDRESSES = """
    10.0.0.1 169.254.169.254 0.0.0.0 127.1
    ::ffff:127.0.0.1 64:ff9b::7f00:1 fd00:ec2::254 :: fe80::1%lo
"""


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES.split())
def test_a_name_of_a_private_address_is_not_dialled_whatever_the_setting(address: str) -> None:
    result = call_without_last_look("http://inside.test/", lookup=fake_lookup([address]))
    assert result == NotSent("address_not_allowed")


def test_only_the_allowed_addresses_of_a_name_are_dialled() -> None:
    lookup = fake_lookup(["10.0.0.1", "127.0.0.1", "169.254.169.254"])
    answered(dial(answering(OK), url="http://mixed.test:{port}/", lookup=lookup)[0])


def test_the_resolver_returns_allowed_addresses_only() -> None:
    found = ["10.0.0.1", "8.8.8.8", "127.0.0.1", "2606:2800:21f::1", "::ffff:8.8.8.8"]
    resolver = AllowedAddresses(fake_lookup(found), allow_loopback=False)
    allowed = run(resolver.resolve("mixed.test", 8080))
    assert [(one["host"], one["family"]) for one in allowed] == [
        ("8.8.8.8", socket.AF_INET),
        ("2606:2800:21f::1", socket.AF_INET6),
    ]
    assert {one["port"] for one in allowed} == {8080}
    with_loopback = run(AllowedAddresses(fake_lookup(found), allow_loopback=True).resolve("mixed.test"))
    assert "127.0.0.1" in {one["host"] for one in with_loopback}
    with pytest.raises(AddressNotAllowed):
        run(AllowedAddresses(fake_lookup(found[:1]), allow_loopback=True).resolve("inside.test"))


class UncheckedResolver(AbstractResolver):
    """A resolver that checks nothing."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("host", ["unchecked.test", "127.0.0.1"])
def test_the_socket_refuses_an_address_that_no_resolver_checked(host: str) -> None:
    async def scenario() -> int:
        async with serving(answering(OK)) as server:
            connector = OneCallConnector(UncheckedResolver(), allow_loopback=False, tls=None)
            async with aiohttp.ClientSession(connector=connector) as session:
                with Sending(no_last_look), pytest.raises(aiohttp.ClientConnectorError) as refused:
                    await session.post(f"http://{host}:{server.port}/")
            assert isinstance(refused.value.os_error, AddressNotAllowed)
            return len(server.connections)

    assert run(scenario()) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_socket_to_loopback_needs_the_setting(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    destination = (family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, 80))
    checked_socket(destination, allow_loopback=True).close()
    with pytest.raises(AddressNotAllowed):
        checked_socket(destination, allow_loopback=False)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:{port}/", "address_not_allowed"),
        ("http://localhost:{port}/", "address_not_allowed"),
        ("http://[::ffff:127.0.0.1]:{port}/", "address_not_allowed"),
        ("http://2130706433:{port}/", "url_not_allowed"),
        ("http://0x7f.1:{port}/", "url_not_allowed"),
        ("http://user:password@127.0.0.1:{port}/", "url_not_allowed"),
        ("ftp://127.0.0.1:{port}/", "url_not_allowed"),
        ("http://public.test:22/", "url_not_allowed"),
        ("", "url_not_allowed"),
    ],
)
def test_a_url_that_is_not_allowed_is_not_looked_up(url: str, reason: str) -> None:
    lookup = fake_lookup()
    result, server = dial(answering(OK), url=url, last_look=no_last_look, allow_loopback=False, lookup=lookup)
    assert (result, len(server.connections)) == (NotSent(reason), 0)


def test_a_server_on_ipv6_is_called() -> None:
    async def scenario() -> RequestResult:
        try:
            async with serving(answering(OK), host="::1") as server:
                url = f"http://[::1]:{server.port}/"
                return await gateway().place_call(url, FORM, {}, last_look=pass_last_look)
        except OSError:
            pytest.skip("this machine has no IPv6")

    answered(run(scenario()))


# Many requests go through one gateway.


def test_each_call_waits_for_its_own_last_look_only() -> None:
    """All calls are connected before the first last look ends."""
    count = 12
    connected = 0
    all_connected = asyncio.Event()

    async def scenario() -> tuple[list[RequestResult | BaseException], bytes]:
        async def last_look(number: int) -> None:
            nonlocal connected
            connected += 1
            if connected == count:
                all_connected.set()
            await all_connected.wait()
            if number % 2:
                raise PermissionError(str(number))

        async with serving(answering(OK)) as server:
            client = gateway()
            calls = (
                client.place_call(server.url, b"number=%d;" % number, {}, last_look=partial(last_look, number))
                for number in range(count)
            )
            return await asyncio.gather(*calls, return_exceptions=True), server.received

    results, received = run(scenario())
    for number, result in enumerate(results):
        if number % 2:
            assert isinstance(result, PermissionError)
            assert str(result) == str(number)
        else:
            assert isinstance(result, Answered)
        assert received.count(b"number=%d;" % number) == (number + 1) % 2


def test_150_calls_are_in_progress_at_the_same_time() -> None:
    count = 150

    async def scenario() -> list[RequestResult]:
        all_there = asyncio.Event()

        async def answer_all_at_once(connection: Connection) -> None:
            await connection.request()
            if len(server.connections) == count:
                all_there.set()
            await all_there.wait()
            await connection.send(OK)

        async with serving(answer_all_at_once) as server:
            client = gateway()
            calls = (client.place_call(server.url, FORM, {}, last_look=pass_last_look) for _ in range(count))
            return await asyncio.gather(*calls)

    assert all(isinstance(answer, Answered) for answer in run(scenario()))


def test_a_gateway_serves_one_event_loop_after_another() -> None:
    """A function that is invoked again has a new event loop."""
    client = gateway()

    async def scenario() -> RequestResult:
        async with serving(answering(OK)) as server:
            return await client.place_call(server.url, FORM, {}, last_look=pass_last_look)

    assert [type(run(scenario())) for _ in range(3)] == [Answered] * 3


def test_a_request_without_a_last_look_makes_no_connection() -> None:
    async def scenario() -> int:
        async with serving(answering(OK)) as server:
            connector = OneCallConnector(UncheckedResolver(), allow_loopback=True, tls=None)
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(LookupError):
                    await session.post(server.url)
            await asyncio.sleep(0.05)
            return len(server.connections)

    assert run(scenario()) == 0


# Reports and cold starts.


def test_a_report_needs_no_last_look_and_has_its_own_deadline() -> None:
    async def scenario() -> tuple[RequestResult, RequestResult, float]:
        async with serving(answering(OK)) as server, serving(stay_silent) as silent:
            client = gateway(report_deadline=0.3)
            delivered = await client.report(server.url, FORM, {"webhook-id": "7"})
            assert b"webhook-id: 7" in server.received
            assert server.received.endswith(FORM)
            began = time.monotonic()
            return delivered, await client.report(silent.url, FORM, {}), time.monotonic() - began

    delivered, unanswered, took = run(scenario())
    assert isinstance(delivered, Answered)
    assert unanswered == Unknown("timeout")
    assert took < 2


def test_the_gateway_modules_of_other_functions_do_not_load_aiohttp() -> None:
    modules = "chalicelib.gateway.addresses, chalicelib.gateway.signing, chalicelib.gateway.clients"
    program = f"import sys, {modules}, chalicelib.domain.outcome; sys.exit('aiohttp' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True, timeout=60)
