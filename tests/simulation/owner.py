"""The owner of a campaign, who asks for this and that, and writes down what was answered when."""

import json
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from chalicelib.api import campaigns as campaigns_api
from chalicelib.api import profiles as profiles_api
from chalicelib.api.dispatch import Endpoint
from chalicelib.api.envelope import Answer
from chalicelib.runtime.clock import Clock
from tests.simulation.story import ALL_HOURS, AMOUNT, Hours, Stop, Story, Wish

#: how often a client that gets no answer asks again
_PATIENCE = 20


class Api(Protocol):
    """Asks the API; None if no answer ever came."""

    def __call__(
        self, endpoint: Endpoint, identifier: str | None = None, key: str | None = None, /, **fields: Any
    ) -> Coroutine[Any, Any, Answer | None]: ...


class Owner:
    def __init__(self, api: Api, clock: Clock, dice: random.Random, story: Story, tail: Callable[[], int]) -> None:
        """`tail` tells how many numbers are queued in truth, whatever anybody was told."""
        self._api = api
        self._clock = clock
        self._dice = dice
        self._story = story
        self._tail = tail
        self._starts = 0
        self._keys = 0
        self._uploading = False

    def wishes(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What may come to the owner's mind."""
        return [
            self.stop,
            self.start,
            self.start,
            self._restart,
            self._restart,
            self._add,
            self._add_insisting,
            self._change_url,
            self._change_hours,
            self._change_pace,
            self._look_on,
        ]

    async def start(self) -> None:
        self._starts += 1
        asked = self._clock.now()
        before = self._story.stops[-1]
        if before.started is None:
            before.started = asked  # from now on it may run, whether the answer arrives or not
        known = len(self._story.stops)
        answer = await self._api(campaigns_api.start, campaign_id=1)
        if answer is not None and answer.status == 404 and before.started == asked:
            before.started = None  # it is deleted
        for stop in self._story.stops[known:]:
            # It was answered while this start was under way: nobody can say which of them was the last.
            stop.started = stop.started or stop.answered

    async def stop(self) -> None:
        starts = self._starts
        answer = await self._api(campaigns_api.stop, campaign_id=1)
        if _done(answer) and starts == self._starts and self._story.stops[-1].started is not None:
            self._story.stops.append(Stop(self._clock.now()))

    async def _restart(self) -> None:
        await self.stop()
        await self.start()

    async def delete(self) -> None:
        answer = await self._api(campaigns_api.delete, "1")
        if _done(answer) and self._story.stops[-1].started is not None:
            self._story.stops.append(Stop(self._clock.now()))

    async def _add(self) -> None:
        if self._uploading:
            return  # what two of them at once leave behind can't be told apart
        self._uploading = True
        before, length = self._tail(), self._dice.choice([1, 10])
        answer = await self._upload(None, length)
        accepted = self._tail() - before
        # Whoever got no answer doesn't know, but it is all of them or none.
        self._story.torn_uploads += accepted != length if _done(answer) else accepted not in (0, length)
        self._story.uploaded += accepted
        self._uploading = False

    async def _add_insisting(self) -> None:
        """A client that got no answer asks again, with the same key, until it gets one."""
        if self._uploading:
            return
        self._uploading = True
        self._keys += 1
        before, length = self._tail(), self._dice.choice([1, 10])
        for _ in range(_PATIENCE):
            answer = await self._upload(f"upload {self._keys}", length)
            if answer is not None and answer.status in (200, 404):
                accepted = self._tail() - before
                self._story.torn_uploads += accepted != (length if answer.status == 200 else 0)
                break
        self._story.uploaded += self._tail() - before
        self._uploading = False

    async def _upload(self, key: str | None, length: int) -> Answer | None:
        numbers = phone_numbers(self._story.uploaded, length)
        return await self._api(campaigns_api.add_calls, None, key, campaign_id=1, phone_numbers=numbers)

    async def _change_url(self) -> None:
        await self._api(campaigns_api.update, "1", start_url=f"http://tenant.example/start/{self._dice.randrange(5)}")

    async def _change_hours(self) -> None:
        wish = Wish(self._dice.choice(ALL_HOURS), asked=self._clock.now())
        place = len(self._story.wishes)
        self._story.wishes.append(wish)
        if _done(await self._api(campaigns_api.update, "1", profiles=profiles(wish.hours))):
            wish.superseded = None
            # Those that came while it was under way may hold instead of it, or not.
            for earlier in self._story.wishes[:place]:
                earlier.superseded = earlier.superseded or self._clock.now()

    async def _change_pace(self) -> None:
        await self._api(profiles_api.update, "1", amount_per_period=self._dice.choice([AMOUNT, 20]))

    async def _look_on(self) -> None:
        answer = await self._api(campaigns_api.show, "1")
        if answer is not None and answer.status == 200:
            self._story.looks.append(json.loads(answer.body)["progress"])


def profiles(hours: Hours) -> list[dict[str, str]]:
    """The windows as the API takes them: minutes from eight o'clock."""
    return [{"profile": "1", "start_time": _time_of_day(begin), "end_time": _time_of_day(end)} for begin, end in hours]


def _time_of_day(minutes: int) -> str:
    return f"{8 + minutes // 60:02d}:{minutes % 60:02d}"


def phone_numbers(first: int, length: int) -> list[str]:
    return [f"tel:+1222{place:07d}" for place in range(first, first + length)]


def _done(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 200
