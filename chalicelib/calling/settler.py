"""The settler: each minute, count what has ended, find what was lost, and let go of what needs nothing more.

No counter is written when a call ends. Its record's key is known from its sequence number, so the settler walks the
records from `settled` on, without an index, and moves `settled` and the counts in one conditional write. What lies
between `settled` and `head` is looked at by whoever wants to know how far the campaign is.

On its way it finds what a crash has left behind: numbers whose message is gone are deferred, claims that nobody can be
at any more are uncertain, reports that were begun and never ended are sent again.
"""

import logging
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from itertools import islice

from chalicelib.calling.sharding import ForEach
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import load
from chalicelib.domain.call import (
    Acknowledgement,
    Call,
    DialTask,
    Ended,
    ReportState,
    State,
    Task,
    acknowledged_sequences,
    is_unclaimed,
    time_taken,
)
from chalicelib.domain.models import CallKey, Campaign
from chalicelib.domain.settling import (
    SettlingAction,
    classify,
    counted,
    is_owed,
    is_stale,
    lost_before,
    observe_head,
    with_acknowledgement,
)
from chalicelib.domain.timetable import may_call
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.logs import about, about_campaign
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.campaign_items import campaign_key
from chalicelib.storage.stores import Stores
from chalicelib.storage.writes import WriteRefused

logger = logging.getLogger(__name__)

#: How many records are read between two moves of `settled`.
BATCH_SIZE = 500
#: How many numbers the pacer may have handed over and not passed: its own stride.
MOST_UNPASSED = 2000
#: How many numbers that were passed over are counted in one transaction, which may have 100 parts.
COUNTED_AT_ONCE = 90
#: How many of a campaign's slips are counted for the metrics: whoever looks at them wants to know if there are many.
COUNTED_AT_MOST = 1000


@dataclass(frozen=True)
class Notes:
    """Who was told what, without a word of it in the calls' own records."""

    read_at: datetime
    told: Sequence[Acknowledgement]
    #: the numbers that wait or are handed over, though they may have no record
    returned: Set[int]

    @cached_property
    def sequences(self) -> frozenset[int]:
        return acknowledged_sequences(self.told)


class Left(Enum):
    """What is left of something that was handed over, if it isn't to be handed over again."""

    NOTHING = "nothing"
    #: somebody is at it
    WAIT = "wait"


class Settler:
    def __init__(self, stores: Stores, clock: Clock, metrics: Metrics, each: ForEach, sleeper: Sleeper) -> None:
        self._database = stores.database
        self._progress = stores.progress
        self._campaigns = stores.campaigns
        self._calls = stores.calls
        self._tasks = stores.tasks
        self._log = stores.log
        self._clock = clock
        self._metrics = metrics
        self._each = each
        self._sleeper = sleeper

    def settle(self, deadline: datetime, campaigns: Iterable[tuple[str, int]]) -> int:
        """Settle what can be settled of these, each an account and id. Answers how far it came, in numbers.

        It starts nothing new after `deadline`: what is left then waits for the next time.

        What fails for one campaign doesn't hold up the others. Raises ExceptionGroup, when all are done.
        """
        begun = self._clock.now()

        def attempt(campaign: tuple[str, int]) -> int | Exception | None:
            if self._clock.now() >= deadline:
                return None
            try:
                return self._settle_campaign(*campaign, deadline)
            except Exception as error:
                logger.exception("the campaign was not settled", extra=about_campaign(*campaign))
                self._metrics.blame("{}/{}".format(*campaign))
                return error

        results = list(self._each(attempt, campaigns))
        if None in results:
            logger.warning("not all campaigns could be settled in time")
            self._metrics.count(Metric.OUT_OF_TIME)
        # The others were settled: a tick in which campaigns fail is a tick.
        self._metrics.count(Metric.SETTLER_TICKS)
        self._metrics.measure(Metric.SETTLER_TICK_DURATION, (self._clock.now() - begun).total_seconds())
        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise ExceptionGroup("some campaigns were not settled", failures)
        return sum(result for result in results if isinstance(result, int))

    def _settle_campaign(self, account: str, identifier: int, deadline: datetime) -> int:
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return 0
        if self._has_nothing_under_way(campaign):
            self._log.seal(campaign_key(account, identifier))
            self._sleeper.put_to_sleep(campaign)
            return 0
        # Before the campaign: what another settler forgets of them until then lies behind its `settled`.
        notes = Notes(
            self._clock.now(),
            self._tasks.acknowledgements(account, identifier),
            self._tasks.returned_sequences(account, identifier),
        )
        campaign = self._campaigns.find(account, identifier)
        if campaign is None:
            return 0
        self._log.seal(campaign_key(account, identifier))
        before = campaign.settled
        self._take_back_what_lapsed(campaign)
        self._record_what_was_returned(campaign, deadline)
        campaign = self._pass_what_was_handed_over(campaign)
        campaign = self._count_those_passed_over(campaign)
        while self._clock.now() < deadline:
            after = self._sweep_batch(campaign, notes)
            if after != campaign and not self._progress.settle(campaign, after):
                break  # another settler walks too
            strode, campaign = after.settled == campaign.settled + BATCH_SIZE, after
            if not strode:
                break  # it has come to those under way; who waits for them reads the same records again and again
        counted_for_good = [one for one in notes.told if max(one.sequences) < campaign.settled]
        self._tasks.delete_acknowledgements(account, identifier, counted_for_good)
        reports = self._tasks.count_reports(account, identifier, COUNTED_AT_MOST, spread=campaign.spread)
        dials = self._tasks.count_dials(account, identifier, COUNTED_AT_MOST, spread=campaign.spread)
        self._metrics.count(Metric.REPORTS_PENDING, reports)
        self._metrics.count(Metric.NUMBERS_WAITING, dials)
        self._sleeper.put_to_sleep(campaign)
        return campaign.settled - before

    def _has_nothing_under_way(self, campaign: Campaign) -> bool:
        """Is there nothing to settle, as of thousands of campaigns that wait for their hours?"""
        if campaign.settled < campaign.head or not may_call(campaign, self._clock.now()):
            return False
        return not self._tasks.any(campaign.account, campaign.id, spread=campaign.spread)

    def _sweep_batch(self, campaign: Campaign, notes: Notes) -> Campaign:
        """One stride. Answers the campaign as it is to be, settled up to the first number that is under way."""
        now, told = self._clock.now(), notes.sequences
        took: list[timedelta] = []
        dispatched_long_ago = lost_before(campaign.head_observations, now)
        campaign = replace(
            campaign, head_observations=observe_head(campaign.head_observations, campaign.head, campaign.settled, now)
        )
        first, beyond = campaign.settled, min(campaign.settled + BATCH_SIZE, campaign.head)
        found = self._calls.between(campaign.account, campaign.id, first, beyond)
        calls = {call.key.sequence: with_acknowledgement(call, told) for call in found}
        for sequence in range(first, beyond):
            call = calls.get(sequence)
            what = classify(
                call,
                now,
                dispatched_long_ago=sequence < dispatched_long_ago and sequence not in notes.returned,
                acknowledgements_read_at=notes.read_at,
            )
            if call is None and what is SettlingAction.DEFER_LOST:
                is_settled = self._defer_lost(campaign, sequence)
            else:
                is_settled = call is not None and self._carry_out(what, call, campaign, now)
            # What is mended behind one that is under way is settled on a later walk.
            if is_settled and campaign.settled == sequence:
                counts = (
                    counted(campaign.counts, call.state) if call and what is SettlingAction.COUNT else campaign.counts
                )
                campaign = replace(campaign, settled=sequence + 1, counts=counts)
                if call is not None and what is SettlingAction.COUNT:
                    took.append(time_taken(call))
        if took:
            campaign = replace(campaign, call_time=load.averaged(campaign.call_time, took))
        return campaign

    def _carry_out(self, what: SettlingAction, call: Call, campaign: Campaign, now: datetime) -> bool:
        """Is the number settled by that?"""
        match what:
            case SettlingAction.COUNT | SettlingAction.ALREADY_SKIPPED:
                return True
            case SettlingAction.SKIP:
                return self._calls.skip(call)
            case SettlingAction.EXPIRE:
                self._expire(call, campaign, now)
            case SettlingAction.DEFER_REPORT:
                self._defer_report(call, campaign, now)
        return False

    def _pass_what_was_handed_over(self, campaign: Campaign) -> Campaign:
        """Numbers beyond the head that the dialer has had, because a pacer died before it passed them.

        A campaign that runs passes them itself, when it hands them over again.
        """
        if may_call(campaign, self._clock.now()):
            return campaign
        beyond = min(campaign.head + MOST_UNPASSED, campaign.tail)
        found = self._calls.between(campaign.account, campaign.id, campaign.head, beyond)
        head = max((call.key.sequence + 1 for call in found), default=campaign.head)
        if head == campaign.head or not self._progress.advance_head(campaign, head):
            return campaign
        return replace(campaign, head=head)

    def _expire(self, call: Call, campaign: Campaign, now: datetime) -> None:
        logger.warning("claimed, and never heard of again", extra=about(call.key, call.entry, call.attempt))
        is_told = campaign.plan.result_url is not None
        if self._calls.expire(call, report=is_told, now=now, spread=campaign.spread):
            self._metrics.count(Metric.UNCERTAIN)

    def _defer_lost(self, campaign: Campaign, sequence: int) -> bool:
        key = CallKey(campaign.account, campaign.id, sequence)
        ((_, entry),) = self._log.read(campaign_key(campaign.account, campaign.id), sequence, 1)
        logger.warning("handed over, and never claimed", extra=about(key, entry))
        is_deferred = self._calls.defer_lost(key, entry, spread=campaign.spread)
        self._metrics.count(Metric.LOST, is_deferred)
        return is_deferred

    def _take_back_what_lapsed(self, campaign: Campaign) -> None:
        """What was handed over long ago is dealt with, or is to be handed over again."""
        now = self._clock.now()
        for handed in list(self._tasks.expired_leases(campaign.account, campaign.id, now)):
            calls = {call.key: call for call in self._calls.among({one.key for one in handed.numbers})}
            left = [self._left_of(one, calls.get(one.key), campaign, now) for one in handed.numbers]
            if Left.WAIT not in left:
                again = [one for one in left if not isinstance(one, Left)]
                self._tasks.release(handed, now, again, spread=campaign.spread)

    def _left_of(self, deferred: Task, call: Call | None, campaign: Campaign, now: datetime) -> "Task | Left":
        """What is to be done of what was handed over so long ago that its message is gone."""
        if isinstance(deferred, DialTask):
            if call is not None and call.state is State.DIALLING:
                if not is_stale(call, now):
                    return Left.WAIT
                self._expire(call, campaign, now)
            elif call is None or call.state is State.DEFERRED:
                return replace(deferred, attempt=1 if call is None else call.attempt + 1)
        elif call is not None and call.report in (ReportState.PENDING, ReportState.DEFERRED):
            return deferred
        return Left.NOTHING

    def _record_what_was_returned(self, campaign: Campaign, deadline: datetime) -> None:
        """Numbers that came too late, of a campaign that calls nobody: a record lets the settler pass over them.

        Those of a campaign that runs are dialled soon, and need none.
        """
        if may_call(campaign, self._clock.now()):
            return
        for returned in list(self._tasks.returned_slices(campaign.account, campaign.id)):
            if self._clock.now() >= deadline:
                return
            calls = {call.key: call for call in self._calls.among([one.key for one in returned.numbers])}
            again: list[Task] = []
            for one in returned.numbers:
                call = calls.get(one.key)
                if call is None and isinstance(one, DialTask):
                    self._calls.defer_lost(one.key, one.entry, spread=campaign.spread)
                elif call is not None and is_unclaimed(call, one.attempt):
                    again.append(one)
            self._tasks.replace_returned(returned, again, spread=campaign.spread)

    def _count_those_passed_over(self, campaign: Campaign) -> Campaign:
        """Add the outcomes of numbers that were passed over to the counts, and forget their slips, at once."""
        now = self._clock.now()
        ended = self._tasks.ended(campaign.account, campaign.id, spread=campaign.spread)
        while some := list(islice(ended, COUNTED_AT_ONCE)):
            calls = {call.key: call for call in self._calls.among([one.key for one in some])}
            countable = [one for one in some if self._is_reported(calls.get(one.key), campaign, now)]
            if not countable:
                continue
            counts = campaign.counts
            for one in countable:
                counts = counted(counts, one.state)
            after = replace(campaign, counts=counts)
            if not self._count(campaign, after, countable):
                break
            campaign = after
        return campaign

    def _count(self, before: Campaign, after: Campaign, ended: list[Ended]) -> bool:
        transaction = self._database.transaction()
        self._progress.count(transaction, before, after)
        for one in ended:
            self._tasks.remove_ended(transaction, one)
        try:
            transaction.commit()
        except WriteRefused:
            return False  # another settler counts too
        return True

    def _is_reported(self, call: Call | None, campaign: Campaign, now: datetime) -> bool:
        """Is nobody at its report any more? One that is owed is deferred first."""
        if call is None or call.report is not ReportState.PENDING:
            return True
        if is_owed(call, now):
            self._defer_report(call, campaign, now)
            return True
        return False

    def _defer_report(self, call: Call, campaign: Campaign, now: datetime) -> None:
        attempts, error = call.report_attempts, call.report_error
        self._calls.defer_report(call, attempts, error, now, spread=campaign.spread)
