"""The program of `make run`, from outside: how it starts, stops, is killed, and starts again."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import alive

ROOT = Path(__file__).parents[2]


class Program:
    """A deployment that is ready."""

    def __init__(self, process: subprocess.Popen[str], output: str) -> None:
        self.process = process
        self.output = output
        pattern = r"callpacer is ready: (http://127\.0\.0\.1:\d+/api)  token: (\S+)"
        ready = re.fullmatch(pattern, output.splitlines()[0])
        assert ready is not None
        self.url, self.token = ready.groups()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """The exit code, and the standard error."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def kill_emulator(self, state: Path) -> str:
        """Kill the emulator, and wait until the program has ended. Returns its standard error."""
        (emulator,) = (pid for pid in alive(str(state)) if pid != self.process.pid)
        os.kill(emulator, signal.SIGKILL)
        return self.process.communicate(timeout=30)[1]

    def schedules(self) -> list[str]:
        request = urllib.request.Request(f"{self.url}/schedules", headers={"Authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return [schedule["nickname"] for schedule in json.load(answer)]

    def add_schedule(self, nickname: str) -> None:
        body = json.dumps({"days": ["mon"], "nickname": nickname}).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/schedules", body, headers), timeout=30):
            pass


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "infra.local", *arguments]


@contextmanager
def running(*arguments: str) -> Iterator[Program]:
    process = subprocess.Popen(
        command("--port", "0", *arguments), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            output = ""
            while "Ctrl-C" not in output:
                line = process.stdout.readline()
                assert line, process.communicate()[1]
                output += line
            yield Program(process, output)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)


def halt(state: Path, *turn: str) -> str:
    """Run the halt tool. Returns what it prints."""
    tool = [sys.executable, "-m", "infra.operator.halt", *turn, "--local", str(state)]
    return subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_a_stopped_deployment_keeps_its_state(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as first:
        first.add_schedule("kept")
        code, errors = first.stop(signal.SIGINT)
        assert (code, errors.splitlines()[-1]) == (0, "callpacer: stopped")
    with running("--state", str(tmp_path)) as second:
        assert second.token == first.token
        assert second.schedules() == ["kept"]
        assert second.stop(signal.SIGTERM)[0] == 0
    assert alive(str(tmp_path)) == []


def test_a_halted_deployment_stays_halted_after_a_restart(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)):
        assert halt(tmp_path, "on") == "callpacer-local is halted: it dials nobody.\n"
    with running("--state", str(tmp_path)):
        assert halt(tmp_path) == "callpacer-local is halted: it dials nobody.\n"
        assert halt(tmp_path, "off") == "callpacer-local dials.\n"


def test_a_deployment_that_may_have_lost_records_of_calls_is_halted(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        assert program.stop(signal.SIGTERM)[0] == 0
    with running("--state", str(tmp_path)) as program:
        assert halt(tmp_path) == "callpacer-local dials.\n"
        program.kill_emulator(tmp_path)
    with running("--state", str(tmp_path)) as program:
        assert halt(tmp_path) == "callpacer-local is halted: it dials nobody.\n"
        assert "infra.operator.halt off" in program.stop(signal.SIGTERM)[1]


def test_several_deployments_run_side_by_side(tmp_path: Path) -> None:
    token = "3cbde128-32b6-47d6-a1b7-cdc2a0c7e7b3"
    with (
        running("--state", str(tmp_path / "a"), "--token", token) as one,
        running("--state", str(tmp_path / "b"), "--token", token) as other,
    ):
        assert one.token == other.token == token
        one.add_schedule("only here")
        assert (one.schedules(), other.schedules()) == (["only here"], [])


def test_a_taken_port_is_named_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("--port", str(port), "--state", str(tmp_path)), cwd=ROOT, capture_output=True, text=True
        )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert str(port) in done.stderr


def test_a_deployment_ends_when_its_emulator_dies(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        errors = program.kill_emulator(tmp_path)
    assert program.process.returncode == 1
    assert "emulator died" in errors
    assert alive(str(tmp_path)) == []


def test_a_killed_deployment_leaves_no_child_and_starts_again(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        program.add_schedule("before the kill")
        program.process.kill()
        program.process.communicate()
    with running("--state", str(tmp_path)) as again:
        assert again.schedules() == ["before the kill"]


def test_the_printed_command_lines_work(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        curls = [line for line in program.output.splitlines() if line.startswith("curl ")]
        answers = [
            subprocess.run(["sh", "-c", f"{curl} --silent --fail"], capture_output=True, text=True, check=True).stdout
            for curl in curls
        ]
        assert [json.loads(answer) for answer in answers] == [
            {"status": "success", "response": {"id": 1, "nickname": None}},
            {"status": "success", "response": {"id": 1, "nickname": None}},
            [{"schedule_id": 1, "nickname": None, "days": ["mon", "tue", "wed", "thu", "fri"]}],
        ]
