"""Were the promises kept? Told from the tenant's own log and the API's answers, after all is over."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN
from infra.template.template import merge_template
from tests.simulation.story import AMOUNT, MINUTE, PERIOD, Story, Wish
from tests.simulation.tenant import COMPLETED, FAILED, UNKNOWN, Call
from tests.support.permissions import granted

FINAL = {"completed", "failed", "uncertain"}
#: how late a stop, or other calling hours, may begin to hold
GRACE = timedelta(seconds=2)
#: what was handed over before a change of the hours keeps its slots
HANDED_OVER = timedelta(seconds=80)
#: At twice the pace five calls are made in ten seconds; slow connections may push some more of them together.
BURST, BURST_TIME = 12, timedelta(seconds=10)
#: what each function may ask AWS for
ROLES = granted(merge_template())


def faults(story: Story) -> list[str]:
    """Each broken promise, as a sentence; none is the hope."""
    return [
        *_dialled_once(story),
        *_in_time(story),
        *_not_after_a_stop(story),
        *_at_the_pace(story),
        *_not_in_a_burst(story),
        *_nothing_lost(story),
        *_ended_as_told(story),
        *_seldom_uncertain(story),
        *_reported(story),
        *_reported_as_told(story),
        *_added_up(story),
        *_permitted(story),
    ]


def _dialled_once(story: Story) -> Iterator[str]:
    dials = Counter((call.call_id, call.attempt) for call in story.tenant.calls)
    for (call_id, attempt), times in dials.items():
        if times > 1:
            yield f"P1: call {call_id}, attempt {attempt} was made {times} times"
        if attempt > story.max_retries + 1:
            yield f"P1: call {call_id} was tried {attempt} times"
    last: dict[int, Call] = {}
    for call in story.tenant.calls:
        before = last.get(call.call_id)
        if before is not None and before.ended != FAILED:
            yield f"P1: call {call.call_id} was made again after it was {before.ended}"
        last[call.call_id] = call
        if call.idempotency_key != f"{call.call_id}-{call.attempt}":
            yield f"P7: call {call.call_id}, attempt {call.attempt} came as {call.idempotency_key}"


def _in_time(story: Story) -> Iterator[str]:
    for call in story.tenant.calls:
        held = [wish for wish in story.wishes if wish.asked <= call.at and not _is_over(wish, call.at)]
        if not any(begins <= call.at < ends for wish in held for begins, ends in wish.windows):
            yield f"P3: a call at {call.at}"


def _is_over(wish: Wish, instant: datetime) -> bool:
    return wish.superseded is not None and wish.superseded + GRACE < instant


def _not_after_a_stop(story: Story) -> Iterator[str]:
    for stop in [*story.stops, *story.halts]:
        for call in story.tenant.calls:
            if stop.answered + GRACE < call.at and (stop.started is None or call.at < stop.started):
                yield f"P4: a call at {call.at}, stopped at {stop.answered}"


def _at_the_pace(story: Story) -> Iterator[str]:
    if len(story.wishes) == 1:
        return _in_its_period(story, story.wishes[0])
    return _about_at_the_pace(story)


def _in_its_period(story: Story, wish: Wish) -> Iterator[str]:
    """Each call counts for the period it came in; if that is full, for one that it came in by another's clock."""
    skew = timedelta(seconds=story.faults.odds.skew)
    counts: Counter[tuple[datetime, int]] = Counter()
    for call in sorted(story.tenant.calls, key=lambda call: call.at):
        near = {_period(wish, at) for at in (call.at - skew, call.at, call.at + skew)} - {None}
        possible = sorted(period for period in near if period is not None)
        period = next((period for period in possible if counts[period] < AMOUNT), None)
        if period is None:
            yield f"P5: the call at {call.at} is one too many"
        else:
            counts[period] += 1


def _period(wish: Wish, instant: datetime) -> tuple[datetime, int] | None:
    for begins, ends in wish.windows:
        if begins <= instant < ends:
            return begins, (instant - begins) // (PERIOD * MINUTE)
    return None


def _may_hold(wish: Wish, instant: datetime) -> bool:
    """Might a call of its slots be made then?"""
    return wish.asked <= instant and (wish.superseded is None or instant < wish.superseded + HANDED_OVER)


def _about_at_the_pace(story: Story) -> Iterator[str]:
    """Where the hours change, the calls of old periods and new ones mix; each still has its amount."""
    skew = timedelta(seconds=story.faults.odds.skew)
    for wish in story.wishes:
        counts = Counter(
            _period(wish, call.at)
            for call in story.tenant.calls
            if _may_hold(wish, call.at) and _period(wish, call.at - skew) == _period(wish, call.at + skew)
        )
        for period, calls in counts.items():
            if period is None:
                continue
            begins = period[0] + period[1] * PERIOD * MINUTE
            ends = begins + PERIOD * MINUTE
            mixed = [one for one in story.wishes if one.asked < ends and _may_hold(one, max(begins, one.asked))]
            if calls > AMOUNT * len(mixed):
                yield f"P5: {calls} calls from {begins}, with hours that changed {len(mixed) - 1} times"


def _not_in_a_burst(story: Story) -> Iterator[str]:
    instants = sorted(call.at for call in story.tenant.calls)
    for first, beyond in zip(instants, instants[BURST:], strict=False):
        if beyond - first < BURST_TIME:
            yield f"P5: more than {BURST} calls within ten seconds from {first}"
            return


def _nothing_lost(story: Story) -> Iterator[str]:
    if story.torn_uploads:
        yield f"P6: {story.torn_uploads} uploads were accepted in part"
    if story.dead_letters:
        yield f"{story.dead_letters} dead letters"
    if story.deleted:
        return
    expected = [SEQUENCES_PER_CAMPAIGN + sequence for sequence in range(story.uploaded)]
    if [call["call_id"] for call in story.calls] != expected:
        yield f"P6: {len(story.calls)} numbers in the queue, {story.uploaded} accepted"
    for call in story.calls:
        if call["state"] not in FINAL:
            yield f"P2: call {call['call_id']} is {call['state']}"
    if story.final.get("status") != "completed":
        yield f"P2: the campaign is {story.final.get('status')}: {story.final.get('progress')}"


def _ended_as_told(story: Story) -> Iterator[str]:
    """Nothing is recorded that the tenant didn't say; only what died with its dialer may be uncertain instead."""
    last = {call.call_id: call.ended for call in story.tenant.calls}
    for call in [] if story.deleted else story.calls:
        call_id, state = call["call_id"], call["state"]
        told = last.get(call_id)
        if state == "uncertain":
            may_be = told == UNKNOWN or call_id in story.caught
        elif state == "failed":
            may_be = told in (FAILED, None)
        else:
            may_be = told == COMPLETED
        if not may_be:
            yield f"P2: call {call_id} is {state}, and was {told or 'never made'}"


def _seldom_uncertain(story: Story) -> Iterator[str]:
    """A crash leaves no more calls uncertain than its dialer had to make."""
    unheard = {call.call_id for call in story.tenant.calls if call.ended == UNKNOWN}
    uncertain = sum(call["state"] == "uncertain" and call["call_id"] not in unheard for call in story.calls)
    deaths = story.faults.crashes + story.timeouts
    if uncertain > deaths * story.most_at_once:
        yield f"P2: {uncertain} uncertain for {deaths} crashes"


def _reported(story: Story) -> Iterator[str]:
    heard: dict[int, set[str]] = defaultdict(set)
    ids: dict[int, set[tuple[str, str]]] = defaultdict(set)
    refused = set()
    for report in story.tenant.reports:
        heard[report.call_id].add(report.result)
        ids[report.call_id].add(report.ids)
        if report.status == 410:
            refused.add(report.call_id)
    delivered = story.tenant.took
    for call_id, results in heard.items():
        if len(results) > 1 or len(ids[call_id]) > 1:
            yield f"P7: call {call_id} was reported as {sorted(results)}, by the ids {sorted(ids[call_id])}"
    # of a deleted campaign too, which can't be asked for any more
    for call_id in {call.call_id for call in story.tenant.calls if call.ended != FAILED} - delivered - refused:
        yield f"P7: call {call_id} was made, and nobody was told"
    for call in story.calls:
        call_id, state = call["call_id"], call["state"]
        if state not in FINAL:
            continue
        if call_id not in delivered | refused:
            yield f"P7: call {call_id} is {state}, and nobody was told"
        elif heard[call_id] != {state}:
            yield f"P7: call {call_id} is {state}, and was reported {sorted(heard[call_id])}"


def _reported_as_told(story: Story) -> Iterator[str]:
    """What the API shows of reports is true, and stays so."""
    before: set[int] = set()
    for shown, taken in story.report_looks:
        if shown - taken:
            yield f"P7: shown as delivered, and taken by nobody: {sorted(shown - taken)}"
        if before - shown:
            yield f"P7: no longer shown as delivered: {sorted(before - shown)}"
        before = shown
    for call in story.calls if story.final.get("status") == "completed" else []:
        if call["report"] not in ("delivered", "given_up"):
            yield f"P7: all is over, and the report of call {call['call_id']} is {call['report']}"


def _added_up(story: Story) -> Iterator[str]:
    for look in [*story.looks, *(progress for progress, _ in story.twin_looks)]:
        parts = [number for name, number in look.items() if name != "total"]
        if sum(parts) != look["total"] or min(parts) < 0:
            yield f"progress doesn't add up: {look}"
    for progress, states in story.twin_looks:
        if {name: number for name, number in progress.items() if number} != states:
            yield f"progress is {progress}, where the calls are {states}"


def _permitted(story: Story) -> Iterator[str]:
    for function, role in ROLES.items():
        for action, resource in sorted(story.faults.asked[function] - role):
            yield f"{function} asked for {action} on {resource}, which its role doesn't let it"
    for operation in sorted(story.faults.stale):
        yield f"a {operation} would be content with what was there before"
