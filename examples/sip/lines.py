"""Telephone lines: each carries one call at a time, in a process of its own."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Self

from examples.sip.caller import Manner, place
from examples.sip.outcome import FINAL, Event

#: A process starts from nothing: a copy of this one would have its threads' locks, but not its threads.
_CONTEXT = multiprocessing.get_context("spawn")


class Lines:
    """A context manager. At its end it ends all calls, and passes on their last events."""

    def __init__(self, manners: Sequence[Manner]) -> None:
        """There is a line for each manner. It makes all its calls in that manner."""
        self._free = list(manners)
        self._lock = threading.Lock()
        self._busy: dict[Connection, threading.Thread] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._free.clear()
            threads = list(self._busy.values())
            for connection in self._busy:
                with suppress(OSError):  # its process has ended by itself
                    connection.send("end")
        for thread in threads:
            thread.join()

    def call(self, number: str, hear: Callable[[Event], None]) -> bool:
        """Begin a call, or return False if no line is free. `hear` gets its events in order, in another thread.

        If the call's process dies, its events end without one of `outcome.FINAL`, since nobody knows the outcome.
        """
        with self._lock:
            if not self._free:
                return False
            manner = self._free.pop(0)
            ours, theirs = _CONTEXT.Pipe()
            process = _CONTEXT.Process(target=_call, args=(theirs, number, manner), daemon=True)
            process.start()
            # Otherwise the pipe would stay open here when the call's process ends.
            theirs.close()
            self._busy[ours] = threading.Thread(target=self._listen, args=(ours, process, manner, hear))
            self._busy[ours].start()
            return True

    def _listen(
        self, connection: Connection, process: SpawnProcess, manner: Manner, hear: Callable[[Event], None]
    ) -> None:
        is_over = False
        try:
            with suppress(EOFError, OSError):  # there is nothing more to hear
                while True:
                    event = connection.recv()
                    # The line is free already: its process needs another second to end, and callpacer may answer late.
                    if event.status in FINAL and not is_over:
                        is_over = True
                        self._free.append(manner)
                    hear(event)
        finally:
            with self._lock:
                del self._busy[connection]
            connection.close()
            process.join()
            if not is_over:
                self._free.append(manner)


def _call(connection: Connection, number: str, manner: Manner) -> None:
    """Make one call, in its own process. The call ends if the other side sends anything, or closes the pipe."""
    # Ctrl-C reaches the whole group of processes. The program ends the call.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the program is gone
        place(number, manner, connection.send, lambda: not connection.poll())
