"""The benchmarks run, and print what they measure. No test judges how fast anything is."""

import subprocess
import sys

import pytest

from benchmarks import bodies, gateway, lateness, overload, processor, requests, uploads
from infra.deploy.package import ROOT


def test_the_benchmark_of_uploads_compares_with_the_csv_module() -> None:
    ours, bare, ratio = uploads.run(numbers=500, rounds=2)
    assert ours.startswith("reading of uploads")
    assert bare.startswith("the csv module")
    assert float(ratio.split()[1]) > 0


def test_the_benchmark_of_the_worst_bodies_prints_a_line_for_each() -> None:
    lines = list(bodies.run(size=2_000))
    assert len(lines) == 32
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
