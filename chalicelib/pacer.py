"""The pacer: each minute, hand the calls that are due before the next minute to the dialer.

For every campaign: gather its plan, its cursors and what it has deferred; let `chalicelib.domain.pacing` say which
slots there are; fill them with deferred numbers first and the log after them. Then, stride by stride: reserve the slots
by moving the cursors, send, and pass what was sent. A crash in between costs slots, never numbers: those that were
sent and not passed are sent again, in later slots, and the dialer's claims absorb that. So there is never more than one
number to a slot, whatever crashes or overlaps.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol, TypeVar

from chalicelib.clock import Clock
from chalicelib.domain import handover, pacing
from chalicelib.domain.call import DeferredDial, Slip
from chalicelib.domain.models import CallKey, Campaign, Entry, Status
from chalicelib.domain.pacing import Pace, Slot
from chalicelib.domain.timetable import Timetable
from chalicelib.errors import NotFound
from chalicelib.gateway.queue import GATHERED_FOR, CallQueue, Message
from chalicelib.logs import about_campaign
from chalicelib.metrics import Metric, Metrics
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch

logger = logging.getLogger(__name__)

A = TypeVar("A")
R = TypeVar("R")

#: What is handed over reaches a little past the next tick, so that a tick which comes late leaves no gap.
HORIZON = timedelta(seconds=75)
#: How many numbers are sent between two moves of the head: a crash sends at most so many again.
STRIDE = 300
#: How many reports of one campaign are handed over in one tick.
REPORTS = 1000


@dataclass(frozen=True)
class Number:
    """A number that may fill a slot: the next of the log, or one deferred before."""

    key: CallKey
    entry: Entry
    attempt: int
    #: None for a number of the log
    slip: Slip | None


@dataclass(frozen=True)
class Ticked:
    """What a tick has handed over."""

    dials: int = 0
    reports: int = 0

    def __add__(self, other: "Ticked") -> "Ticked":
        return Ticked(self.dials + other.dials, self.reports + other.reports)


class Each(Protocol):
    """Applies a function to each of some things, like `map`; all at once, or one after the other."""

    def __call__(self, function: Callable[[A], R], things: Iterable[A], /) -> Iterable[R]: ...


class Pacer:
    def __init__(
        self,
        *,
        stores: Stores,
        switch: Switch,
        queue: CallQueue,
        clock: Clock,
        metrics: Metrics,
        each: Each,
    ) -> None:
        self._advances = stores.advances
        self._campaigns = stores.campaigns
        self._schedules = stores.schedules
        self._profiles = stores.profiles
        self._log = stores.log
        self._slips = stores.slips
        self._switch = switch
        self._queue = queue
        self._clock = clock
        self._metrics = metrics
        self._each = each

    def tick(self, deadline: datetime, campaigns: Iterable[tuple[str, int]]) -> Ticked:
        """Hand over what is due of these, each an account and id, starting nothing new after `deadline`.

        While dialling is halted, that is reports. What fails for one campaign doesn't hold up the others. Raises
        ExceptionGroup, when all are done.
        """
        begun, campaigns = self._clock.now(), list(campaigns)
        dials = self._switch.is_on()

        def attempt(campaign: tuple[str, int]) -> Ticked | Exception | None:
            if self._clock.now() >= deadline:
                return None
            try:
                return self._tick_campaign(*campaign, deadline, dials=dials)
            except Exception as error:
                logger.exception("the campaign was not paced", extra=about_campaign(*campaign))
                return error

        results = list(self._each(attempt, campaigns))
        if None in results:
            logger.warning("not all campaigns could be paced in time")
            self._metrics.count(Metric.OUT_OF_TIME)
        # The others were dialled: a tick in which campaigns fail is a tick.
        self._metrics.count(Metric.TICKS)
        self._metrics.measure(Metric.TICK_DURATION, (self._clock.now() - begun).total_seconds())
        failed = {of: result for of, result in zip(campaigns, results, strict=True) if isinstance(result, Exception)}
        for account, identifier in failed:
            self._metrics.blame(f"{account}/{identifier}")
        if failed:
            raise ExceptionGroup("some campaigns were not paced", list(failed.values()))
        return sum((result for result in results if isinstance(result, Ticked)), Ticked())

    def _tick_campaign(self, account: str, identifier: int, deadline: datetime, *, dials: bool) -> Ticked:
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return Ticked()
        reports = self._hand_over_reports(campaign)
        if not (dials and campaign.status is Status.RUNNING):
            return Ticked(0, reports)
        return Ticked(self._hand_over_dials(campaign, deadline), reports)

    def _hand_over_reports(self, campaign: Campaign) -> int:
        """Reports are owed even by a campaign that is stopped or deleted."""
        now = self._clock.now()
        due = list(islice(self._slips.due_reports(campaign.account, campaign.id, now), REPORTS))
        if not due:
            return 0
        handed = self._slips.hand_over(due, now)
        reports = [handover.Report(slip.deferred.key, slip.deferred.attempt, slip.name) for slip in handed]
        messages = [Message(handover.to_message(report), None, campaign.account) for report in reports]
        sent = self._queue.send(messages)
        self._take_back(handed[sent:])
        return sent

    def _hand_over_dials(self, campaign: Campaign, deadline: datetime) -> int:
        now = self._clock.now()
        try:
            schedule = self._schedules.get(campaign.account, campaign.plan.schedule_id)
            paces = [
                Pace.of(self._profiles.get(campaign.account, window.profile_id)) for window in campaign.plan.windows
            ]
        except NotFound:
            return 0  # deleted in this moment, together with the campaign
        timetable = Timetable.of(campaign.plan, schedule)
        slots = pacing.slots(timetable, paces, campaign.cursors, now, HORIZON)
        numbers = self._numbers(campaign, now)
        head, dials = campaign.head, 0
        while self._clock.now() < deadline:
            filled = list(islice(zip(slots, numbers, strict=False), STRIDE))
            if not filled:
                break
            cursors = pacing.advance(campaign.cursors, [slot for slot, _ in filled])
            reserved = self._advances.reserve(campaign, head, cursors)
            if reserved is None:
                break
            campaign = reserved
            sent = self._send(campaign, filled)
            head += sent - _deferred(filled[:sent])
            dials += sent
            if sent < len(filled):
                break
        if head != campaign.head and not self._advances.pass_to(campaign, head):
            logger.info("handed over by another pacer", extra=about_campaign(campaign.account, campaign.id))
        elif head == campaign.tail and timetable.open_until(now) is not None and next(numbers, None) is None:
            self._idle(campaign, head, now)
        return dials

    def _idle(self, campaign: Campaign, head: int, now: datetime) -> None:
        cursors = pacing.idle(campaign.cursors, now)
        if cursors != campaign.cursors:
            self._advances.reserve(replace(campaign, head=head), head, cursors)

    def _numbers(self, campaign: Campaign, now: datetime) -> Iterator[Number]:
        for slip in self._slips.due_dials(campaign.account, campaign.id, now):
            deferred = slip.deferred
            if isinstance(deferred, DeferredDial):
                yield Number(deferred.key, deferred.entry, deferred.attempt, slip)
        key = campaign_key(campaign.account, campaign.id)
        for sequence, entry in self._log.read(key, campaign.head, campaign.tail - campaign.head):
            yield Number(CallKey(campaign.account, campaign.id, sequence), entry, 1, None)

    def _send(self, campaign: Campaign, filled: Sequence[tuple[Slot, Number]]) -> int:
        now = self._clock.now()
        again = [number.slip for _, number in filled if number.slip is not None]
        handed = self._slips.hand_over(again, now) if again else []
        names = iter(handed)
        messages = []
        for slot, number in filled:
            dial = handover.Dial(
                number.key,
                number.attempt,
                number.entry,
                campaign.generation,
                slot.due,
                slot.late,
                slot.expires,
                None if number.slip is None else next(names).name,
            )
            messages.append(Message(handover.to_message(dial), _delivered(slot.due, now), campaign.account))
        sent = self._queue.send(messages)
        self._take_back(handed[_deferred(filled[:sent]) :])
        return sent

    def _take_back(self, handed: Sequence[Slip]) -> None:
        """What couldn't be sent waits for the next tick."""
        for slip in handed:
            self._slips.take_back(slip, self._clock.now())


def _delivered(due: datetime, now: datetime) -> datetime | None:
    """When the dialer is to have it; None for at once.

    For what is due soon the dialer may have to be woken, which takes a while. After that ever less: those that are
    awake wait for their calls, and waiting is what they cost most for. Messages are gathered before anybody has them.
    """
    soon = due - now - pacing.LEAD
    if soon <= timedelta(0):
        return None
    return min(due, now + 2 * soon) - GATHERED_FOR


def _deferred(filled: Sequence[tuple[Slot, Number]]) -> int:
    """How many of the numbers were deferred before."""
    return sum(number.slip is not None for _, number in filled)
