"""The pacer: each minute, dispatch the calls that are due before the next minute.

The pacer reads the plan, the cursors and the tasks of each campaign. `chalicelib.domain.pacing` computes the slots, and
`chalicelib.domain.load` how many of them the dialers can use. Tasks fill the slots first, then numbers of the log. For
each batch, the pacer reserves the slots by moving the cursors, sends their calls in slices, and moves the head past the
numbers that were sent.

A crash in between costs slots, never numbers. Numbers that were sent before the head was moved are sent again in later
slots, and the claim refuses the second message. A slot never has more than one number, whatever crashes or overlaps.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from chalicelib.calling.sharding import ForEach
from chalicelib.calling.tick import Tick
from chalicelib.calling.timetables import read_timetable
from chalicelib.domain import load, messages, pacing, slicing, spreading
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.messages import Dial, Report, Slice
from chalicelib.domain.models import MOST_SENT_PAST_HEAD, Campaign, Entry, Load
from chalicelib.domain.pacing import HORIZON, Pace, Slot
from chalicelib.domain.tasks import DialTask, Lease, ScheduledTask
from chalicelib.domain.timetable import Timetable
from chalicelib.errors import NotFound
from chalicelib.gateway.queue import CallQueue, Message
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

logger = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

#: How many numbers are sent between two moves of the head. After a crash at most so many are sent again.
BATCH_SIZE = MOST_SENT_PAST_HEAD
#: How many reports of one campaign a tick dispatches.
REPORTS = 1000


@dataclass(frozen=True)
class Number:
    """A number that may fill a slot: a task, or the next of the log."""

    key: CallKey
    entry: Entry
    attempt: int
    #: None for a number of the log
    scheduled: ScheduledTask | None


#: Numbers, each with its slot.
Filled = Sequence[tuple[Slot, Number]]


@dataclass(frozen=True)
class TickResult:
    """How many calls and reports a tick has dispatched."""

    dials: int = 0
    reports: int = 0


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


@dataclass(frozen=True)
class Gathered:
    """How many reports of a campaign were dispatched, and the input for its calls if it may call."""

    reports: int
    input: PacingInput | None


@dataclass(frozen=True)
class Dispatched:
    """How much of a campaign a tick has dispatched. The head in storage isn't moved yet."""

    campaign: Campaign
    #: the next number of the log to be sent
    head: int
    dials: int


class Pacer:
    def __init__(
        self,
        *,
        stores: Stores,
        switch: Switch,
        queue: CallQueue,
        clock: Clock,
        metrics: Metrics,
        for_each: ForEach,
        dialers: int,
        limits: slicing.Limits = slicing.Limits(),  # noqa: B008 # it is frozen
        calls_per_partition: float = spreading.CALLS_PER_PARTITION,
    ) -> None:
        """`dialers` is how many slices may be worked on at the same time.

        `calls_per_partition` is how many calls a second may write their tasks to one partition.
        """
        self._stores = stores
        self._progress = stores.progress
        self._campaigns = stores.campaigns
        self._log = stores.log
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._switch = switch
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._for_each = for_each
        self._dialers = dialers
        self._limits = limits
        self._calls_per_partition = calls_per_partition

    def tick(self, deadline: datetime, campaigns: Iterable[CampaignKey], part: float = 1.0) -> TickResult:
        """Dispatch what is due of these campaigns, starting nothing new after `deadline`.

        `part` is how much of the dialers they may use, from 0 to 1. While dialling is halted, only reports are
        dispatched. One campaign that fails doesn't hold up the others. Raises ExceptionGroup when all are done.
        """
        tick = Tick("paced", deadline, self._clock, self._metrics)
        is_on = self._switch.is_on()
        gathered = self._map(lambda key: tick.attempt(key, partial(self._gather, key, is_on=is_on)), campaigns)
        inputs = [one.input for one in gathered if one.input is not None]
        modest = self._dialers * part * load.MODEST / max(1, len(inputs))
        inputs = self._map(
            lambda one: (
                one if one.dialers <= modest else tick.attempt(one.campaign.key, partial(self._read_newest_calls, one))
            ),
            inputs,
        )
        dialled = self._map(
            lambda pair: tick.attempt(pair[0].campaign.key, partial(self._dispatch_calls, *pair, deadline)),
            zip(inputs, self._possible_parts(inputs, part), strict=True),
        )
        tick.close(Metric.TICKS, Metric.TICK_DURATION)
        return TickResult(sum(dialled), sum(one.reports for one in gathered))

    def _map(self, function: Callable[[A], R | None], things: Iterable[A]) -> list[R]:
        """What the function answers for each, without None."""
        return [one for one in self._for_each(function, things) if one is not None]

    def _gather(self, key: CampaignKey, *, is_on: bool) -> Gathered:
        campaign = self._campaigns.find(key)
        if campaign is None:
            return Gathered(0, None)
        reports = self._dispatch_reports(campaign)
        if not (is_on and campaign.is_running):
            return Gathered(reports, None)
        now = self._clock.now()
        try:
            timetable, paces = read_timetable(self._stores, campaign)
        except NotFound:
            return Gathered(reports, None)
        # Slots that passed while it slept are not made up for.
        campaign = replace(campaign, cursors=pacing.drop_missed(campaign.cursors, min(now, campaign.wakes_at)))
        open_now = [
            pace
            for window, pace in zip(timetable.windows, paces, strict=True)
            if any(timetable.openings(window, now, now + HORIZON))
        ]
        limits, rate = load.limits(self._limits, campaign.call_time), load.calls_per_second(open_now)
        return Gathered(reports, PacingInput(campaign, timetable, paces, limits, rate, campaign.call_time))

    def _read_newest_calls(self, one: PacingInput) -> PacingInput:
        """Measure how long calls take now. The settler's average is a minute old, and missing at first."""
        campaign = one.campaign
        sample = load.sample(campaign.head, campaign.load.dispatched)
        try:
            calls = list(self._calls.among(campaign.key.call(sequence) for sequence in sample))
        except Exception:
            # The settler's average is good enough.
            logger.warning("the newest calls were not read", exc_info=True, extra=about_campaign(campaign.key))
            return one
        call_time = load.newest_call_time(campaign.call_time, calls, self._clock.now())
        return replace(one, call_time=call_time, limits=load.limits(self._limits, call_time))

    def _possible_parts(self, inputs: Sequence[PacingInput], part: float) -> list[float]:
        """How much of its calls, from 0 to 1, each campaign can make with its share of this part of the dialers."""
        dialers = self._dialers * part
        if part == 1 and sum(one.rate > 0 for one in inputs) == 1:
            dialers *= load.MORE_THAN_MADE
        shares = load.shares({index: one.dialers for index, one in enumerate(inputs)}, dialers)
        return [one.possible_part(shares[index]) for index, one in enumerate(inputs)]

    def _dispatch_reports(self, campaign: Campaign) -> int:
        """Reports are dispatched even if the campaign is stopped or deleted."""
        now = self._clock.now()
        due = list(islice(self._tasks.due_reports(campaign.key, now, spread=campaign.spread), REPORTS))
        groups = [due[first : first + slicing.MOST_REPORTS] for first in range(0, len(due), slicing.MOST_REPORTS)]
        slices = [
            Slice(
                campaign.key,
                reports=tuple(Report(one.task.key, one.task.attempt) for one in group),
                lease=self._tasks.lease(group, now),
                spread=campaign.spread,
            )
            for group in groups
        ]
        sent = self._queue.send([Message(messages.to_message(one), None, campaign.account) for one in slices])
        for one, group in zip(slices[sent:], groups[sent:], strict=True):
            self._release(one, group)
        return sum(map(len, groups[:sent]))

    def _dispatch_calls(self, one: PacingInput, possible: float, deadline: datetime) -> int:
        """`possible` is the part of its calls, up to 1, that its dialers can make."""
        campaign, now = one.campaign, self._clock.now()
        returned = list(self._tasks.returned_dials(campaign.key))
        before = load.after_tick(campaign.load, len(returned))
        part = self._part(one, before, possible, now)
        numbers = self._numbers(campaign, returned, now)
        # Calls that the dialers can't make write no tasks.
        spread = spreading.needed(one.rate * possible, campaign.spread, self._calls_per_partition)
        filled = zip(self._slots(one, part, possible, now), numbers, strict=False)
        done = self._fill_slots(one, filled, spread, deadline)
        limited = part < possible and next(numbers, None) is not None
        left = max(0, len(returned) - done.dials)
        after = replace(before, dispatched=done.dials, left=left, limited=limited)
        if done.head != done.campaign.head or after != campaign.load:
            if not self._progress.advance_head(done.campaign, done.head, after):
                logger.info("another pacer dispatched these numbers", extra=about_campaign(campaign.key))
        elif not limited:
            self._drop_missed_if_nothing_waits(one, done, numbers, now)
        return done.dials

    def _fill_slots(
        self, one: PacingInput, filled: Iterator[tuple[Slot, Number]], spread: int, deadline: datetime
    ) -> Dispatched:
        """Reserve slots and send their numbers, batch by batch, as long as there are any.

        It ends early after the deadline, if another pacer has reserved the slots, or if SQS refuses a message.
        """
        done = Dispatched(one.campaign, one.campaign.head, 0)
        while self._clock.now() < deadline and (batch := list(islice(filled, BATCH_SIZE))):
            cursors = pacing.advance(done.campaign.cursors, [slot for slot, _ in batch])
            dialers = load.rounded(one.dialers)
            reserved = self._progress.reserve(done.campaign, done.head, cursors, spread=spread, dialers=dialers)
            if reserved is None:
                break
            sent = self._send(reserved, batch, one)
            from_log = sum(number.scheduled is None for _, number in batch[:sent])
            done = Dispatched(reserved, done.head + from_log, done.dials + sent)
            if sent < len(batch):
                break
        return done

    def _part(self, one: PacingInput, before: Load, possible: float, now: datetime) -> float:
        """The part of the slots that is used: what the dialers can make, within the limit of the load."""
        if before.most is None:
            return possible
        cursors = pacing.drop_missed(one.campaign.cursors, now)
        slots = pacing.estimate_slots(one.timetable, one.paces, cursors, now, HORIZON)
        return min(possible, before.most / max(1, before.most, slots))

    def _slots(self, one: PacingInput, part: float, possible: float, now: datetime) -> Iterator[Slot]:
        """All slots, unless they are too many for the dialers."""
        campaign = one.campaign
        if part <= 0:
            return iter(())
        selection = load.selection(possible, part, one.rate, one.limits, load.phase(campaign.id))
        if selection is pacing.ALL:
            return pacing.slots(one.timetable, one.paces, campaign.cursors, now, HORIZON)
        logger.info("%.3g of the slots are used: the dialers can't make more", part, extra=about_campaign(campaign.key))
        # Slots that were left out on purpose are not made up for.
        cursors = pacing.drop_missed(campaign.cursors, now)
        return pacing.slots(one.timetable, one.paces, cursors, now, HORIZON, selection)

    def _drop_missed_if_nothing_waits(
        self, one: PacingInput, done: Dispatched, numbers: Iterator[Number], now: datetime
    ) -> None:
        """Slots that no number needed are not made up for."""
        campaign = done.campaign
        if done.head < campaign.tail or one.timetable.open_until(now) is None or next(numbers, None) is not None:
            return
        cursors = pacing.drop_missed(campaign.cursors, now)
        if cursors != campaign.cursors:
            self._progress.reserve(replace(campaign, head=done.head), done.head, cursors, spread=campaign.spread)

    def _numbers(self, campaign: Campaign, returned: Iterable[ScheduledTask], now: datetime) -> Iterator[Number]:
        due = self._tasks.due_dials(campaign.key, now, spread=campaign.spread)
        for scheduled in chain(returned, due):
            task = scheduled.task
            if isinstance(task, DialTask):
                yield Number(task.key, task.entry, task.attempt, scheduled)
        for sequence, entry in self._log.read(campaign.key, campaign.head, campaign.tail - campaign.head):
            yield Number(campaign.key.call(sequence), entry, 1, None)

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
            self._release(slice_, tasks)
        return sum(len(slice_.dials) for slice_ in slices[:sent])

    def _message(self, slice_: Slice, gap: timedelta, now: datetime) -> Message:
        not_before = slicing.delivery_time(slice_.dials, now, gap)
        return Message(messages.to_message(slice_), not_before, slice_.campaign.account)

    def _release(self, slice_: Slice, scheduled: Sequence[ScheduledTask]) -> None:
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
