"""Checks the promises against the record of a story: the tenant's log, and the API's answers."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN
from chalicelib.domain.passing import EXPIRED
from infra.template.template import merge_template
from tests.simulation.provider import MACHINE
from tests.simulation.story import AMOUNT, FEWEST, MINUTE, PERIOD, RequestedHours, Story, Times
from tests.simulation.tenant import FAILED, LASTS, UNKNOWN, Call
from tests.support.permissions import granted

FINAL = {"completed", "failed", "uncertain", "canceled"}
#: how long after its answer a stop, or a change of calling hours, may take effect
GRACE = timedelta(seconds=2)
#: how long after a change of calling hours calls may come that were dispatched before it
DISPATCHED_AHEAD = timedelta(seconds=80)
#: At twice the pace five calls are made in ten seconds. Slow connections may bring some more of them together.
BURST, BURST_TIME = 12, timedelta(seconds=10)
#: How late a call may begin: two seconds, or half of the gap to the next one, here at the slowest pace.
MISFIRE_GRACE = max(timedelta(seconds=2), PERIOD * MINUTE / FEWEST / 2)
#: A number is claimed before its call begins, but not earlier than this. The time-out counts from the claim.
CLAIMED_BEFORE = timedelta(seconds=10)
#: how long a call waits at most because its window has only just opened
OPENING_HOLD = timedelta(seconds=1)
#: what each function's role allows
ROLES = granted(merge_template())


def faults(story: Story) -> list[str]:
    """Each broken promise as a sentence; empty if all are kept."""
    return [
        *_dialled_once(story),
        *_within_calling_hours(story),
        *_at_the_numbers_own_times(story),
        *_not_after_a_stop(story),
        *_not_after_a_cancel(story),
        *_at_the_pace(story),
        *_not_in_a_burst(story),
        *_on_time(story),
        *_within_its_lines(story),
        *_nothing_lost(story),
        *_outcomes_are_the_tenants(story),
        *_few_are_uncertain(story),
        *_reported(story),
        *_attempts_are_reported(story),
        *_report_states_are_true(story),
        *_progress_adds_up(story),
        *_within_the_roles(story),
    ]


def _dialled_once(story: Story) -> Iterator[str]:
    dials = Counter((call.call_id, call.attempt) for call in story.tenant.calls)
    for (call_id, attempt), times in dials.items():
        if times > 1:
            yield f"P1: call {call_id}, attempt {attempt} was made {times} times"
        if attempt > story.max_retries + 1:
            yield f"P1: call {call_id} had {attempt} attempts"
    last: dict[int, Call] = {}
    for call in story.tenant.calls:
        before = last.get(call.call_id)
        if before is not None and FAILED not in _possible_ends(story, before):
            yield f"P1: call {call.call_id} was made again after it was {before.ended}"
        last[call.call_id] = call
        if call.idempotency_key != f"{call.call_id}-{call.attempt}":
            yield f"P7: call {call.call_id}, attempt {call.attempt} has the Idempotency-Key {call.idempotency_key}"


def _possible_ends(story: Story, call: Call) -> set[str]:
    """How the attempt may have ended, as far as the tenant knows.

    If the provider has taken the call, the first final event tells. An event without an answer may have come or not.
    """
    if call.ended != LASTS:
        return {call.ended}
    finals = [
        event
        for event in story.tenant.provider.events
        if (event.call_id, event.attempt) == (call.call_id, call.attempt) and event.result is not None
    ]
    taken = [event.taken for event in finals if event.taken is not None]
    possible = {event.result for event in finals if event.result and not any(one < event.posted for one in taken)}
    return possible if taken else {*possible, UNKNOWN}


def _is_machine_told(story: Story, call: Call) -> bool:
    """True if the detection of a machine was taken before the provider posted an end of the attempt."""
    events = [one for one in story.tenant.provider.events if (one.call_id, one.attempt) == (call.call_id, call.attempt)]
    ends = [one.posted for one in events if one.result is not None]
    return any(one.taken is not None and one.taken < min(ends) for one in events if ends and one.told == MACHINE)


def _within_calling_hours(story: Story) -> Iterator[str]:
    for call in story.tenant.calls:
        held = [one for one in story.requested_hours if one.asked <= call.at and not _is_over(one, call.at)]
        if not any(begins <= call.at < ends for one in held for begins, ends in one.windows):
            yield f"P3: a call at {call.at}"


def _is_over(requested: RequestedHours, instant: datetime) -> bool:
    return requested.superseded is not None and requested.superseded + GRACE < instant


def _at_the_numbers_own_times(story: Story) -> Iterator[str]:
    """A number is neither called before nor after its times, and only one whose time is over has expired."""
    for call in story.tenant.calls:
        times = story.times.get(call.call_id, Times())
        if times.not_before is not None and call.at < times.not_before:
            yield f"P3: a call at {call.at}, not before {times.not_before}"
        if times.expires is not None and call.at >= times.expires:
            yield f"P3: a call at {call.at}, of a number that expired at {times.expires}"
    for row in story.calls:
        if row["reason"] == EXPIRED and story.times.get(row["call_id"], Times()).expires is None:
            yield f"P2: call {row['call_id']} has expired, and has no time to do so"


def _not_after_a_stop(story: Story) -> Iterator[str]:
    for stop in [*story.stops, *story.halts]:
        for call in story.tenant.calls:
            if stop.answered + GRACE < call.at and (stop.started is None or call.at < stop.started):
                yield f"P4: a call at {call.at}, stopped at {stop.answered}"


def _not_after_a_cancel(story: Story) -> Iterator[str]:
    """What the API calls canceled has no call from then on, and stays canceled. Nothing else is ever canceled."""
    last = {call.call_id: call for call in story.tenant.calls}
    for call_id, answered in story.canceled.items():
        if call_id in last and last[call_id].at > answered:
            yield f"P4: a call at {last[call_id].at} with the id {call_id}, canceled at {answered}"
        if call_id in last and FAILED not in _possible_ends(story, last[call_id]):
            yield f"P4: call {call_id} was {last[call_id].ended}, and was canceled at {answered}"
    for call in story.calls:
        call_id, state = call["call_id"], call["state"]
        if state == "canceled" and call_id not in story.named_for_cancel:
            yield f"P6: call {call_id} is canceled, and nobody asked for it"
        # Of a deleted campaign, the calls were shown last before it was deleted.
        if state != "canceled" and call_id in story.canceled and not story.deleted:
            yield f"P2: call {call_id} is {state}, and was canceled at {story.canceled[call_id]}"


def _at_the_pace(story: Story) -> Iterator[str]:
    if len(story.requested_hours) == 1:
        return _in_its_period(story, story.requested_hours[0])
    return _about_at_the_pace(story)


def _in_its_period(story: Story, requested: RequestedHours) -> Iterator[str]:
    """Each call counts for the period in which it arrived, by the true clock or by one that differs."""
    skew = timedelta(seconds=story.faults.odds.skew)
    counts: Counter[tuple[datetime, int]] = Counter()
    for call in sorted(story.tenant.calls, key=lambda call: call.at):
        near = {_period(requested, at) for at in (call.at - skew, call.at, call.at + skew)} - {None}
        possible = sorted(period for period in near if period is not None)
        period = next((period for period in possible if counts[period] < AMOUNT), None)
        if period is None:
            yield f"P5: the call at {call.at} is one too many"
        else:
            counts[period] += 1


def _period(requested: RequestedHours, instant: datetime) -> tuple[datetime, int] | None:
    for begins, ends in requested.windows:
        if begins <= instant < ends:
            return begins, (instant - begins) // (PERIOD * MINUTE)
    return None


def _may_hold(requested: RequestedHours, instant: datetime) -> bool:
    """True if a call in these hours' slots may come at that instant."""
    return requested.asked <= instant and (
        requested.superseded is None or instant < requested.superseded + DISPATCHED_AHEAD
    )


def _about_at_the_pace(story: Story) -> Iterator[str]:
    """When calling hours change, calls of the old and the new periods may mix. Each period has its amount at most."""
    skew = timedelta(seconds=story.faults.odds.skew)
    for requested in story.requested_hours:
        counts = Counter(
            _period(requested, call.at)
            for call in story.tenant.calls
            if _may_hold(requested, call.at)
            and _period(requested, call.at - skew) == _period(requested, call.at + skew)
        )
        for period, calls in counts.items():
            if period is None:
                continue
            begins = period[0] + period[1] * PERIOD * MINUTE
            ends = begins + PERIOD * MINUTE
            mixed = [
                one for one in story.requested_hours if one.asked < ends and _may_hold(one, max(begins, one.asked))
            ]
            if calls > AMOUNT * len(mixed):
                yield f"P5: {calls} calls from {begins}, with hours that changed {len(mixed) - 1} times"


def _not_in_a_burst(story: Story) -> Iterator[str]:
    instants = sorted(call.at for call in story.tenant.calls)
    for first, beyond in zip(instants, instants[BURST:], strict=False):
        if beyond - first < BURST_TIME:
            yield f"P5: more than {BURST} calls within ten seconds from {first}"
            return


def _on_time(story: Story) -> Iterator[str]:
    """A call begins neither before it is due nor later than the misfire grace allows.

    The dialer may read the account's secret after it has read its clock, and before it connects. An attempt that was
    dispatched more than once may begin by any of its due instants.
    """
    skew = timedelta(seconds=story.faults.odds.skew)
    allowed = MISFIRE_GRACE + skew + OPENING_HOLD + story.faults.odds.longest_request
    for call in story.tenant.calls:
        due = [instant for instant in story.due[call.call_id, call.attempt] if instant <= call.begun + skew]
        if not due:
            yield f"P5: the call at {call.begun} was not due yet"
        elif call.begun >= max(due) + allowed:
            yield f"P5: the call at {call.begun} was due at {max(due)}"


def _within_its_lines(story: Story) -> Iterator[str]:
    """At each moment, at most so many calls are surely under way, by the tenant's own log."""
    if story.lines is None:
        return
    open_until: list[datetime] = []
    for call in sorted(story.tenant.calls, key=lambda call: call.begun):
        open_until = [until for until in open_until if until > call.begun]
        open_until.append(_surely_open_until(story, call))
        if len(open_until) > story.lines:
            yield f"P11: at {call.begun} {len(open_until)} calls were under way, with {story.lines} lines"


def _surely_open_until(story: Story, call: Call) -> datetime:
    """Before that the call can't have its outcome. If the dialer got no answer, that may be at once."""
    answered = story.tenant.answered.get((call.call_id, call.attempt))
    if answered is None or call.ended != LASTS:
        return answered or call.at
    times_out = call.begun + timedelta(seconds=story.call_timeout) - CLAIMED_BEFORE
    posted = [
        event.posted
        for event in story.tenant.provider.events
        if (event.call_id, event.attempt) == (call.call_id, call.attempt) and event.result is not None
    ]
    return min([times_out, *posted])


def _nothing_lost(story: Story) -> Iterator[str]:
    if story.partial_uploads:
        yield f"P6: {story.partial_uploads} uploads were accepted in part"
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


def _outcomes_are_the_tenants(story: Story) -> Iterator[str]:
    """A recorded outcome is the tenant's answer, or the first final event. Of a dead dialer's calls that don't last,
    nobody may know the outcome."""
    last = {call.call_id: call for call in story.tenant.calls}
    for call in [] if story.deleted else story.calls:
        call_id, state = call["call_id"], call["state"]
        made = last.get(call_id)
        possible = {FAILED} if made is None else _possible_ends(story, made)
        # Of a call that lasts, events bring the outcome, unless another attempt was claimed since.
        has_events = made is not None and made.ended == LASTS and made.attempt == call["attempts"]
        if call_id in story.of_dead_dialers and not has_events:
            possible.add(UNKNOWN)
        if FAILED in possible:
            possible.add("canceled")
        if (UNKNOWN if state == "uncertain" else state) not in possible:
            yield f"P2: call {call_id} is {state}, and was {sorted(possible)}"
        is_told = made is not None and has_events and state != "uncertain" and _is_machine_told(story, made)
        if is_told and call["callee_type"] != "answeringmachine":
            yield f"P2: call {call_id} is {state} by {call['callee_type']}, and a machine was detected before"
    if story.tenant.provider.forged:
        yield f"P8: {story.tenant.provider.forged} forged events were taken"


def _few_are_uncertain(story: Story) -> Iterator[str]:
    """A crash leaves at most as many calls uncertain as its dialer had. A call that lasts may time out without one."""
    unanswered = {call.call_id for call in story.tenant.calls if call.ended in (LASTS, UNKNOWN)}
    uncertain = sum(call["state"] == "uncertain" and call["call_id"] not in unanswered for call in story.calls)
    deaths = story.faults.crashes + story.timeouts
    if uncertain > deaths * story.largest_slice:
        yield f"P2: {uncertain} uncertain for {deaths} crashes"


def _reported(story: Story) -> Iterator[str]:
    over = story.tenant.acknowledged | {
        (report.call_id, report.revision) for report in story.tenant.outcome_reports if report.status == 410
    }
    results: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for report in story.tenant.outcome_reports:
        results[report.call_id][report.revision].add(report.result)
    yield from _reported_alike(story, results)
    # This is true of a deleted campaign too, whose calls the API doesn't show.
    made = {call.call_id for call in story.tenant.calls if FAILED not in _possible_ends(story, call)}
    for call_id in made - {call_id for call_id, _ in over}:
        yield f"P7: call {call_id} was made, and its report was never acknowledged"
    for call in story.calls:
        call_id, state, revision = call["call_id"], call["state"], call["revision"]
        # What a deleted campaign showed last may have been corrected since.
        if state not in FINAL or (story.deleted and (call_id, revision + 1) in over):
            continue
        if (call_id, revision) not in over:
            yield f"P7: call {call_id} is {state}, and its report {revision} was never acknowledged"
        elif results[call_id][revision] != {state}:
            yield f"P7: call {call_id} is {state}, and was reported as {dict(results[call_id])}"


def _reported_alike(story: Story, results: dict[int, dict[int, set[str]]]) -> Iterator[str]:
    """All reports of one call have the same ids, and all of one revision the same result."""
    ids: dict[int, set[tuple[str, str]]] = defaultdict(set)
    for report in story.tenant.outcome_reports:
        ids[report.call_id].add(report.ids)
    for call_id, revisions in results.items():
        if any(len(found) > 1 for found in revisions.values()) or len(ids[call_id]) > 1:
            yield f"P7: call {call_id} was reported as {dict(revisions)}, with the ids {sorted(ids[call_id])}"
        if 1 in revisions and revisions.get(0, set()) - {"uncertain"}:
            yield f"P7: call {call_id} was corrected after it was reported as {revisions[0]}"


def _attempts_are_reported(story: Story) -> Iterator[str]:
    """Each attempt that another one follows is reported if the campaign asks for it, always with the same ids."""
    ids: dict[tuple[int, int | None], set[tuple[str, str]]] = defaultdict(set)
    for report in story.tenant.attempt_reports:
        ids[report.call_id, report.attempt].add(report.ids)
        if report.result != "failed":
            yield f"P7: attempt {report.attempt} of call {report.call_id} was reported as {report.result}"
    yield from (
        f"P7: attempt {one} was reported with the ids {sorted(of_it)}" for one, of_it in ids.items() if len(of_it) > 1
    )
    of_outcomes = {found for report in story.tenant.outcome_reports for found in report.ids}
    shared = of_outcomes & {found for of_it in ids.values() for pair in of_it for found in pair}
    if shared:
        yield f"P7: reports of an attempt and of an outcome have the same ids: {sorted(shared)}"
    if ids and not story.attempt_reports:
        yield f"P7: attempts were reported unasked: {sorted(map(str, ids))}"
    over = {(report.call_id, report.attempt) for report in story.tenant.attempt_reports if report.status in (200, 410)}
    followed = {(call.call_id, call.attempt - 1) for call in story.tenant.calls if call.attempt > 1}
    if story.attempt_reports and followed - over:
        yield f"P7: attempts whose report was never acknowledged: {sorted(followed - over)}"


def _report_states_are_true(story: Story) -> Iterator[str]:
    """A report that the API shows as delivered was acknowledged, and is shown so until a correction is reported."""
    before: set[tuple[int, int]] = set()
    for shown, acknowledged in story.report_snapshots:
        if shown - acknowledged:
            yield f"P7: shown as delivered, and not acknowledged: {sorted(shown - acknowledged)}"
        corrected = {event.call_id for event in story.tenant.provider.events if event.result is not None}
        gone = {(call_id, revision) for call_id, revision in before - shown if revision or call_id not in corrected}
        if gone:
            yield f"P7: no longer shown as delivered: {sorted(gone)}"
        before = shown
    for call in story.calls if story.final.get("status") == "completed" else []:
        if call["report"] not in ("delivered", "given_up"):
            yield f"P7: the campaign is completed, and the report of call {call['call_id']} is {call['report']}"


def _progress_adds_up(story: Story) -> Iterator[str]:
    for snapshot in [*story.progress_snapshots, *(progress for progress, _ in story.progress_and_states)]:
        parts = [number for name, number in snapshot.items() if name != "total"]
        if sum(parts) != snapshot["total"] or min(parts) < 0:
            yield f"progress doesn't add up: {snapshot}"
    for progress, states in story.progress_and_states:
        if {name: number for name, number in progress.items() if number} != states:
            yield f"progress is {progress}, where the calls are {states}"


def _within_the_roles(story: Story) -> Iterator[str]:
    for function, role in ROLES.items():
        for action, resource in sorted(story.faults.asked[function] - role):
            yield f"{function} asked for {action} on {resource}, which its role doesn't allow"
    for operation in sorted(story.faults.stale):
        yield f"a {operation} may not show what was written before it"
