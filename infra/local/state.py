"""The directory of a local deployment's state. The operator's commands find the deployment by it."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

DEFAULT = Path(".callpacer")
#: seconds for which the emulator of a killed deployment may hold the lock, while it saves its state
_PATIENCE = 60.0


class StateInUse(Exception):
    """Another local deployment runs with this directory."""


@dataclass(frozen=True)
class Running:
    """The facts about a running deployment that other programs need."""

    pid: int
    #: the API's URL
    url: str
    #: the emulator's URL
    endpoint: str
    #: the prefix of the tables' names
    tables: str
    #: the id of its CloudFormation stack
    deployment: str


class StateDirectory:
    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._running_file = self.directory / "running.json"
        self._lock: IO[str] | None = None

    def acquire(self) -> int:
        """Lock the directory. Return the lock's file descriptor, which child processes may hold, too.

        The lock ends with `release`, once every process that holds the descriptor has ended. Raises StateInUse if a
        living deployment has the directory.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = (self.directory / "lock").open("w")
        deadline = time.monotonic() + _PATIENCE
        while not _locked(lock):
            other = self._announced()
            if time.monotonic() > deadline or (other is not None and _alive(other.pid)):
                lock.close()
                raise StateInUse(str(self.directory))
            time.sleep(0.1)
        self._running_file.unlink(missing_ok=True)
        self._lock = lock
        return lock.fileno()

    def release(self) -> None:
        if self._lock is not None:
            self._running_file.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def announce(self, running: Running) -> None:
        self._running_file.write_text(json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """The deployment that runs with this directory now."""
        announced = self._announced()
        return announced if announced is not None and _alive(announced.pid) else None

    def _announced(self) -> Running | None:
        try:
            return Running(**json.loads(self._running_file.read_text()))
        except FileNotFoundError:
            return None


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
