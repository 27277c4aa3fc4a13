"""The pacer: each minute, hand the calls that are due before the next minute to the dialer.

For every campaign: gather its plan, its cursors and what it has deferred; let `chalicelib.domain.pacing` say which
slots there are, and `chalicelib.domain.load` how many of them the dialers can do; fill them with deferred numbers first
and the log after them. Then, stride by stride: reserve the slots by moving the cursors, send their calls in slices, and
pass what was sent. A crash in between costs slots, never numbers: those that were sent and not passed are sent again,
in later slots, and the dialer's claims absorb that. So there is never more than one number to a slot, whatever crashes
or overlaps.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TypeVar

from chalicelib.calling.sharding import ForEach
from chalicelib.calling.timetables import read_timetable
from chalicelib.domain import load, pacing, slicing, spreading
from chalicelib.domain import messages as handover
from chalicelib.domain.call import DialTask, Lease, ScheduledTask, Task
from chalicelib.domain.messages import Dial, Report, Slice
from chalicelib.domain.models import CallKey, Campaign, Entry, Load, Status
from chalicelib.domain.pacing import Pace, Slot
from chalicelib.domain.timetable import Timetable
from chalicelib.errors import NotFound
from chalicelib.gateway.queue import CallQueue, Message
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

logger = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

#: What is handed over reaches a little past the next tick, so that a tick which comes late leaves no gap.
HORIZON = timedelta(seconds=75)
#: How many numbers are sent between two moves of the head: a crash sends at most so many again.
BATCH_SIZE = 2000
#: How many reports of one campaign are handed over in one tick.
REPORTS = 1000


@dataclass(frozen=True)
class Number:
    """A number that may fill a slot: the next of the log, or one deferred before."""

    key: CallKey
    entry: Entry
    attempt: int
    #: None for a number of the log
    scheduled: ScheduledTask | None


#: Numbers, each with its slot.
Filled = Sequence[tuple[Slot, Number]]


@dataclass(frozen=True)
class TickResult:
    """What a tick has handed over."""

    dials: int = 0
    reports: int = 0


@dataclass(frozen=True)
class PacingInput:
    """A campaign that may call, and what is known of it."""

    campaign: Campaign
    timetable: Timetable
    paces: Sequence[Pace]
    limits: slicing.Limits
    #: how many of its calls are due in a second
    rate: float
    #: how long a call of it takes; zero while nobody knows
    call_time: timedelta

    @property
    def apart(self) -> timedelta:
        """From one call to the next, at least."""
        return pacing.apart(self.paces)

    @property
    def dialers(self) -> float:
        """How many all of its calls would keep busy."""
        return load.dialers(self.rate, self.limits, self.call_time)

    def share(self, dialers: float) -> float:
        """How much of its calls, from 0 to 1, it may make with so many dialers."""
        return load.part(dialers, self.rate, self.limits, self.call_time)


class Pacer:
    def __init__(
        self,
        *,
        stores: Stores,
        switch: Switch,
        queue: CallQueue,
        clock: Clock,
        metrics: Metrics,
        each: ForEach,
        dialers: int,
        limits: slicing.Limits = slicing.Limits(),  # noqa: B008 # it is frozen
        calls_a_partition: float = spreading.CALLS_A_SECOND,
    ) -> None:
        """`dialers` is how many slices may be dealt with at the same time.

        `calls_a_partition` is how many calls a second may write their slips to one partition.
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
        self._each = each
        self._dialers = dialers
        self._limits = limits
        self._calls_a_partition = calls_a_partition

    def tick(self, deadline: datetime, campaigns: Iterable[tuple[str, int]], part: float = 1.0) -> TickResult:
        """Hand over what is due of these, each an account and id, starting nothing new after `deadline`.

        `part` is how much of the dialers, from 0 to 1, is there for them. While dialling is halted, only reports are
        handed over. What fails for one campaign doesn't hold up the others. Raises ExceptionGroup, when all are done.
        """
        begun = self._clock.now()
        dials = self._switch.is_on()
        there = self._dialers * part
        failed: dict[tuple[str, int], Exception] = {}
        out_of_time = False

        def attempt(function: Callable[[A], R], what: A, account: str, identifier: int) -> R | None:
            nonlocal out_of_time
            if self._clock.now() >= deadline:
                out_of_time = True
                return None
            try:
                return function(what)
            except Exception as error:
                logger.exception("the campaign was not paced", extra=about_campaign(account, identifier))
                failed[account, identifier] = error
                return None

        def gather(campaign: tuple[str, int]) -> tuple[int, PacingInput | None] | None:
            return attempt(lambda one: self._gather(*one, dials=dials), campaign, *campaign)

        gathered = [found for found in self._each(gather, campaigns) if found is not None]
        gathered_turns = [turn for _, turn in gathered if turn is not None]

        def look_closer(turn: PacingInput) -> PacingInput | None:
            campaign = turn.campaign
            return attempt(self._look_closer, turn, campaign.account, campaign.id) if turn.dialers > modest else turn

        modest = there * load.CLOSE / max(1, len(gathered_turns))
        turns = [turn for turn in self._each(look_closer, gathered_turns) if turn is not None]
        wanted = {place: turn.dialers for place, turn in enumerate(turns)}
        is_alone = sum(turn.rate > 0 for turn in turns) == 1 and part == 1
        shares = load.shares(wanted, there * load.MORE_THAN_MADE if is_alone else there)

        def act(place: int) -> int | None:
            turn = turns[place]
            share = turn.share(shares[place])
            campaign = turn.campaign
            return attempt(lambda one: self._hand_over_dials(one, share, deadline), turn, campaign.account, campaign.id)

        handed = sum(found or 0 for found in self._each(act, range(len(turns))))
        if out_of_time:
            logger.warning("not all campaigns could be paced in time")
            self._metrics.count(Metric.OUT_OF_TIME)
        # The others were dialled: a tick in which campaigns fail is a tick.
        self._metrics.count(Metric.TICKS)
        self._metrics.measure(Metric.TICK_DURATION, (self._clock.now() - begun).total_seconds())
        for account, identifier in failed:
            self._metrics.blame(f"{account}/{identifier}")
        if failed:
            raise ExceptionGroup("some campaigns were not paced", list(failed.values()))
        return TickResult(handed, sum(reports for reports, _ in gathered))

    def _gather(self, account: str, identifier: int, *, dials: bool) -> tuple[int, PacingInput | None]:
        """The reports that were handed over, and what is known of the campaign if it may call."""
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return 0, None
        reports = self._hand_over_reports(campaign)
        if not (dials and campaign.status is Status.RUNNING):
            return reports, None
        now = self._clock.now()
        try:
            timetable, paces = read_timetable(self._stores, campaign)
        except NotFound:
            return reports, None
        # Slots that passed while it slept were nobody's.
        campaign = replace(campaign, cursors=pacing.idle(campaign.cursors, min(now, campaign.wakes_at)))
        open_now = [
            pace
            for window, pace in zip(timetable.windows, paces, strict=True)
            if any(timetable.openings(window, now, now + HORIZON))
        ]
        limits = load.limits(self._limits, campaign.call_time)
        return reports, PacingInput(campaign, timetable, paces, limits, load.a_second(open_now), campaign.call_time)

    def _look_closer(self, turn: PacingInput) -> PacingInput:
        """How long calls take now. What the settler has measured is a minute old, and nothing before the first."""
        campaign = turn.campaign
        sample = load.sample(campaign.head, campaign.load.handed)
        try:
            found = list(self._calls.among(CallKey(campaign.account, campaign.id, sequence) for sequence in sample))
        except Exception:
            # What the settler has measured does, too.
            logger.warning("the newest calls were not read", exc_info=True, extra=_which(campaign))
            return turn
        call_time = load.newest(campaign.call_time, found, self._clock.now())
        return replace(turn, call_time=call_time, limits=load.limits(self._limits, call_time))

    def _hand_over_reports(self, campaign: Campaign) -> int:
        """Reports are owed even by a campaign that is stopped or deleted."""
        now = self._clock.now()
        reports = self._tasks.due_reports(campaign.account, campaign.id, now, spread=campaign.spread)
        due = list(islice(reports, REPORTS))
        parts = [due[first : first + slicing.MOST_REPORTS] for first in range(0, len(due), slicing.MOST_REPORTS)]
        handed = [
            Slice(
                campaign.account,
                campaign.id,
                reports=tuple(Report(scheduled.task.key, scheduled.task.attempt) for scheduled in part),
                scheduled=self._tasks.lease(part, now),
                spread=campaign.spread,
            )
            for part in parts
        ]
        messages = [Message(handover.to_message(one), None, campaign.account) for one in handed]
        sent = self._queue.send(messages)
        for one, part in zip(handed[sent:], parts[sent:], strict=True):
            self._take_back(one, [scheduled.task for scheduled in part])
        return sum(map(len, parts[:sent]))

    def _hand_over_dials(self, turn: PacingInput, share: float, deadline: datetime) -> int:
        """`share` is the part of its calls, up to 1, that its dialers can make."""
        campaign, now = turn.campaign, self._clock.now()
        returned = list(self._tasks.returned_dials(campaign.account, campaign.id))
        judged = load.judged(campaign.load, len(returned))
        part = self._part(turn, judged, share, now)
        slots = self._slots(turn, part, share, now)
        numbers = self._numbers(campaign, returned, now)
        # Calls that the dialers can't make write nothing.
        spread = spreading.needed(turn.rate * share, campaign.spread, self._calls_a_partition)
        head, dials = campaign.head, 0
        while self._clock.now() < deadline:
            filled = list(islice(zip(slots, numbers, strict=False), BATCH_SIZE))
            if not filled:
                break
            cursors = pacing.advance(campaign.cursors, [slot for slot, _ in filled])
            dialers = load.rounded(turn.dialers)
            reserved = self._progress.reserve(campaign, head, cursors, spread=spread, dialers=dialers)
            if reserved is None:
                break
            campaign = reserved
            sent = self._send(campaign, filled, turn)
            head += sum(number.scheduled is None for _, number in filled[:sent])
            dials += sent
            if sent < len(filled):
                break
        limited = part < share and next(numbers, None) is not None
        after = replace(judged, handed=dials, left=max(0, len(returned) - dials), limited=limited)
        moved = head != campaign.head or after != turn.campaign.load
        if moved and not self._progress.advance_head(campaign, head, after):
            logger.info("handed over by another pacer", extra=about_campaign(campaign.account, campaign.id))
        elif (
            not limited
            and head == campaign.tail
            and turn.timetable.open_until(now) is not None
            and next(numbers, None) is None
        ):
            self._idle(campaign, head, now)
        return dials

    def _part(self, turn: PacingInput, judged: Load, share: float, now: datetime) -> float:
        """How much of the slots is used: a share by the dialers there are, and no more than the limit."""
        if judged.most is None:
            return share
        cursors = pacing.idle(turn.campaign.cursors, now)
        waiting = pacing.waiting(turn.timetable, turn.paces, cursors, now, HORIZON)
        return min(share, judged.most / max(1, judged.most, waiting))

    def _slots(self, turn: PacingInput, part: float, share: float, now: datetime) -> Iterator[Slot]:
        """All of them, unless that is too much for the dialers."""
        campaign = turn.campaign
        there = turn.timetable, turn.paces, campaign.cursors, now, HORIZON
        if part <= 0:
            return iter(())
        selection = load.selection(share, part, turn.rate, turn.limits, load.phase(campaign.id))
        if selection is pacing.ALL:
            return pacing.slots(*there)
        logger.info("%.3g of the slots are used: the dialers can't do more", part, extra=_which(campaign))
        # What was left out before was left out on purpose, and isn't made up for.
        cursors = pacing.idle(campaign.cursors, now)
        return pacing.slots(turn.timetable, turn.paces, cursors, now, HORIZON, selection)

    def _idle(self, campaign: Campaign, head: int, now: datetime) -> None:
        cursors = pacing.idle(campaign.cursors, now)
        if cursors != campaign.cursors:
            self._progress.reserve(replace(campaign, head=head), head, cursors, spread=campaign.spread)

    def _numbers(self, campaign: Campaign, returned: Iterable[ScheduledTask], now: datetime) -> Iterator[Number]:
        due = self._tasks.due_dials(campaign.account, campaign.id, now, spread=campaign.spread)
        for scheduled in chain(returned, due):
            deferred = scheduled.task
            if isinstance(deferred, DialTask):
                yield Number(deferred.key, deferred.entry, deferred.attempt, scheduled)
        key = campaign_key(campaign.account, campaign.id)
        for sequence, entry in self._log.read(key, campaign.head, campaign.tail - campaign.head):
            yield Number(CallKey(campaign.account, campaign.id, sequence), entry, 1, None)

    def _send(self, campaign: Campaign, filled: Filled, turn: PacingInput) -> int:
        """How many of them were sent, which are the first ones."""
        parts = list(_slices(campaign, filled, turn.limits))
        now = self._clock.now()
        handed = []
        for numbers, dials in parts:
            tasks = [number.scheduled for _, number in numbers if number.scheduled is not None]
            name = self._tasks.lease(tasks, now) if tasks else None
            handed.append(Slice(campaign.account, campaign.id, dials=dials, scheduled=name, spread=campaign.spread))
        messages = [
            Message(handover.to_message(one), slicing.wanted_at(one.dials, now, turn.apart), campaign.account)
            for one in handed
        ]
        sent = self._queue.send(messages)
        for one, (numbers, _) in zip(handed[sent:], parts[sent:], strict=True):
            self._take_back(one, [number.scheduled.task for _, number in numbers if number.scheduled is not None])
        return sum(len(one.dials) for one in handed[:sent])

    def _take_back(self, handed: Slice, deferred: Sequence[Task]) -> None:
        """What couldn't be sent waits for the next tick."""
        if handed.scheduled is not None:
            back = Lease(tuple(deferred), handed.scheduled)
            self._tasks.release(back, self._clock.now(), deferred, spread=handed.spread)


def _which(campaign: Campaign) -> dict[str, object]:
    return about_campaign(campaign.account, campaign.id)


def _slices(campaign: Campaign, filled: Filled, limits: slicing.Limits) -> Iterator[tuple[Filled, tuple[Dial, ...]]]:
    """The dials of each slice, and the numbers that they are for."""
    dials = [
        Dial(number.key, number.attempt, number.entry, campaign.generation, slot.due, slot.late, slot.expires)
        for slot, number in filled
    ]
    first = 0
    for part in slicing.dial_slices(dials, limits):
        yield filled[first : first + len(part)], part
        first += len(part)
