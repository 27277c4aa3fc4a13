"""The directory in which a local stack keeps its state, and by which others find it."""

import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

DEFAULT = Path(".callpacer")
#: seconds that the emulator of a stack that was killed may take to save what it knows
_PATIENCE = 60.0


class StateInUse(Exception):
    """Another stack runs with this directory."""


@dataclass(frozen=True)
class Running:
    """What others need to know of a stack that runs."""

    pid: int
    #: the API's
    url: str
    #: the emulator's
    endpoint: str
    #: what the tables' names begin with
    tables: str
    #: the id of its CloudFormation stack
    deployment: str


class StateDirectory:
    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._note = self.directory / "running.json"
        self._lock: IO[str] | None = None

    def take(self) -> int:
        """Keeps others out, until `release` and until every process that holds the returned descriptor has ended.

        Raises StateInUse if somebody else has the directory and lives.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = (self.directory / "lock").open("w")
        deadline = time.monotonic() + _PATIENCE
        while not _locked(lock):
            other = self._noted()
            if time.monotonic() > deadline or (other is not None and _alive(other.pid)):
                lock.close()
                raise StateInUse(str(self.directory))
            time.sleep(0.1)
        self._note.unlink(missing_ok=True)
        self._lock = lock
        return lock.fileno()

    def release(self) -> None:
        if self._lock is not None:
            self._note.unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def announce(self, running: Running) -> None:
        self._note.write_text(json.dumps(asdict(running)))

    def running(self) -> Running | None:
        """The stack that runs with this directory now."""
        noted = self._noted()
        return noted if noted is not None and _alive(noted.pid) else None

    def _noted(self) -> Running | None:
        try:
            return Running(**json.loads(self._note.read_text()))
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
