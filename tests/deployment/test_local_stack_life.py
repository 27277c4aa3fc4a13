"""The program behind `make run`, from outside: it starts, is stopped or loses a part, and starts again."""

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
    """One that is ready."""

    def __init__(self, process: subprocess.Popen[str], said: str) -> None:
        self.process = process
        self.said = said
        ready = re.fullmatch(r"callpacer is ready: (http://127\.0\.0\.1:\d+/api)  token: (\S+)", said.splitlines()[0])
        assert ready is not None
        self.url, self.token = ready.groups()

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Its exit code, and what it said on standard error."""
        self.process.send_signal(number)
        _, complaint = self.process.communicate(timeout=60)
        return self.process.returncode, complaint

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
            said = ""
            while "Ctrl-C" not in said:
                line = process.stdout.readline()
                assert line, process.communicate()[1]
                said += line
            yield Program(process, said)
        finally:
            if process.poll() is None:
                process.terminate()
                process.communicate(timeout=60)


def test_what_was_there_is_there_again(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as first:
        first.add_schedule("kept")
        code, complaint = first.stop(signal.SIGINT)
        assert (code, complaint.splitlines()[-1]) == (0, "callpacer: stopped")
    with running("--state", str(tmp_path)) as second:
        assert second.token == first.token
        assert second.schedules() == ["kept"]
        assert second.stop(signal.SIGTERM)[0] == 0
    assert alive(str(tmp_path)) == []


def test_it_stays_halted_until_it_is_let_go_on(tmp_path: Path) -> None:
    def turned(*turn: str) -> str:
        tool = [sys.executable, "-m", "infra.operator.halt", *turn, "--local", str(tmp_path)]
        return subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    with running("--state", str(tmp_path)):
        assert turned("on") == "callpacer-local is halted: it dials nobody.\n"
    with running("--state", str(tmp_path)):
        assert turned() == "callpacer-local is halted: it dials nobody.\n"
        assert turned("off") == "callpacer-local dials.\n"


def test_it_is_halted_when_it_may_have_forgotten_whom_it_called(tmp_path: Path) -> None:
    def stands() -> str:
        tool = [sys.executable, "-m", "infra.operator.halt", "--local", str(tmp_path)]
        return subprocess.run(tool, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    with running("--state", str(tmp_path)) as program:
        assert program.stop(signal.SIGTERM)[0] == 0
    with running("--state", str(tmp_path)) as program:
        assert stands() == "callpacer-local dials.\n"
        (emulator,) = (pid for pid in alive(str(tmp_path)) if pid != program.process.pid)
        os.kill(emulator, signal.SIGKILL)
        program.process.communicate(timeout=30)
    with running("--state", str(tmp_path)) as program:
        assert stands() == "callpacer-local is halted: it dials nobody.\n"
        assert "infra.operator.halt off" in program.stop(signal.SIGTERM)[1]


def test_several_run_side_by_side(tmp_path: Path) -> None:
    token = "3cbde128-32b6-47d6-a1b7-cdc2a0c7e7b3"
    with (
        running("--state", str(tmp_path / "a"), "--token", token) as one,
        running("--state", str(tmp_path / "b"), "--token", token) as other,
    ):
        assert one.token == other.token == token
        one.add_schedule("only here")
        assert (one.schedules(), other.schedules()) == (["only here"], [])


def test_a_taken_port_takes_one_line_to_tell(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("--port", str(port), "--state", str(tmp_path)), cwd=ROOT, capture_output=True, text=True
        )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert str(port) in done.stderr


def test_without_its_emulator_it_gives_up(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        (emulator,) = (pid for pid in alive(str(tmp_path)) if pid != program.process.pid)
        os.kill(emulator, signal.SIGKILL)
        _, complaint = program.process.communicate(timeout=30)
    assert program.process.returncode == 1
    assert "emulator died" in complaint
    assert alive(str(tmp_path)) == []


def test_its_children_do_not_outlive_it(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        program.add_schedule("before the fall")
        program.process.kill()
        program.process.communicate()
    with running("--state", str(tmp_path)) as again:
        assert again.schedules() == ["before the fall"]


def test_what_it_prints_can_be_pasted(tmp_path: Path) -> None:
    with running("--state", str(tmp_path)) as program:
        curls = [line for line in program.said.splitlines() if line.startswith("curl ")]
        answers = [
            subprocess.run(["sh", "-c", f"{curl} --silent --fail"], capture_output=True, text=True, check=True).stdout
            for curl in curls
        ]
        assert [json.loads(answer) for answer in answers] == [
            {"status": "success", "response": {"id": 1, "nickname": None}},
            {"status": "success", "response": {"id": 1, "nickname": None}},
            [{"schedule_id": 1, "nickname": None, "days": ["mon", "tue", "wed", "thu", "fri"]}],
        ]
