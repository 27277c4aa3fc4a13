"""The benchmarks run, and print what they measure. No test judges how fast anything is."""

import json
import re
import subprocess
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import pytest

from benchmarks import bodies, gateway, lateness, overload, pacer, processor, requests, uploads
from infra.deploy.package import ROOT
from infra.local.deployment import LocalDeployment


class ImpatientDeployment(LocalDeployment):
    """Starts no emulator and waits for no tick: it makes the first calls of a campaign when that is started."""

    MOST_CALLS = 3

    def __init__(self, state: Path) -> None:
        super().__init__(state)
        self._log = state.with_name("functions.log")
        self._connections: list[HTTPConnection] = []
        #: the campaign's form, as curl sent it
        self._form = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def functions_log(self) -> Path:
        return self._log

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._connections:
            connection.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        deployment = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/campaigns":
                    deployment._form = form
                elif self.path == "/campaigns/start":
                    deployment._make_calls()
                is_created = self.path in ("/schedules", "/profiles", "/campaigns")
                answer = {"status": "success"} | ({"response": {"id": 1}} if is_created else {})
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _make_calls(self) -> None:
        """It doesn't wait for answers."""
        made = min(self.MOST_CALLS, self._form.count("\n+1222"))
        for field in ("start_url", "result_url"):
            (url,) = re.findall(rf'name="{field}"\s+(\S+)', self._form)
            for _ in range(made):
                connection = HTTPConnection(urlsplit(url).netloc)
                connection.request("POST", urlsplit(url).path, "call_id=1", {"webhook-id": "1"})
                self._connections.append(connection)
        self._log.write_text(f'dialer {{"_aws": {{}}, "PaceLag": {[0.25] * made}}}\n')


def test_the_benchmark_of_uploads_compares_with_the_csv_module() -> None:
    ours, bare, ratio = uploads.run(numbers=500, rounds=2)
    assert ours.startswith("reading of uploads")
    assert bare.startswith("the csv module")
    assert float(ratio.split()[1]) > 0


def test_the_benchmark_of_the_worst_bodies_prints_a_line_for_each() -> None:
    lines = list(bodies.run(size=2_000))
    assert len(lines) == 43
    assert all(" s: " in line and ";" in line for line in lines)
    # Bodies that are named for their numbers have some.
    found = {name: bodies.read(body) for name, body in bodies.bodies(2_000)}
    assert found["an array of numbers"] == "138 numbers"
    assert found["a file of numbers below a heading"] == "94 numbers"


def test_the_benchmark_of_the_gateway_compares_with_bare_aiohttp() -> None:
    ours, bare, ratio = gateway.run(calls=30, rounds=1)
    assert ours.endswith("calls a second")
    assert bare.endswith("calls a second")
    assert float(ratio.split()[1]) > 0


def test_the_benchmark_of_the_pacer_compares_with_its_requests_alone() -> None:
    ours, bare, ratio, messages = pacer.run(calls=30, rounds=1)
    assert ours.startswith("a tick of the pacer")
    assert bare.startswith("its requests to SQS alone")
    assert float(ratio.split()[1]) > 0
    assert messages == "30 calls are 15 messages in 2 requests"


def test_the_benchmark_of_lateness_has_a_line_for_each_pace() -> None:
    lines = list(lateness.run(paces=(1, 3), minutes=1, deployment=ImpatientDeployment))
    assert [line.partition(":")[0].strip() for line in lines] == ["1 a minute", "3 a minute"]
    assert all("late by 0.250 s (p50), 0.250 s (p99)" in line for line in lines)


def test_the_benchmark_of_overload_has_a_line_for_each_minute() -> None:
    due, slow, fast = overload.run(minutes=(1, 1), minute=1, deployment=ImpatientDeployment)
    assert due.startswith("3,000 a minute are due")
    assert re.fullmatch(r"slow, minute 1: [123] calls, in a second from \d to \d", slow)
    assert re.fullmatch(r"at once, minute 1: \d calls, in a second from \d to \d", fast)


def test_the_benchmark_of_requests_counts_them_for_each_call() -> None:
    (line,) = requests.run(calls=100, paces=(600,))
    dynamodb = float(line.partition("DynamoDB ")[2].split()[0])
    # A call has two writes at least: its claim and its outcome.
    assert 2 <= dynamodb < 10


def test_the_benchmark_of_processor_time_has_a_line_for_pacer_and_dialer() -> None:
    pacer, dialer = processor.run(calls=40, rounds=1)
    assert pacer.startswith("pacer")
    assert dialer.startswith("dialer")


def test_lags_are_read_from_the_functions_log() -> None:
    log = [
        '2026-01-05 13:00:00,000 callpacer-local-dialer {"_aws": {}, "CallsCompleted": 2, "PaceLag": [0.004, 0.25]}',
        '2026-01-05 13:00:00,000 callpacer-local-dialer {"timestamp": "2026-01-05", "message": "completed"}',
        '2026-01-05 13:00:00,000 callpacer-local-pacer {"_aws": {}, "Ticks": 1}',
        "2026-01-05 13:00:00,000 callpacer-local-dialer failed after 3 ms (request 7)",
    ]
    assert list(lateness.lags_in(log)) == [0.004, 0.25]


@pytest.mark.parametrize(("percent", "expected"), [(50, 5.0), (99, 10.0), (10, 1.0), (1, 1.0), (100, 10.0)])
def test_a_percentile_is_the_least_value_that_this_percentage_does_not_exceed(percent: int, expected: float) -> None:
    assert lateness.percentile([float(value) for value in range(1, 11)], percent) == expected


def test_calls_a_second_are_counted_in_whole_seconds() -> None:
    # The first and the last second are incomplete and left out. A second without a call counts.
    assert lateness.per_second([0.9, 1.0, 1.5, 1.9, 2.1, 4.2, 4.3, 5.0]) == (0, 3)


def test_a_minute_is_printed_with_its_emptiest_and_its_fullest_second() -> None:
    each_second = [100.5 + second for second in range(60)]
    assert overload.summary([*each_second, 100.6, 160.1], begins=100) == "61 calls, in a second from 1 to 2"
    assert overload.summary([99.9, *each_second[1:]], begins=100) == "59 calls, in a second from 0 to 1"


def test_an_unknown_benchmark_is_refused() -> None:
    command = [sys.executable, "-m", "benchmarks", "uploads", "weather"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "there is no benchmark weather" in done.stderr
