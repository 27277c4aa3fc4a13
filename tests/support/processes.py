"""The processes of this machine, as `ps` lists them on Linux and on macOS."""

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress


def alive(*parts: str) -> list[int]:
    """The processes whose command line contains all of these."""
    command = ["ps", "-A", "-ww", "-o", "pid=,args="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [int(line.split()[0]) for line in listed.splitlines() if all(part in line for part in parts)]


def kill(processes: Iterable[int]) -> None:
    """As `kill -9` does."""
    for process in processes:
        with suppress(ProcessLookupError):  # it has already ended
            os.kill(process, signal.SIGKILL)
