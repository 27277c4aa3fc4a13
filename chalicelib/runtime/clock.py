"""The time. Only `SystemClock` reads it and sleeps; all other code takes a clock as an argument."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, and in UTC."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        # Only the dialer sleeps, and importing asyncio takes 15 ms of a function's start.
        import asyncio

        await asyncio.sleep(seconds)
