"""The owner of the campaign: sends requests to the API, and records the answers with their times."""

import json
import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, Protocol

from chalicelib.api import campaigns as campaigns_api
from chalicelib.api import cancel as cancel_api
from chalicelib.api import profiles as profiles_api
from chalicelib.api.dispatch import Endpoint
from chalicelib.api.envelope import Answer
from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN
from chalicelib.runtime.clock import Clock
from tests.simulation.story import ALL_HOURS, AMOUNT, FEWEST, Hours, RequestedHours, Stop, Story, Times

#: how often a client that gets no answer sends its request
_TRIES = 20
#: how many uploads come first
FIRST_ODDS = 0.4


class Api(Protocol):
    """Sends a request to the API. Returns None if no answer came."""

    def __call__(
        self, endpoint: Endpoint, identifier: str | None = None, key: str | None = None, /, **fields: Any
    ) -> Coroutine[Any, Any, Answer | None]: ...


class Owner:
    def __init__(
        self,
        api: Api,
        clock: Clock,
        dice: random.Random,
        cancel_dice: random.Random,
        times_dice: random.Random | None,
        story: Story,
        tail: Callable[[], int],
    ) -> None:
        """`tail` reads from the database how many numbers were ever accepted, whatever the API answered.

        With `times_dice`, some uploads come first, or have times of their own.
        """
        self._api = api
        self._clock = clock
        self._dice = dice
        self._cancel_dice = cancel_dice
        self._times_dice = times_dice
        self._story = story
        self._tail = tail
        #: how many requests to start it began or ended so far
        self._start_edges = 0
        #: the ids of the objects
        self._hours_under_way: set[int] = set()
        self._keys = 0
        self._uploading = False

    def requests(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """All that the owner may do, the more likely things more than once."""
        return [
            self.stop,
            self.start,
            self.start,
            self._restart,
            self._restart,
            self.append,
            self._append_until_answered,
            self._change_url,
            self._change_hours,
            self._change_pace,
            self._read_progress,
        ]

    async def start(self) -> None:
        self._start_edges += 1
        asked = self._clock.now()
        before = self._story.stops[-1]
        if before.started is None:
            before.started = asked  # It may run from now on, even if no answer comes.
        known = len(self._story.stops)
        answer = await self._api(campaigns_api.start, campaign_id=1)
        self._start_edges += 1
        if answer is not None and answer.status == 404 and before.started == asked:
            before.started = None  # it is deleted
        for stop in self._story.stops[known:]:
            # It was answered while this start was under way, so either of the two may have come last.
            stop.started = stop.started or stop.answered

    async def stop(self) -> None:
        edges = self._start_edges
        answer = await self._api(campaigns_api.stop, campaign_id=1)
        # If a start began or ended meanwhile, either of the two may have come last.
        if _succeeded(answer) and edges == self._start_edges and self._story.stops[-1].started is not None:
            self._story.stops.append(Stop(self._clock.now()))

    async def _restart(self) -> None:
        await self.stop()
        await self.start()

    async def delete(self) -> None:
        answer = await self._api(campaigns_api.delete, "1")
        if _succeeded(answer) and self._story.stops[-1].started is not None:
            self._story.stops.append(Stop(self._clock.now()))

    async def cancel(self) -> None:
        """Cancel some numbers, whatever has become of them."""
        dice, story = self._cancel_dice, self._story
        chosen = dice.sample(range(story.uploaded), min(story.uploaded, dice.choice([1, 3, 40])))
        ids = [SEQUENCES_PER_CAMPAIGN + sequence for sequence in chosen]
        story.named_for_cancel.update(ids)
        answer = await self._api(cancel_api.cancel_calls, campaign_id=1, call_ids=ids)
        if answer is not None and answer.status == 200:
            rows = json.loads(answer.body)["response"]["calls"]
            assert sorted(row["call_id"] for row in rows) == sorted(ids)
            for row in rows:
                if row["state"] == "canceled":
                    story.canceled.setdefault(row["call_id"], self._clock.now())

    async def append(self) -> None:
        if self._uploading:
            return  # Nothing would show which of two uploads at once a number is of.
        self._uploading = True
        before, length, times = self._tail(), self._dice.choice([1, 10]), self._draw_times()
        answer = await self._upload(None, length, times)
        accepted = self._tail() - before
        self._note_times(times, accepted)
        # Without an answer the upload may be accepted or not, but only as a whole.
        self._story.partial_uploads += accepted != length if _succeeded(answer) else accepted not in (0, length)
        self._story.uploaded += accepted
        self._uploading = False

    async def _append_until_answered(self) -> None:
        """A client that gets no answer sends the upload again, with the same key, until it gets one."""
        if self._uploading:
            return
        self._uploading = True
        self._keys += 1
        before, length, times = self._tail(), self._dice.choice([1, 10]), self._draw_times()
        for _ in range(_TRIES):
            answer = await self._upload(f"upload {self._keys}", length, times)
            if answer is not None and answer.status in (200, 404):
                accepted = self._tail() - before
                self._story.partial_uploads += accepted != (length if answer.status == 200 else 0)
                break
        self._note_times(times, self._tail() - before)
        self._story.uploaded += self._tail() - before
        self._uploading = False

    def _draw_times(self) -> Times:
        """In whole seconds, since the API rounds to them."""
        dice, now = self._times_dice, self._clock.now().replace(microsecond=0)
        if dice is None:
            return Times()
        not_before, expires = dice.choice([None, None, 20, 100, 200]), dice.choice([None, None, 40, 120, 240])
        if not_before is not None and expires is not None and expires <= not_before:
            expires += not_before
        return Times(
            None if not_before is None else now + timedelta(seconds=not_before),
            None if expires is None else now + timedelta(seconds=expires),
        )

    def _note_times(self, times: Times, accepted: int) -> None:
        for sequence in range(self._story.uploaded, self._story.uploaded + accepted):
            self._story.times[SEQUENCES_PER_CAMPAIGN + sequence] = times

    async def _upload(self, key: str | None, length: int, times: Times) -> Answer | None:
        numbers = phone_numbers(self._story.uploaded, length)
        fields: dict[str, Any] = {name: int(at.timestamp()) for name, at in vars(times).items() if at is not None}
        if self._times_dice is not None and self._times_dice.random() < FIRST_ODDS:
            fields["first"] = True
        return await self._api(campaigns_api.add_calls, None, key, campaign_id=1, phone_numbers=numbers, **fields)

    async def _change_url(self) -> None:
        await self._api(campaigns_api.update, "1", start_url=f"http://tenant.example/start/{self._dice.randrange(5)}")

    async def _change_hours(self) -> None:
        requested = RequestedHours(self._dice.choice(ALL_HOURS), asked=self._clock.now())
        # Of two requests that are under way at the same time, either may be carried out last.
        earlier = [one for one in self._story.requested_hours if id(one) not in self._hours_under_way]
        self._story.requested_hours.append(requested)
        self._hours_under_way.add(id(requested))
        answer = await self._api(campaigns_api.update, "1", profiles=profiles(requested.hours))
        self._hours_under_way.remove(id(requested))
        if _succeeded(answer):
            requested.superseded = None
            for one in earlier:
                one.superseded = one.superseded or self._clock.now()

    async def _change_pace(self) -> None:
        await self._api(profiles_api.update, "1", amount_per_period=self._dice.choice([AMOUNT, FEWEST]))

    async def _read_progress(self) -> None:
        answer = await self._api(campaigns_api.show, "1")
        if answer is not None and answer.status == 200:
            self._story.progress_snapshots.append(json.loads(answer.body)["progress"])


def profiles(hours: Hours) -> list[dict[str, str]]:
    """The windows as the API takes them, from hours in minutes after eight o'clock."""
    return [{"profile": "1", "start_time": _time_of_day(begin), "end_time": _time_of_day(end)} for begin, end in hours]


def _time_of_day(minutes: int) -> str:
    return f"{8 + minutes // 60:02d}:{minutes % 60:02d}"


def phone_numbers(first: int, length: int) -> list[str]:
    return [f"tel:+1222{index:07d}" for index in range(first, first + length)]


def _succeeded(answer: Answer | None) -> bool:
    return answer is not None and answer.status == 200
