"""The gateway against real servers on this machine that misbehave in every way that servers do."""

import asyncio
import errno
import gzip
import socket
import ssl
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
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
from chalicelib.gateway.addresses import is_allowed
from chalicelib.gateway.clients import form_body
from chalicelib.gateway.http.connection import OneCallConnector, Sending
from chalicelib.gateway.http.listening import MOST_INTERIM
from chalicelib.gateway.http.lookup import AddressNotAllowed, AllowedAddresses, ThreadedLookup, checked_socket
from chalicelib.gateway.http.posting import LONGEST_ANSWER, HttpGateway

Behaviour = Callable[["Visit"], Awaitable[None]]
T = TypeVar("T")

FORM = b"phone_number=tel%3A%2B12223334444&call_id=4294967296"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def run(scenario: Coroutine[Any, Any, T]) -> T:
    """No scenario may take longer than this, whatever a server does."""
    return asyncio.run(asyncio.wait_for(scenario, 20))


class Visit:
    """One connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        #: what has come so far
        self.received = b""
        #: the client has hung up, cleanly or not
        self.ended = asyncio.Event()

    async def request(self) -> bytes:
        """The whole of it, head and body."""
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

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_hung_up(self) -> None:
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
        self.visits: list[Visit] = []
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/call"

    @property
    def received(self) -> bytes:
        return b"".join(visit.received for visit in self.visits)

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        self.visits.append(visit)
        task = asyncio.create_task(self.attend(visit))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def attend(self, visit: Visit) -> None:
        try:
            await self.behaviour(visit)
        except OSError:
            visit.ended.set()
        finally:
            visit.writer.transport.abort()


@asynccontextmanager
async def serving(
    behaviour: Behaviour, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    server = Server(behaviour)
    listening = await asyncio.start_server(server.welcome, host, 0, ssl=tls)
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


async def nothing_against_it() -> None:
    """A last look that always passes."""


def dial(behaviour: Behaviour, **settings: Any) -> tuple[RequestResult, Server]:
    async def scenario() -> tuple[RequestResult, Server]:
        async with serving(behaviour) as server:
            answer = await gateway(**settings).place_call(server.url, FORM, {}, last_look=nothing_against_it)
            return answer, server

    return run(scenario())


def saying(*pieces: bytes, pause: float = 0.05) -> Behaviour:
    """Reads the request, says the pieces one by one, and closes."""

    async def behaviour(visit: Visit) -> None:
        await visit.request()
        for piece in pieces:
            await visit.say(piece)
            await asyncio.sleep(pause)

    return behaviour


async def silence(visit: Visit) -> None:
    await visit.until_hung_up()


# What is sent, and what an answer is.


def test_one_post_with_exactly_the_bytes_given_and_no_more_headers_than_needed() -> None:
    async def scenario() -> bytes:
        async with serving(saying(OK)) as server:
            url = f"http://127.0.0.1:{server.port}/a%2Fb//c/../d;e?x=1&y=%C3%BC&z=a+b"
            headers = {"Idempotency-Key": "7-1", "webhook-id": "7"}
            await gateway().place_call(url, FORM, headers, last_look=nothing_against_it)
            return server.received

    head, body = run(scenario()).split(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == "POST /a%2Fb//c/../d;e?x=1&y=%C3%BC&z=a+b HTTP/1.1"
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


def test_an_answer_is_its_status_its_headers_in_lower_case_and_its_body() -> None:
    said = b"HTTP/1.1 200 Fine\r\nContent-Type: application/json\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\n{}"
    answer, _ = dial(saying(said))
    expected = {"content-type": "application/json", "x-a": "1", "content-length": "2"}
    assert answer == Answered(200, expected, b"{}")


@pytest.mark.parametrize("status", [201, 204, 301, 302, 303, 307, 308, 400, 404, 410, 429, 500, 503, 599])
def test_every_status_is_an_answer_and_no_redirect_is_followed(status: int) -> None:
    location = b"" if status == 204 else b"Location: /elsewhere\r\nContent-Length: 0\r\n"
    answer, server = dial(saying(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, location)))
    assert isinstance(answer, Answered)
    assert answer.status == status
    assert len(server.visits) == 1


def test_an_interim_status_is_not_the_answer_yet() -> None:
    answer, _ = dial(saying(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n", OK))
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body) == (200, b"hi")


def test_a_body_without_a_length_ends_where_the_connection_does() -> None:
    answer, _ = dial(saying(b"HTTP/1.0 200 OK\r\n\r\n<vxml", b"/>"))
    assert answer == Answered(200, {}, b"<vxml/>")


TOLD = b'{"result": "failed", "duration": 3}'
GZIPPED = gzip.compress(TOLD, mtime=0)
RAW = zlib.compressobj(wbits=-15)


@pytest.mark.parametrize(
    ("coding", "packed", "body"),
    [
        (b"gzip", GZIPPED, TOLD),
        (b"X-GZIP", GZIPPED, TOLD),
        (b"deflate", zlib.compress(TOLD), TOLD),
        (b"deflate", RAW.compress(TOLD) + RAW.flush(), TOLD),
        (b"identity", TOLD, TOLD),
        (b"gzip", GZIPPED[:-9], TOLD),
        (b"gzip", TOLD, None),
        (b"br", b"\x0b\x02\x80hello\x03", None),
        (b"gzip, br", GZIPPED, None),
    ],
)
def test_a_body_that_comes_packed_though_it_was_not_asked_for_is_read(
    coding: bytes, packed: bytes, body: bytes | None
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (coding, len(packed))
    answer, _ = dial(saying(head + packed))
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body) == (200, body)


def test_a_packed_body_cannot_blow_up() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    answer, _ = dial(saying(head + bomb))
    assert isinstance(answer, Answered)
    assert answer.body == bytes(LONGEST_ANSWER)


def test_cookies_are_not_kept_from_call_to_call() -> None:
    async def scenario() -> bytes:
        async with serving(saying(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")) as server:
            start_url_client = gateway()
            for _ in range(2):
                await start_url_client.place_call(server.url, FORM, {}, last_look=nothing_against_it)
            assert len(server.visits) == 2
            return server.received

    assert b"cookie" not in run(scenario()).lower()


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    answer, _ = dial(saying(OK))
    assert isinstance(answer, Answered)


def test_fields_become_a_form_in_utf_8() -> None:
    assert form_body({"phone_number": "tel:+12223334444;ani=1", "message_reference": "ü & 1"}) == (
        b"phone_number=tel%3A%2B12223334444%3Bani%3D1&message_reference=%C3%BC+%26+1"
    )


@pytest.mark.parametrize("value", ["", "march", "1768395600", "two words", "100%", "a_b-c.d~e", "ü", "²", "٣", "a\x7f"])
def test_values_are_quoted_as_urllib_quotes_them(value: str) -> None:
    assert form_body({"message_reference": value}).decode() == urlencode({"message_reference": value})


# After a status line, whatever comes or doesn't: answered.


def test_a_body_that_breaks_off_leaves_the_answer() -> None:
    answer, _ = dial(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    assert answer == Answered(200, {"content-length": "100"}, b"half")


def test_a_reset_in_the_body_leaves_the_answer() -> None:
    async def reset_in_the_body(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 500 X\r\nContent-Length: 100\r\n\r\nhalf")
        await asyncio.sleep(0.1)
        visit.reset()

    answer, _ = dial(reset_in_the_body)
    assert isinstance(answer, Answered)
    assert answer.status == 500


def test_a_body_that_is_slow_is_given_up_at_the_deadline_and_leaves_the_answer() -> None:
    async def slow(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            await visit.say(b".")
            await asyncio.sleep(0.05)

    began = time.monotonic()
    answer, _ = dial(slow, call_deadline=0.5)
    assert time.monotonic() - began < 2
    assert isinstance(answer, Answered)
    assert answer.status == 200
    assert 1 <= len(answer.body or b"") < 20


def test_of_an_endless_body_64_kib_are_taken_and_the_server_is_hung_up_on() -> None:
    async def endless(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await visit.say(bytes(10_000))

    async def scenario() -> RequestResult:
        async with serving(endless) as server:
            answer = await gateway().place_call(server.url, FORM, {}, last_look=nothing_against_it)
            await asyncio.wait_for(server.visits[0].ended.wait(), 5)
            return answer

    began = time.monotonic()
    answer = run(scenario())
    assert time.monotonic() - began < 4
    assert isinstance(answer, Answered)
    assert answer.body == bytes(LONGEST_ANSWER)
    assert LONGEST_ANSWER == 65_536


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("pieces", [(b"ZZ\r\n",), (b"5\r\nhello\r\n", b"ZZ\r\n"), (b"5\r\nhello\r\nZZ\r\n",)])
def test_broken_chunks_leave_the_answer(pieces: Sequence[bytes]) -> None:
    answer, _ = dial(saying(CHUNKED, *pieces), call_deadline=0.6)
    assert isinstance(answer, Answered)
    assert answer.status == 200


def test_broken_chunks_in_one_piece_with_the_head_leave_the_answer() -> None:
    assert dial(saying(CHUNKED + b"ZZ\r\n"))[0] == Answered(200, {}, b"")


@pytest.mark.parametrize(
    "said",
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
    ],
    ids=lambda said: repr(said[:60]),
)
@pytest.mark.parametrize("cut", ["whole", "after the status line", "in the middle"])
def test_whatever_follows_a_status_line_and_however_it_is_cut_it_is_an_answer(said: bytes, cut: str) -> None:
    at = {"whole": len(said), "after the status line": said.index(b"\n") + 1, "in the middle": len(said) // 2}[cut]
    answer, _ = dial(saying(said[:at], said[at:]), call_deadline=3.0)
    assert isinstance(answer, Answered)
    assert answer.status == 200


@pytest.mark.parametrize("cut", [27, 100])
def test_a_body_where_none_may_be_is_passed_over(cut: int) -> None:
    said = b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nOK"
    assert dial(saying(said[:cut], said[cut:]))[0] == Answered(204, {}, b"")


def test_a_status_that_comes_before_the_request_is_no_answer() -> None:
    """A server that greets with a refusal and hangs up: surely nothing was sent."""

    async def greets(visit: Visit) -> None:
        await visit.say(b"HTTP/1.1 503 Busy\r\n\r\n")
        visit.writer.close()

    async def slow_look() -> None:
        await asyncio.sleep(0.3)

    async def scenario() -> RequestResult:
        async with serving(greets) as server:
            return await gateway().place_call(server.url, FORM, {}, last_look=slow_look)

    assert run(scenario()) == NotSent("closed")


def test_headers_without_end_behind_an_interim_answer_are_not_waited_for() -> None:
    begun = time.monotonic()
    said = INTERIM + b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 20_000
    answer, _ = dial(saying(said, pause=5), call_deadline=5.0)
    assert answer == Answered(200, {}, b"")
    assert time.monotonic() - begun < 3


INTERIM = b"HTTP/1.1 102 Processing\r\n\r\n"


def test_a_few_interim_answers_are_waited_through() -> None:
    answer, _ = dial(saying(INTERIM * MOST_INTERIM, OK))
    assert isinstance(answer, Answered)
    assert (answer.status, answer.body) == (200, b"hi")


@pytest.mark.parametrize("code", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_interim_answers_without_end_are_no_answer(code: bytes) -> None:
    assert dial(saying(b"HTTP/1.1 %s\r\n\r\n" % code * (MOST_INTERIM + 1), OK))[0] == Unknown("bad_answer")


def flood(head: bytes, piece: bytes) -> Behaviour:
    async def behaviour(visit: Visit) -> None:
        await visit.request()
        await visit.say(head)
        while True:
            await visit.say(piece * 2_000)

    return behaviour


FLOODS = {
    "interim answers": flood(b"", INTERIM),
    "headers": flood(b"HTTP/1.1 200 OK\r\n", b"X-A: 1\r\n"),
    "chunks of a byte": flood(CHUNKED, b"1\r\na\r\n"),
    "chunk extensions": flood(CHUNKED, b"1;" + b"e" * 100),
    "blank lines": flood(b"", b"\r\n"),
    "a folded header": flood(b"HTTP/1.1 200 OK\r\nX-A: 1", b"\r\n 1"),
}


@pytest.mark.parametrize("behaviour", FLOODS.values(), ids=FLOODS)
def test_servers_that_flood_hold_up_nobody_beside_them(behaviour: Behaviour) -> None:
    """Fifteen of a batch of twenty."""

    async def scenario() -> list[float]:
        async with serving(behaviour) as hostile, serving(saying(OK)) as plain:
            start_url_client = gateway(call_deadline=8.0)
            begun = time.monotonic()

            async def call(url: str) -> float:
                answer = await start_url_client.place_call(url, FORM, {}, last_look=nothing_against_it)
                if url == plain.url:
                    assert isinstance(answer, Answered)
                return time.monotonic() - begun

            took = await asyncio.gather(*(call(hostile.url) for _ in range(15)), *(call(plain.url) for _ in range(5)))
            for visit in hostile.visits:
                await asyncio.wait_for(visit.ended.wait(), 5)
            return took

    took = run(scenario())
    assert max(took[15:]) < 1.0
    assert max(took) < 4.0


def test_an_answer_to_half_a_request_is_an_answer() -> None:
    async def hasty(visit: Visit) -> None:
        await visit.more()
        await visit.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.2)

    async def scenario() -> RequestResult:
        async with serving(hasty) as server:
            return await gateway().place_call(server.url, bytes(900_000), {}, last_look=nothing_against_it)

    answer = run(scenario())
    assert isinstance(answer, Answered)
    assert answer.status == 413


def test_a_protocol_switch_is_an_answer_and_nothing_is_waited_for() -> None:
    switch = b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    answer, _ = dial(saying(switch, pause=0.2))
    assert isinstance(answer, Answered)
    assert answer.status == 101


# After the last look without a status line: nobody knows.


def test_no_answer_until_the_deadline_is_a_timeout_that_nobody_knows_the_end_of() -> None:
    began = time.monotonic()
    answer, server = dial(silence, call_deadline=0.3)
    assert answer == Unknown("timeout")
    assert 0.25 < time.monotonic() - began < 2
    assert server.received.endswith(FORM)


def test_a_head_that_never_ends_is_an_answer_when_the_time_is_up() -> None:
    async def trickle(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await visit.say(b"X-A: 1\r\n")
            await asyncio.sleep(0.05)

    assert dial(trickle, call_deadline=0.3)[0] == Answered(200, {}, b"")


def test_a_server_that_closes_without_an_answer_leaves_everybody_in_the_dark() -> None:
    assert dial(saying())[0] == Unknown("closed")


def test_a_server_that_resets_after_the_request_leaves_everybody_in_the_dark() -> None:
    async def reset(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    assert dial(reset)[0] == Unknown("reset")


def test_a_server_that_resets_in_the_middle_of_a_status_line_leaves_everybody_in_the_dark() -> None:
    async def reset(visit: Visit) -> None:
        await visit.request()
        await visit.say(b"HTTP/1.1 20")
        await asyncio.sleep(0.1)
        visit.reset()

    assert dial(reset)[0] == Unknown("reset")


@pytest.mark.parametrize(
    "said",
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
    ids=lambda said: repr(said[:40]),
)
def test_what_is_no_http_is_no_answer(said: bytes) -> None:
    assert dial(saying(said))[0] == Unknown("bad_answer")


def test_a_head_of_many_kilobytes_is_still_read() -> None:
    answer, _ = dial(saying(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 50_000 + b"\r\nContent-Length: 0\r\n\r\n"))
    assert isinstance(answer, Answered)
    assert len(answer.headers["x-a"]) == 50_000


def test_a_server_that_reads_nothing_holds_no_call_beyond_its_deadline_and_gets_no_more_after_it() -> None:
    body = bytes(20_000_000)
    over = asyncio.Event()

    async def deaf_for_a_while(visit: Visit) -> None:
        visit.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        visit.writer.transport.resume_reading()  # type: ignore[attr-defined]
        await visit.until_hung_up()

    async def scenario() -> tuple[RequestResult, float, int]:
        async with serving(deaf_for_a_while) as server:
            began = time.monotonic()
            start_url_client = gateway(call_deadline=0.5)
            with pytest.warns(ResourceWarning, match="large body"):
                answer = await start_url_client.place_call(server.url, body, {}, last_look=nothing_against_it)
            took = time.monotonic() - began
            over.set()
            await asyncio.wait_for(server.visits[0].ended.wait(), 10)
            return answer, took, len(server.received)

    answer, took, received = run(scenario())
    assert answer == Unknown("timeout")
    assert took < 3
    assert received < len(body)


# Before the last look has passed: surely not sent.


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def refused_last_look() -> None:
    raise AssertionError("there was nothing to look at")


def never_connecting(url: str, **settings: Any) -> RequestResult:
    """What becomes of a call that must not get as far as its last look."""
    return run(gateway(**settings).place_call(url, FORM, {}, last_look=refused_last_look))


def looked_up(*answers: Sequence[str] | OSError) -> Callable[[str], Awaitable[Sequence[str]]]:
    """A name server that says one thing after the other."""
    remaining = list(answers)

    async def lookup(_: str) -> Sequence[str]:
        answer = remaining.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    return lookup


def test_a_refused_connection_is_not_sent() -> None:
    assert never_connecting(f"http://127.0.0.1:{free_port()}/") == NotSent("refused")


def test_a_name_whose_addresses_all_refuse_is_not_sent() -> None:
    lookup = looked_up(["127.0.0.1", "127.0.0.2", "127.0.0.3"])
    assert never_connecting(f"http://several.test:{free_port()}/", lookup=lookup) == NotSent("refused")


@pytest.mark.parametrize("answer", [socket.gaierror(socket.EAI_NONAME, "unknown"), OSError("broken"), []])
def test_a_name_without_an_address_is_not_sent(answer: Sequence[str] | OSError) -> None:
    assert never_connecting("http://nowhere.test/", lookup=looked_up(answer)) == NotSent("dns")


def test_a_network_that_cannot_be_reached_is_not_sent() -> None:
    # the broadcast address of loopback can't be connected to over TCP
    async def broadcast(_: str) -> Sequence[str]:
        return ["127.255.255.255"]

    assert never_connecting("http://unreachable.test/", lookup=broadcast) == NotSent("unreachable")


def test_a_lookup_that_never_ends_is_given_up_with_the_time_for_connecting() -> None:
    async def lookup(_: str) -> Sequence[str]:
        await asyncio.sleep(60)
        return []

    began = time.monotonic()
    assert never_connecting("http://slow.test/", lookup=lookup, connect_timeout=0.2) == NotSent("connect_timeout")
    assert time.monotonic() - began < 2


def test_a_blocking_lookup_blocks_neither_the_loop_nor_its_end() -> None:
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
        start_url_client = gateway(lookup=ThreadedLookup(blocking), connect_timeout=0.4)
        answer = await start_url_client.place_call("http://slow.test/", FORM, {}, last_look=refused_last_look)
        ticking.cancel()
        return answer, ticks

    began = time.monotonic()
    answer, ticks = run(scenario())
    assert time.monotonic() - began < 1.5
    assert answer == NotSent("connect_timeout")
    assert ticks > 5


def test_the_machines_own_resolver_knows_its_own_name() -> None:
    assert "127.0.0.1" in run(ThreadedLookup()("localhost")) or "::1" in run(ThreadedLookup()("localhost"))


def test_a_server_whose_queue_is_full_is_a_connect_timeout() -> None:
    async def scenario() -> RequestResult:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
            port = server.getsockname()[1]
            waiting = [socket.socket() for _ in range(4)]
            try:
                for sock in waiting:
                    sock.setblocking(False)
                    assert sock.connect_ex(("127.0.0.1", port)) in {0, errno.EINPROGRESS}
                await asyncio.sleep(0.1)
                start_url_client = gateway(connect_timeout=0.3)
                url = f"http://127.0.0.1:{port}/"
                return await start_url_client.place_call(url, FORM, {}, last_look=refused_last_look)
            finally:
                for sock in waiting:
                    sock.close()

    assert run(scenario()) == NotSent("connect_timeout")


def test_a_connection_that_ends_during_the_last_look_is_not_sent() -> None:
    async def closing(_: Visit) -> None:
        """Hangs up at once."""

    async def slow_look() -> None:
        await asyncio.sleep(0.2)

    async def scenario() -> tuple[RequestResult, bytes]:
        async with serving(closing) as server:
            answer = await gateway().place_call(server.url, FORM, {}, last_look=slow_look)
            return answer, server.received

    assert run(scenario()) == (NotSent("closed"), b"")


def test_a_last_look_that_outlasts_the_deadline_lets_nothing_go() -> None:
    async def endless_look() -> None:
        await asyncio.sleep(60)

    async def scenario() -> tuple[RequestResult, bytes]:
        async with serving(silence) as server:
            answer = await gateway(call_deadline=0.3).place_call(server.url, FORM, {}, last_look=endless_look)
            await asyncio.wait_for(server.visits[0].ended.wait(), 5)
            return answer, server.received

    assert run(scenario()) == (NotSent("timeout"), b"")


# The last look.


def test_the_last_look_comes_after_the_connection_and_before_the_first_byte() -> None:
    async def scenario() -> tuple[list[tuple[int, bytes]], bytes]:
        seen: list[tuple[int, bytes]] = []

        async with serving(saying(OK)) as server:

            async def last_look() -> None:
                await asyncio.sleep(0.2)
                seen.append((len(server.visits), server.received))

            await gateway().place_call(server.url, FORM, {}, last_look=last_look)
            return seen, server.received

    seen, received = run(scenario())
    assert seen == [(1, b"")]
    assert received.endswith(FORM)


class WindowClosed(Exception):
    """What a last look might raise."""


@pytest.mark.parametrize(
    "objection",
    [
        WindowClosed("too late"),
        TimeoutError("the database was slow"),
        OSError(errno.EIO, "broken"),
        ConnectionResetError("somebody else's connection"),
        aiohttp.ClientError("another client"),
        aiohttp.ServerDisconnectedError(),
        KeyError("campaign"),
    ],
    ids=lambda objection: type(objection).__name__,
)
def test_what_the_last_look_raises_comes_out_unchanged_and_nothing_is_sent(objection: Exception) -> None:
    async def last_look() -> None:
        raise objection

    async def scenario() -> bytes:
        async with serving(silence) as server:
            with pytest.raises(type(objection)) as raised:
                await gateway().place_call(server.url, FORM, {}, last_look=last_look)
            assert raised.value is objection
            assert raised.value.__cause__ is None
            await asyncio.wait_for(server.visits[0].ended.wait(), 5)
            return server.received

    assert run(scenario()) == b""


@pytest.mark.parametrize("moment", ["lookup", "last look", "answer", "body"])
def test_a_cancelled_call_is_cancelled_at_any_moment_and_hangs_up(moment: str) -> None:
    async def behaviour(visit: Visit) -> None:
        if moment == "body":
            await visit.request()
            await visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        await visit.until_hung_up()

    async def dawdle() -> None:
        if moment == "last look":
            await asyncio.sleep(60)

    async def lookup(_: str) -> Sequence[str]:
        if moment == "lookup":
            await asyncio.sleep(60)
        return ["127.0.0.1"]

    async def scenario() -> None:
        async with serving(behaviour) as server:
            url = f"http://slow.test:{server.port}/"
            call = asyncio.create_task(gateway(lookup=lookup).place_call(url, FORM, {}, last_look=dawdle))
            await asyncio.sleep(0.3)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            for visit in server.visits:
                await asyncio.wait_for(visit.ended.wait(), 5)
            assert bool(server.visits) is (moment != "lookup")

    run(scenario())


def test_a_slow_call_does_not_hold_up_the_others() -> None:
    async def scenario() -> tuple[list[RequestResult], float]:
        async with serving(silence) as slow, serving(saying(OK, pause=0.0)) as quick:
            start_url_client = gateway(call_deadline=3.0)
            held = asyncio.create_task(start_url_client.place_call(slow.url, FORM, {}, last_look=nothing_against_it))
            began = time.monotonic()
            calls = (start_url_client.place_call(quick.url, FORM, {}, last_look=nothing_against_it) for _ in range(200))
            answers = await asyncio.gather(*calls)
            took = time.monotonic() - began
            assert not held.done()
            held.cancel()
            assert len(quick.visits) == 200
            return list(answers), took

    answers, took = run(scenario())
    assert all(isinstance(answer, Answered) for answer in answers)
    assert took < 2.5


# TLS.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that vouches for itself, and its key, for 127.0.0.1 and secure.test."""
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
    """The exchange, what the server got, and how often there was a last look."""

    async def scenario() -> tuple[RequestResult, bytes, int]:
        looks = 0

        async def last_look() -> None:
            nonlocal looks
            await asyncio.sleep(0.1)
            assert server.received == b""
            looks += 1

        async with serving(behaviour, serving_tls(certificate)) as server:
            start_url_client = gateway(
                lookup=looked_up(["127.0.0.1"]),
                tls=ssl.create_default_context(cafile=certificate) if trusted else None,
            )
            answer = await start_url_client.place_call(f"https://{host}:{server.port}/", FORM, {}, last_look=last_look)
            return answer, server.received, looks

    return run(scenario())


@pytest.mark.parametrize("host", ["secure.test", "secure.test.", "127.0.0.1"])
def test_a_trusted_server_is_called_over_tls_after_the_last_look(certificate: Path, host: str) -> None:
    answer, received, looks = dial_tls(certificate, saying(OK), host=host)
    assert isinstance(answer, Answered)
    assert answer.body == b"hi"
    assert received.endswith(FORM)
    assert looks == 1


@pytest.mark.parametrize(("host", "trusted"), [("secure.test", False), ("other.test", True), ("127.0.0.1", False)])
def test_a_certificate_nobody_vouches_for_or_of_another_name_is_not_sent_to(
    certificate: Path, host: str, trusted: bool
) -> None:
    assert dial_tls(certificate, saying(OK), host=host, trusted=trusted) == (NotSent("tls"), b"", 0)


def test_a_reset_over_tls_leaves_everybody_in_the_dark(certificate: Path) -> None:
    async def reset(visit: Visit) -> None:
        await visit.request()
        visit.reset()

    answer, _, _ = dial_tls(certificate, reset)
    assert answer in {Unknown("reset"), Unknown("closed")}


def test_a_server_without_tls_is_not_sent_to_over_it() -> None:
    async def plain(visit: Visit) -> None:
        await visit.more()
        await visit.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await asyncio.sleep(0.2)

    async def closing(visit: Visit) -> None:
        await visit.more()

    async def resetting(visit: Visit) -> None:
        await visit.more()
        visit.reset()

    async def answers() -> list[RequestResult]:
        exchanges = []
        for behaviour in (plain, closing, resetting, silence):
            async with serving(behaviour) as server:
                url = f"https://127.0.0.1:{server.port}/"
                start_url_client = gateway(connect_timeout=0.4)
                exchanges.append(await start_url_client.place_call(url, FORM, {}, last_look=refused_last_look))
        return exchanges

    assert run(answers()) == [NotSent("tls"), NotSent("closed"), NotSent("closed"), NotSent("connect_timeout")]


# P9: nothing but public servers.


def test_a_name_that_is_public_when_asked_first_and_this_machine_afterwards_cannot_be_dialled() -> None:
    async def scenario() -> tuple[RequestResult, int]:
        lookup = looked_up(["93.184.215.14"], ["127.0.0.1"])
        async with serving(saying(OK)) as server:
            checked_before = await lookup("rebinding.test")
            assert all(is_allowed(address, allow_loopback=False) for address in checked_before)
            start_url_client = gateway(allow_loopback=False, lookup=lookup)
            url = f"http://rebinding.test:{server.port}/"
            return await start_url_client.place_call(url, FORM, {}, last_look=refused_last_look), len(server.visits)

    assert run(scenario()) == (NotSent("address_not_allowed"), 0)


INSIDE = """
    10.0.0.1 169.254.169.254 0.0.0.0 127.1
    ::ffff:127.0.0.1 64:ff9b::7f00:1 fd00:ec2::254 :: fe80::1%lo
"""


@pytest.mark.parametrize("address", INSIDE.split())
def test_a_name_that_leads_into_a_private_network_is_not_dialled_whatever_the_setting(address: str) -> None:
    request_result = never_connecting("http://inside.test/", lookup=looked_up([address]))
    assert request_result == NotSent("address_not_allowed")


def test_of_a_names_addresses_only_the_allowed_ones_are_dialled() -> None:
    async def scenario() -> RequestResult:
        async with serving(saying(OK)) as server:
            start_url_client = gateway(lookup=looked_up(["10.0.0.1", "127.0.0.1", "169.254.169.254"]))
            url = f"http://mixed.test:{server.port}/"
            return await start_url_client.place_call(url, FORM, {}, last_look=nothing_against_it)

    assert isinstance(run(scenario()), Answered)


def test_the_resolver_passes_on_allowed_addresses_only_so_that_no_other_reaches_a_socket() -> None:
    found = ["10.0.0.1", "8.8.8.8", "127.0.0.1", "2606:2800:21f::1", "::ffff:8.8.8.8"]
    resolver = AllowedAddresses(looked_up(found), allow_loopback=False)
    passed_on = run(resolver.resolve("mixed.test", 8080))
    assert [(result["host"], result["family"]) for result in passed_on] == [
        ("8.8.8.8", socket.AF_INET),
        ("2606:2800:21f::1", socket.AF_INET6),
    ]
    assert {result["port"] for result in passed_on} == {8080}
    with_loopback = run(AllowedAddresses(looked_up(found), allow_loopback=True).resolve("mixed.test"))
    assert "127.0.0.1" in {result["host"] for result in with_loopback}
    with pytest.raises(AddressNotAllowed):
        run(AllowedAddresses(looked_up(found[:1]), allow_loopback=True).resolve("inside.test"))


class Gullible(AbstractResolver):
    """A resolver that checks nothing."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:  # noqa: ARG002
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("host", ["gullible.test", "127.0.0.1"])
def test_the_socket_refuses_what_the_resolver_let_through_addresses_in_urls_included(host: str) -> None:
    async def scenario() -> int:
        async with serving(saying(OK)) as server:
            connector = OneCallConnector(Gullible(), allow_loopback=False, tls=None)
            async with aiohttp.ClientSession(connector=connector) as session:
                with Sending(refused_last_look), pytest.raises(aiohttp.ClientConnectorError) as refused:
                    await session.post(f"http://{host}:{server.port}/")
            assert isinstance(refused.value.os_error, AddressNotAllowed)
            return len(server.visits)

    assert run(scenario()) == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_socket_for_this_machine_is_made_by_setting_only(address: str) -> None:
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
def test_a_url_that_is_not_allowed_is_not_even_looked_up(url: str, reason: str) -> None:
    async def scenario() -> tuple[RequestResult, int]:
        async with serving(saying(OK)) as server:
            start_url_client = gateway(allow_loopback=False, lookup=looked_up())
            address = url.format(port=server.port)
            return await start_url_client.place_call(address, FORM, {}, last_look=refused_last_look), len(server.visits)

    assert run(scenario()) == (NotSent(reason), 0)


def test_a_server_on_ipv6_is_called() -> None:
    async def scenario() -> RequestResult:
        try:
            serving_here = serving(saying(OK), host="::1")
            async with serving_here as server:
                url = f"http://[::1]:{server.port}/"
                return await gateway().place_call(url, FORM, {}, last_look=nothing_against_it)
        except OSError:
            pytest.skip("this machine has no IPv6")

    assert isinstance(run(scenario()), Answered)


# Many requests through one gateway.


def test_calls_at_the_same_time_are_each_held_back_by_their_own_last_look_alone() -> None:
    """They are all connected before the first of them is asked about."""
    count = 12
    connected = 0
    all_connected = asyncio.Event()

    async def scenario() -> tuple[list[RequestResult | BaseException], bytes]:
        async def look(place: int) -> None:
            nonlocal connected
            connected += 1
            if connected == count:
                all_connected.set()
            await all_connected.wait()
            if place % 2:
                raise PermissionError(str(place))

        async with serving(saying(OK)) as server:
            start_url_client = gateway()
            answers = await asyncio.gather(
                *(
                    start_url_client.place_call(server.url, b"place=%d;" % place, {}, last_look=partial(look, place))
                    for place in range(count)
                ),
                return_exceptions=True,
            )
            return answers, server.received

    answers, received = run(scenario())
    for place, answer in enumerate(answers):
        if place % 2:
            assert isinstance(answer, PermissionError)
            assert str(answer) == str(place)
        else:
            assert isinstance(answer, Answered)
        assert received.count(b"place=%d;" % place) == (place + 1) % 2


def test_no_call_waits_for_the_end_of_another_however_many_there_are() -> None:
    count = 150

    async def scenario() -> list[RequestResult]:
        all_there = asyncio.Event()

        async def patient(visit: Visit) -> None:
            await visit.request()
            if len(server.visits) == count:
                all_there.set()
            await all_there.wait()
            await visit.say(OK)

        async with serving(patient) as server:
            start_url_client = gateway()
            calls = (
                start_url_client.place_call(server.url, FORM, {}, last_look=nothing_against_it) for _ in range(count)
            )
            return await asyncio.gather(*calls)

    assert all(isinstance(answer, Answered) for answer in run(scenario()))


def test_a_gateway_serves_one_event_loop_after_the_other() -> None:
    """As in a function that is invoked again."""
    start_url_client = gateway()

    async def scenario() -> RequestResult:
        async with serving(saying(OK)) as server:
            return await start_url_client.place_call(server.url, FORM, {}, last_look=nothing_against_it)

    assert [type(run(scenario())) for _ in range(3)] == [Answered] * 3


def test_nothing_is_connected_to_for_a_request_that_nobody_can_be_asked_about() -> None:
    async def scenario() -> int:
        async with serving(saying(OK)) as server:
            connector = OneCallConnector(Gullible(), allow_loopback=True, tls=None)
            async with aiohttp.ClientSession(connector=connector) as session:
                with pytest.raises(LookupError):
                    await session.post(server.url)
            await asyncio.sleep(0.05)
            return len(server.visits)

    assert run(scenario()) == 0


# Reports, and the cold start.


def test_a_report_goes_out_without_a_last_look_and_keeps_its_own_deadline() -> None:
    async def scenario() -> tuple[RequestResult, RequestResult, float]:
        async with serving(saying(OK)) as server, serving(silence) as silent:
            result_url_client = gateway(report_deadline=0.3)
            delivered = await result_url_client.report(server.url, FORM, {"webhook-id": "7"})
            assert b"webhook-id: 7" in server.received
            assert server.received.endswith(FORM)
            began = time.monotonic()
            return delivered, await result_url_client.report(silent.url, FORM, {}), time.monotonic() - began

    delivered, unheard, took = run(scenario())
    assert isinstance(delivered, Answered)
    assert unheard == Unknown("timeout")
    assert took < 2


def test_what_other_functions_need_of_the_gateway_does_not_load_aiohttp() -> None:
    modules = "chalicelib.gateway.addresses, chalicelib.gateway.signing, chalicelib.gateway.clients"
    program = f"import sys, {modules}, chalicelib.domain.outcome; sys.exit('aiohttp' in sys.modules)"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True, timeout=60)
