"""The pacer: each minute, dispatch the calls that are due before the next minute.

The pacer reads the plan, the cursors and the tasks of each campaign. `chalicelib.domain.pacing` computes the slots, and
`chalicelib.domain.load` how many of them the dialers can use. Tasks fill the slots first, then numbers of the log.
`chalicelib.calling.dispatcher` reserves the slots and sends the calls.

Of a campaign whose lines are limited, a tick dispatches no calls itself. It sends refills, some seconds apart, since
lines become free all the time (`chalicelib.calling.refiller`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import groupby, islice
from typing import TypeVar

from chalicelib.calling.dispatcher import Dispatched, Dispatcher, Number, PacingInput
from chalicelib.calling.passing import pass_uncallable
from chalicelib.calling.sharding import ForEach
from chalicelib.calling.tick import Tick
from chalicelib.domain import lines, load, messages, pacing, slicing, spreading
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.messages import Refill, Report, Slice
from chalicelib.domain.models import Campaign, Load
from chalicelib.domain.pacing import HORIZON
from chalicelib.domain.tasks import AttemptReportTask, ScheduledTask, Task
from chalicelib.gateway.queue import CallQueue, Message
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

logger = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

#: How many reports of one campaign a tick dispatches.
REPORTS = 1000


@dataclass(frozen=True)
class TickResult:
    """How many calls and reports a tick has dispatched."""

    dials: int = 0
    reports: int = 0


@dataclass(frozen=True)
class Gathered:
    """How many reports of a campaign were dispatched, and the input for its calls if it may call."""

    reports: int
    input: PacingInput | None


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
        self._lines = stores.lines
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._switch = switch
        self._queue = queue
        self._dispatcher = Dispatcher(stores, queue, clock, limits)
        self._clock = clock
        self._metrics = metrics
        self._for_each = for_each
        self._dialers = dialers
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
        if inputs:
            self._metrics.measure(Metric.DIALERS_NEEDED, sum(one.dialers for one in inputs))
        dialled = self._map(
            lambda pair: tick.attempt(pair[0].campaign.key, partial(self._dispatch, *pair, deadline)),
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
        # Slots that passed while it slept are not made up for.
        woken = min(self._clock.now(), campaign.wakes_at)
        campaign = replace(campaign, cursors=pacing.drop_missed(campaign.cursors, woken))
        return Gathered(reports, self._dispatcher.read(campaign))

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
        return replace(one, call_time=call_time, limits=self._dispatcher.limits_for(call_time))

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
        due = islice(self._tasks.due_reports(campaign.key, now, spread=campaign.spread), REPORTS)
        groups = list(_slices_of(due))
        slices = [
            Slice(
                campaign.key,
                reports=tuple(_report_of(one.task) for one in group),
                lease=self._tasks.lease(group, now),
                spread=campaign.spread,
            )
            for group in groups
        ]
        sent = self._queue.send([Message(messages.to_message(one), None, campaign.account) for one in slices])
        for one, group in zip(slices[sent:], groups[sent:], strict=True):
            self._dispatcher.release(one, group)
        return sum(map(len, groups[:sent]))

    def _dispatch(self, one: PacingInput, possible: float, deadline: datetime) -> int:
        if one.line_limits.are_set and self._send_refills(one, possible):
            return 0  # A refill passes numbers itself.
        failure: Exception | None = None
        try:
            one = replace(one, campaign=pass_uncallable(self._stores, one.campaign, self._clock, deadline))
        except Exception as error:
            failure = error  # the numbers behind those are called all the same
        dials = 0 if one.line_limits.are_set else self._dispatch_calls(one, possible, deadline)
        if failure is not None:
            raise failure
        return dials

    def _send_refills(self, one: PacingInput, possible: float) -> int:
        """Send a refill for each stretch of time in which slots are due, if any number waits. Answers how many."""
        campaign, now = one.campaign, self._clock.now()
        if possible <= 0 or not self._may_have_numbers(campaign, now + HORIZON):
            return 0
        known = self._lines.read(lines.scope(campaign.key, one.line_limits))
        gap = lines.gap(one.line_limits.lowest, one.rate * possible, known.time_held)
        refills = [
            Message(messages.to_message(Refill(campaign.key, stretch.until, possible)), stretch.begin, campaign.account)
            for stretch in lines.stretches(one.timetable, one.paces, campaign.cursors, now, gap)
        ]
        return self._queue.send(refills)

    def _may_have_numbers(self, campaign: Campaign, until: datetime) -> bool:
        if campaign.head < campaign.tail:
            return True
        first = self._tasks.first_dial(campaign.key, spread=campaign.spread)
        return first is not None and first <= until

    def _dispatch_calls(self, one: PacingInput, possible: float, deadline: datetime) -> int:
        """`possible` is the part of its calls, up to 1, that its dialers can make."""
        campaign, now = one.campaign, self._clock.now()
        returned = list(self._tasks.returned_dials(campaign.key))
        before = load.after_tick(campaign.load, len(returned))
        part = self._part(one, before, possible, now)
        numbers = self._dispatcher.numbers(campaign, returned, now)
        # Calls that the dialers can't make write no tasks.
        spread = one.spread(possible, self._calls_per_partition)
        filled = zip(self._dispatcher.slots(one, part, possible, now, HORIZON), numbers, strict=False)
        done = self._dispatcher.fill(one, filled, spread, deadline)
        try:
            done = self._dispatcher.pass_on(done, numbers, now)
        except Exception:
            self._progress.advance_head(done.campaign, done.head)  # what was sent isn't sent again
            raise
        limited = part < possible and next(numbers, None) is not None
        left = max(0, len(returned) - done.dials)
        after = replace(before, dispatched=done.dials, left=left, limited=limited)
        if done.head != done.campaign.head or after != campaign.load:
            if not self._progress.advance_head(done.campaign, done.head, after):
                logger.info("another pacer dispatched these numbers", extra=about_campaign(campaign.key))
        elif not limited:
            self._drop_missed_if_nothing_waits(one, done, numbers, now)
        return done.dials

    def _part(self, one: PacingInput, before: Load, possible: float, now: datetime) -> float:
        """The part of the slots that is used: what the dialers can make, within the limit of the load."""
        if before.most is None:
            return possible
        cursors = pacing.drop_missed(one.campaign.cursors, now)
        slots = pacing.estimate_slots(one.timetable, one.paces, cursors, now, HORIZON)
        return min(possible, before.most / max(1, before.most, slots))

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


def _report_of(task: Task) -> Report:
    return Report(task.key, task.attempt, task.ended if isinstance(task, AttemptReportTask) else None)


def _slices_of(reports: Iterable[ScheduledTask]) -> Iterator[list[ScheduledTask]]:
    """The reports of each slice: of outcomes, or of attempts."""
    for _, alike in groupby(reports, key=lambda one: type(one.task)):
        while some := list(islice(alike, slicing.MOST_REPORTS)):
            yield some
