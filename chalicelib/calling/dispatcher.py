"""Dispatches numbers: reserves slots, and sends the calls in slices.

For each batch it reserves the slots by moving the cursors, sends their calls, and passes the numbers that were sent. A
crash in between costs slots, never numbers. Numbers that were sent before the head was moved are sent again in later
slots, and the claim refuses the second message. A slot never has more than one number, whatever crashes or overlaps.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice

from chalicelib.calling.timetables import read_timetable
from chalicelib.domain import load, messages, pacing, slicing, spreading
from chalicelib.domain.cancellation import head_past
from chalicelib.domain.keys import CallKey
from chalicelib.domain.lines import LineLimits
from chalicelib.domain.messages import Dial, Slice
from chalicelib.domain.models import MOST_PASSED, MOST_SENT, Campaign, Entry
from chalicelib.domain.pacing import HORIZON, Pace, Slot
from chalicelib.domain.passing import has_expired, is_passed
from chalicelib.domain.tasks import DialTask, Lease, ScheduledTask, Withdrawn
from chalicelib.domain.timetable import Timetable
from chalicelib.errors import NotFound
from chalicelib.gateway.queue import CallQueue, Message
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about_campaign
from chalicelib.storage.stores import Stores

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Number:
    """A number that may fill a slot: a task, or the next of the log."""

    key: CallKey
    entry: Entry
    attempt: int
    #: None for a number of the log
    scheduled: ScheduledTask | None


class Waiting(Iterator[Number]):
    """The numbers that may fill slots, in their order. It keeps those that it has passed meanwhile."""

    def __init__(self, numbers: Iterator[Number], now: datetime) -> None:
        self._numbers = numbers
        self._now = now
        #: of the log, without those that are withdrawn
        self.passed: list[tuple[CallKey, Entry]] = []
        #: tasks that have expired
        self.expired: list[ScheduledTask] = []

    def __next__(self) -> Number:
        """Raises StopIteration after the last number, and when it has passed MOST_PASSED numbers."""
        while len(self.passed) + len(self.expired) < MOST_PASSED:
            number = next(self._numbers)
            if number.scheduled is None:
                if not is_passed(number.entry, self._now):
                    return number
                self.passed.append((number.key, number.entry))
            elif number.scheduled.mark or not has_expired(number.entry, self._now):
                return number  # An expired one that shares its item with others is refused, and then has its own.
            else:
                self.expired.append(number.scheduled)
        raise StopIteration


#: Numbers, each with its slot.
Filled = Sequence[tuple[Slot, Number]]


@dataclass(frozen=True)
class PacingInput:
    """A campaign that may call, and the values that decide how many of its calls are dispatched."""

    campaign: Campaign
    timetable: Timetable
    paces: Sequence[Pace]
    limits: slicing.Limits
    #: how many of its calls are due in a second
    rate: float
    #: how long its calls take on average; zero while nothing is known
    call_time: timedelta
    line_limits: LineLimits

    @property
    def shortest_gap(self) -> timedelta:
        """The time from one call to the next, at least."""
        return pacing.shortest_gap(self.paces)

    @property
    def dialers(self) -> float:
        """How many dialers all of its calls would keep busy."""
        return load.dialers(self.rate, self.limits, self.call_time)

    def possible_part(self, share: float) -> float:
        """How much of its calls, from 0 to 1, it can make with its share of the dialers."""
        return load.part(share, self.rate, self.limits, self.call_time)

    def spread(self, part: float, calls_per_partition: float) -> int:
        """In how many partitions its tasks must be if this part of its calls, from 0 to 1, is made."""
        return spreading.needed(
            self.rate * part,
            self.campaign.spread,
            calls_per_partition,
            with_attempt_reports=self.campaign.plan.reports_attempts,
        )


@dataclass(frozen=True)
class Dispatched:
    """How much of a campaign was dispatched. The head in storage isn't moved yet."""

    campaign: Campaign
    #: the next number of the log to be sent
    head: int
    dials: int


class Dispatcher:
    def __init__(self, stores: Stores, queue: CallQueue, clock: Clock, limits: slicing.Limits) -> None:
        self._stores = stores
        self._progress = stores.progress
        self._log = stores.log
        self._tasks = stores.tasks
        self._queue = queue
        self._clock = clock
        self._limits = limits

    def read(self, campaign: Campaign) -> PacingInput | None:
        """What decides how many of its calls are dispatched. None if what the campaign refers to was deleted."""
        now = self._clock.now()
        try:
            timetable, paces = read_timetable(self._stores, campaign)
        except NotFound:
            return None
        open_now = [
            pace
            for window, pace in zip(timetable.windows, paces, strict=True)
            if any(timetable.openings(window, now, now + HORIZON))
        ]
        limits, rate = load.limits(self._limits, campaign.call_time), load.calls_per_second(open_now)
        line_limits = LineLimits(
            campaign.plan.max_concurrent_calls, self._stores.accounts.max_concurrent_calls(campaign.account)
        )
        return PacingInput(campaign, timetable, paces, limits, rate, campaign.call_time, line_limits)

    def limits_for(self, call_time: timedelta) -> slicing.Limits:
        return load.limits(self._limits, call_time)

    def slots(
        self, one: PacingInput, part: float, possible: float, now: datetime, horizon: timedelta
    ) -> Iterator[Slot]:
        """All slots, unless they are too many for the dialers."""
        campaign = one.campaign
        if part <= 0:
            return iter(())
        selection = load.selection(possible, part, one.rate, one.limits, load.phase(campaign.id))
        if selection is pacing.ALL:
            return pacing.slots(one.timetable, one.paces, campaign.cursors, now, horizon)
        logger.info("%.3g of the slots are used: the dialers can't make more", part, extra=about_campaign(campaign.key))
        # Slots that were left out on purpose are not made up for.
        cursors = pacing.drop_missed(campaign.cursors, now)
        return pacing.slots(one.timetable, one.paces, cursors, now, horizon, selection)

    def numbers(self, campaign: Campaign, returned: Iterable[ScheduledTask], now: datetime) -> Waiting:
        """What may fill slots: returned calls, tasks that are due, and then the log without what is passed."""
        return Waiting(self._numbers(campaign, returned, now), now)

    def _numbers(self, campaign: Campaign, returned: Iterable[ScheduledTask], now: datetime) -> Iterator[Number]:
        due = self._tasks.due_dials(campaign.key, now, spread=campaign.spread)
        for scheduled in chain(returned, due):
            task = scheduled.task
            if isinstance(task, DialTask):
                yield Number(task.key, task.entry, task.attempt, scheduled)
        if campaign.to_front:
            return
        withdrawn = self._tasks.withdrawn_numbers(campaign)
        for sequence, entry in self._log.read(campaign.key, campaign.head, campaign.tail - campaign.head):
            if sequence not in withdrawn:
                yield Number(campaign.key.call(sequence), entry, 1, None)

    def fill(
        self,
        one: PacingInput,
        filled: Iterator[tuple[Slot, Number]],
        spread: int,
        deadline: datetime,
        take_lines: Callable[[Filled], int] = len,
    ) -> Dispatched:
        """Reserve slots and send their numbers, batch by batch, as long as there are any.

        `take_lines` takes lines for numbers, and answers for how many of them. It ends early after the deadline, if
        another pacer has reserved the slots, if there are no more lines, or if SQS refuses a message.
        """
        done = Dispatched(one.campaign, one.campaign.head, 0)
        while self._clock.now() < deadline and (batch := list(islice(filled, MOST_SENT))):
            cursors = pacing.advance(done.campaign.cursors, [slot for slot, _ in batch])
            dialers = load.rounded(one.dialers)
            reserved = self._progress.reserve(done.campaign, done.head, cursors, spread=spread, dialers=dialers)
            if reserved is None:
                break
            sent = self._send(reserved, batch[: take_lines(batch)], one)
            from_log = [number.key.sequence for _, number in batch[:sent] if number.scheduled is None]
            done = Dispatched(reserved, from_log[-1] + 1 if from_log else done.head, done.dials + sent)
            if sent < len(batch):
                break
        return done

    def pass_on(self, done: Dispatched, numbers: Waiting, now: datetime) -> Dispatched:
        """Record the numbers that were passed before, between and right after those that were sent.

        If the pacer dies before that, the settler finds those that the head has passed.
        """
        self._stores.passed.end_tasks(done.campaign, numbers.expired, now)
        head, passed = done.head, list[tuple[CallKey, Entry]]()
        withdrawn = self._tasks.withdrawn_numbers(done.campaign) if numbers.passed else Withdrawn()
        for key, entry in numbers.passed:
            head = head_past(replace(done.campaign, head=head), withdrawn)
            if key.sequence > head:
                break  # the number before it is still to be sent
            head = max(head, key.sequence + 1)
            passed.append((key, entry))
        self._stores.passed.record(done.campaign, passed, now)
        return replace(done, head=head)

    def _send(self, campaign: Campaign, filled: Filled, one: PacingInput) -> int:
        """Send the calls in slices, in order. Answers how many were sent before SQS refused one."""
        now = self._clock.now()
        slices, scheduled = [], []
        for numbers, dials in _slices(campaign, filled, one.limits):
            tasks = [number.scheduled for _, number in numbers if number.scheduled is not None]
            lease = self._tasks.lease(tasks, now) if tasks else None
            slices.append(Slice(campaign.key, dials=dials, lease=lease, spread=campaign.spread))
            scheduled.append(tasks)
        sent = self._queue.send([self._message(slice_, one.shortest_gap, now) for slice_ in slices])
        for slice_, tasks in zip(slices[sent:], scheduled[sent:], strict=True):
            self.release(slice_, tasks)
        return sum(len(slice_.dials) for slice_ in slices[:sent])

    def _message(self, slice_: Slice, gap: timedelta, now: datetime) -> Message:
        not_before = slicing.delivery_time(slice_.dials, now, gap)
        return Message(messages.to_message(slice_), not_before, slice_.campaign.account)

    def release(self, slice_: Slice, scheduled: Sequence[ScheduledTask]) -> None:
        """Tasks of a slice that couldn't be sent wait for the next tick."""
        if slice_.lease is not None:
            tasks = tuple(one.task for one in scheduled)
            self._tasks.release(Lease(tasks, slice_.lease), self._clock.now(), tasks, spread=slice_.spread)


def _slices(campaign: Campaign, filled: Filled, limits: slicing.Limits) -> Iterator[tuple[Filled, tuple[Dial, ...]]]:
    """The dials of each slice, and the numbers that they are for."""
    dials = [
        Dial(number.key, number.attempt, number.entry, campaign.generation, slot.due, slot.start_deadline, slot.expires)
        for slot, number in filled
    ]
    first = 0
    for slice_ in slicing.dial_slices(dials, limits):
        yield filled[first : first + len(slice_)], slice_
        first += len(slice_)
