"""The refiller: dispatch calls of a campaign to the lines that are free.

The pacer's tick sends refills, a message each, for the stretches of time in which slots are due. A dialer does a refill
when it receives it. So a line that has become free waits for some seconds, and not for the next tick.

    read the lines -> read the records of their calls, if too few are free -> reserve slots -> take lines -> send

Slots for which no line is free are not made up for. If a refill is repeated or comes late, it finds the slots of its
stretch reserved or past. If it is lost, its slots are lost, and the next refill takes the lines.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

from chalicelib.calling.dispatcher import Dispatcher, Filled, PacingInput
from chalicelib.calling.passing import pass_uncallable
from chalicelib.domain import lines, pacing, slicing, spreading
from chalicelib.domain.call import State
from chalicelib.domain.cancellation import may_be_sent
from chalicelib.domain.lines import HeldLine, Lines
from chalicelib.domain.messages import Refill
from chalicelib.domain.tasks import open_sequences
from chalicelib.gateway.queue import CallQueue
from chalicelib.runtime.clock import Clock
from chalicelib.storage.stores import Stores
from chalicelib.storage.switch import Switch
from chalicelib.storage.writes import WriteRefused, retried


@dataclass(frozen=True)
class KnownLines:
    """What a refill knows of the lines of its scope."""

    scope: str
    #: calls that are under way and were dispatched while the campaign had no limit
    under_way: tuple[HeldLine, ...]
    #: the lines that are free again, each with the time for which it was held, if known
    over: Mapping[HeldLine, timedelta | None]

    def update(self, stored: Lines) -> Lines:
        return stored.with_held(self.under_way).without(self.over)


class Refiller:
    def __init__(
        self,
        *,
        stores: Stores,
        switch: Switch,
        queue: CallQueue,
        clock: Clock,
        limits: slicing.Limits = slicing.Limits(),  # noqa: B008 # it is frozen
        calls_per_partition: float = spreading.CALLS_PER_PARTITION,
    ) -> None:
        """`calls_per_partition` is that of the pacer."""
        self._stores = stores
        self._campaigns = stores.campaigns
        self._calls = stores.calls
        self._lines = stores.lines
        self._progress = stores.progress
        self._tasks = stores.tasks
        self._switch = switch
        self._clock = clock
        self._dispatcher = Dispatcher(stores, queue, clock, limits)
        self._calls_per_partition = calls_per_partition

    def refill(self, refill: Refill, deadline: datetime) -> int:
        """Dispatch calls that are due in the stretch. Answers how many. Starts nothing new after `deadline`.

        Raises Busy if other campaigns of the account take lines all the time.
        """
        now = self._clock.now()
        campaign = self._campaigns.find(refill.campaign)
        if now >= refill.until or campaign is None or not campaign.is_running or not self._switch.is_on():
            return 0
        campaign = pass_uncallable(self._stores, campaign, self._clock, deadline)
        # A line that isn't free when its slot is due has no slot to make up for.
        campaign = replace(campaign, cursors=pacing.drop_missed(campaign.cursors, now))
        one = self._dispatcher.read(campaign)
        if one is None or not one.line_limits.are_set:
            return 0
        slots = self._dispatcher.slots(one, refill.part, refill.part, now, refill.until - now)
        usable = list(islice(slots, one.line_limits.lowest))
        stored = self._lines.read(lines.scope(campaign.key, one.line_limits))
        known = self._find_free_lines(one, stored, len(usable), now)
        free = known.update(stored).free(campaign.id, one.line_limits)
        returned = self._tasks.returned_dials(campaign.key)
        numbers = self._dispatcher.numbers(campaign, returned, now)
        filled = islice(zip(usable, numbers, strict=False), free)
        spread = one.spread(refill.part, self._calls_per_partition)
        done = self._dispatcher.fill(one, filled, spread, deadline, partial(self._take_lines, one, known))
        try:
            done = self._dispatcher.pass_on(done, numbers, now)
        finally:  # what was sent isn't sent again
            if done.head != done.campaign.head:
                self._progress.advance_head(done.campaign, done.head)
        return done.dials

    def _take_lines(self, one: PacingInput, known: KnownLines, filled: Filled) -> int:
        """Take lines for these numbers, the first ones first. Answers for how many there were lines."""
        campaign = one.campaign
        wanted = [lines.taken(number.key, number.attempt, slot.start_deadline) for slot, number in filled]

        def take() -> int:
            stored = self._lines.read(known.scope)
            left = known.update(stored)
            taken = wanted[: left.free(campaign.id, one.line_limits)]
            revisions = {**left.revisions, campaign.id: campaign.revision}
            after = replace(left.with_held(taken), revisions=revisions)
            if taken and not self._lines.replace(known.scope, stored, after):
                raise WriteRefused
            return len(taken)

        return retried(take)

    def _find_free_lines(self, one: PacingInput, stored: Lines, needed: int, now: datetime) -> KnownLines:
        """Which lines are free again. No records are read if enough lines were free already."""
        campaign, limits = one.campaign, one.line_limits
        scope = lines.scope(campaign.key, limits)
        is_known = stored.revisions.get(campaign.id) == campaign.revision
        if is_known and stored.free(campaign.id, limits) >= needed:
            return KnownLines(scope, (), {})
        under_way = () if is_known else tuple(self._under_way(one, now))
        all_held = stored.with_held(under_way)
        held = all_held.held if limits.of_account is not None else all_held.of_campaign(campaign.id)
        return KnownLines(scope, under_way, self._lines.over(held, now))

    def _under_way(self, one: PacingInput, now: datetime) -> Iterator[HeldLine]:
        """The calls that may be under way, or become so by messages that were sent without lines."""
        campaign, key = one.campaign, one.campaign.key
        deadline = now + pacing.HORIZON + pacing.longest_grace(one.paces)
        sent = may_be_sent(campaign, self._tasks.withdrawn_numbers(campaign))
        dispatched = [*range(campaign.settled, campaign.head), *sent]
        leased = self._tasks.leased_sequences(key)
        listed = open_sequences(self._tasks.open_calls(key))
        sequences = sorted({*dispatched, *leased, *listed})
        calls = {call.key: call for call in self._calls.among(map(key.call, sequences))}
        for sequence in sequences:
            call = calls.get(key.call(sequence))
            if call is None:
                if sequence < campaign.head or sequence in leased:
                    yield lines.taken(key.call(sequence), 1, deadline)
            elif call.state in (State.DIALLING, State.IN_PROGRESS):
                yield lines.taken(call.key, call.attempt, deadline)
            elif sequence in leased and not call.state.is_final:
                yield lines.taken(call.key, call.attempt + 1, deadline)
