"""Scripted telephones on this machine, each in a process of its own."""

import multiprocessing
import signal
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Self

from examples.sip.telephone import answer_calls

_CONTEXT = multiprocessing.get_context("spawn")
#: seconds that a telephone may take to start
_PATIENCE = 20


class Dead(Exception):
    """A telephone has not started. Its output says why."""


class Switchboard:
    """A context manager: inside it the telephones answer."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._telephones: list[tuple[Connection, threading.Thread]] = []
        #: host and port of each telephone
        self.addresses: list[str] = []
        #: seconds of sound that the telephone has heard from the caller, by number; complete once this is closed
        self.heard: dict[str, float] = {}

    def __enter__(self) -> Self:
        """Raises Dead."""
        try:
            self._await_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _await_all(self) -> None:
        started = [self._start() for _ in range(self._count)]
        for connection in started:
            try:
                if not connection.poll(_PATIENCE):
                    raise Dead(f"A telephone has not started within {_PATIENCE} seconds.")
                self.addresses.append(connection.recv())
            except EOFError:
                raise Dead("A telephone has ended before it started.") from None
            thread = threading.Thread(target=self._listen, args=(connection,))
            thread.start()
            self._telephones.append((connection, thread))

    def __exit__(self, *_: object) -> None:
        for connection, _thread in self._telephones:
            with suppress(OSError):  # it has ended by itself
                connection.send("end")
        for connection, thread in self._telephones:
            thread.join()
            connection.close()

    def _start(self) -> Connection:
        ours, theirs = _CONTEXT.Pipe()
        _CONTEXT.Process(target=_telephone, args=(theirs,), daemon=True).start()
        theirs.close()
        return ours

    def _listen(self, connection: Connection) -> None:
        with suppress(EOFError, OSError):
            while True:
                number, seconds = connection.recv()
                self.heard[number] = seconds


def _telephone(connection: Connection) -> None:
    """Run a telephone, in its own process. It ends if the other side sends anything, or closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the program is gone
        answer_calls(
            connection.send, lambda number, seconds: connection.send((number, seconds)), lambda: not connection.poll()
        )
