"""A simulated clock: its time passes only while all tasks of the event loop wait."""

import asyncio
import selectors
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from chalicelib.runtime.clock import Clock

R = TypeVar("R")

#: a Monday, 08:00 in New York
BEGIN = datetime(2026, 1, 5, 13, tzinfo=UTC)


class SimulatedClock(Clock):
    def __init__(self, now: datetime = BEGIN) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def run(self, main: Coroutine[Any, Any, R]) -> R:
        """Run `main` on an event loop that advances this clock instead of waiting."""
        with asyncio.Runner(loop_factory=lambda: _Loop(self)) as runner:
            return runner.run(main)


@dataclass(frozen=True)
class SkewedClock(Clock):
    """Another machine's clock, which is a constant time ahead."""

    true: Clock
    ahead: timedelta

    def now(self) -> datetime:
        return self.true.now() + self.ahead

    async def sleep(self, seconds: float) -> None:
        await self.true.sleep(seconds)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: SimulatedClock) -> None:
        self._simulated = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return (self._simulated.now() - BEGIN).total_seconds()


class _Selector(selectors.SelectSelector):
    """There are no sockets to wait for, so a wait only advances the clock."""

    def __init__(self, clock: SimulatedClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for something that never happens")
        if timeout > 0:
            # A wait shorter than the clock's resolution, a microsecond, would never end.
            self._clock.advance(max(timeout, 1e-6))
        return []
