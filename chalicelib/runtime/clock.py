"""The one place that reads the time and sleeps; everything else is handed a clock."""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Aware UTC datetimes, and waiting, in seconds."""

    def now(self) -> datetime: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        # Of the functions only the dialer sleeps, and asyncio is 15 ms of the others' start.
        import asyncio

        await asyncio.sleep(seconds)
