"""The tenant's telephone provider: its calls last, and it posts what becomes of them to status_url.

Events are lost, doubled, late and out of order. Some come before start_url's own answer. Some are forged.
"""

import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalicelib.api.envelope import Answer
from tests.fake_aws.clock import SimulatedClock

#: Posts these fields to a URL with this path and query. Answers None if no answer came.
Post = Callable[[str, dict[str, list[str]], dict[str, str]], Coroutine[Any, Any, Answer | None]]
#: Begins something that goes on by itself.
Begin = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]

#: the final events, each with the result that it means
FINAL = {"completed": "completed", "busy": "failed", "no-answer": "failed", "failed": "failed", "canceled": "failed"}
#: not a status: what machine detection finds, which comes in an event of its own
MACHINE = "machine"
#: how often a provider posts an event that got no answer
_TRIES = 3


@dataclass
class PostedEvent:
    """An event that was posted with the right signature."""

    call_id: int
    attempt: int
    #: what it says: a status, or `MACHINE`
    told: str
    #: completed or failed; None if the event isn't final
    result: str | None
    posted: datetime
    #: when the API answered that it took the event; None if no such answer came
    taken: datetime | None = None


@dataclass
class SimulatedProvider:
    clock: SimulatedClock
    #: A generator of its own, so that events don't change the rest of a seed's story.
    dice: random.Random
    #: another, by which machines are detected
    detection: random.Random
    post: Post
    begin: Begin
    #: how many of the calls last, from 0 to 1
    share: float = 0.0
    events: list[PostedEvent] = field(default_factory=list)
    #: how many forged events were taken
    forged: int = 0

    def takes_call(self) -> bool:
        return self.dice.random() < self.share

    def place_call(self, status_url: str) -> None:
        """Decide what becomes of the call, and post the events of it in time."""
        parts = urlsplit(status_url)
        assert parts.path.endswith("/events")
        path, query = parts.path, parse_qs(parts.query)
        rings, lasts = self.dice.choice([0.0, 0.1, 2.0, 8.0]), self.dice.choice([0.0, 1.0, 45.0, 130.0])
        final = self.dice.choice([*FINAL, "completed", "completed"])
        timed = [(0.0, "initiated"), (rings, "ringing"), (rings, "in-progress"), (rings + lasts, final)]
        for after, status in timed:
            if status in FINAL and self.dice.random() < 0.05:
                continue  # the end of this call is never told
            if status not in FINAL and self.dice.random() < 0.6:
                continue  # most customers ask for few of these
            delay = after + self.dice.choice([0.0, 0.0, 0.5, 20.0])
            for _ in range(2 if self.dice.random() < 0.15 else 1):
                self._begin(path, query, status, delay)
                delay += self.dice.choice([0.0, 0.3, 100.0])
        if self.dice.random() < 0.1:  # a provider that contradicts itself
            self._begin(path, query, self.dice.choice([*FINAL]), rings + lasts + self.dice.choice([0.0, 5.0, 300.0]))
        if self.dice.random() < 0.1:
            self._begin_forged(path, query, rings)
        if self.detection.random() < 0.3:
            self._begin(path, query, MACHINE, rings + self.detection.choice([0.0, 3.0, 60.0]))

    def _begin(self, path: str, query: dict[str, list[str]], told: str, delay: float) -> None:
        form = {"AnsweredBy": "machine_start"} if told == MACHINE else {"CallStatus": told, "CallDuration": "7"}

        async def send() -> None:
            await self.clock.sleep(delay)
            call_id, attempt = int(path.split("/")[-2]), int(query["attempt"][0])
            event = PostedEvent(call_id, attempt, told, FINAL.get(told), self.clock.now())
            self.events.append(event)
            for _ in range(_TRIES):
                answer = await self.post(path, query, form)
                if answer is not None and answer.status == 200:
                    event.taken = self.clock.now()
                    return
                await self.clock.sleep(10)

        self.begin(send)

    def _begin_forged(self, path: str, query: dict[str, list[str]], delay: float) -> None:
        """The signature is of another attempt, or of no call at all."""
        attempt = str(int(query["attempt"][0]) + 1)
        forged = self.dice.choice([{**query, "attempt": [attempt]}, {**query, "signature": ["0" * 64]}])

        async def send() -> None:
            await self.clock.sleep(delay)
            answer = await self.post(path, forged, {"CallStatus": "completed"})
            self.forged += answer is not None and answer.status == 200

        self.begin(send)
