"""Were the promises kept? Told from the tenant's own log and the API's answers, after all is over."""

from collections import Counter
from datetime import datetime, timedelta

from chalicelib.domain.models import SEQUENCES_PER_CAMPAIGN
from tests.simulation.clock import BEGIN
from tests.simulation.simulation import AMOUNT, PERIOD, Story

CLOSING = BEGIN + timedelta(hours=3)
FINAL = {"completed", "failed", "uncertain"}


def faults(story: Story) -> list[str]:
    """Each broken promise, as a sentence; none is the hope."""
    return [
        *_dialled_once(story),
        *_in_time(story),
        *_at_the_pace(story),
        *_nothing_lost(story),
        *_reported(story),
        *_added_up(story),
    ]


def _dialled_once(story: Story) -> list[str]:
    dials = Counter((call.call_id, call.attempt) for call in story.tenant.calls)
    found = [
        f"P1: call {call_id}, attempt {attempt} was made {n} times" for (call_id, attempt), n in dials.items() if n > 1
    ]
    most = story.max_retries + 1
    found += [
        f"P1: call {one.call_id} was tried {one.attempt} times" for one in story.tenant.calls if one.attempt > most
    ]
    ended: dict[int, str] = {}
    for call in story.tenant.calls:
        if ended.get(call.call_id) in ("200", "unknown"):
            found.append(f"P1: call {call.call_id} was made again after {ended[call.call_id]}")
        ended[call.call_id] = call.result
    return found


def _in_time(story: Story) -> list[str]:
    found = [f"P3: a call at {call.at}" for call in story.tenant.calls if not BEGIN <= call.at < CLOSING]
    for stop in story.stops:
        late = stop.answered + timedelta(seconds=2)
        found += [
            f"P4: a call at {call.at}, stopped at {stop.answered}"
            for call in story.tenant.calls
            if late < call.at and (stop.started is None or call.at < stop.started)
        ]
    return found


def _at_the_pace(story: Story) -> list[str]:
    def period(at: datetime) -> int:
        return (at - BEGIN) // timedelta(minutes=PERIOD)

    counts = Counter(period(call.at) for call in story.tenant.calls)
    return [f"P5: {n} calls in period {number}" for number, n in counts.items() if n > AMOUNT]


def _nothing_lost(story: Story) -> list[str]:
    listed = {call["call_id"]: call["state"] for call in story.calls}
    expected = {SEQUENCES_PER_CAMPAIGN + sequence for sequence in range(story.uploaded)}
    found = [f"P6: {len(listed)} numbers in the queue, {story.uploaded} accepted"] if listed.keys() != expected else []
    if story.torn_uploads:
        found.append(f"P6: {story.torn_uploads} uploads were accepted in part")
    found += [f"P2: call {call_id} is {state}" for call_id, state in listed.items() if state not in FINAL]
    unknown = {call.call_id for call in story.tenant.calls if call.result == "unknown"}
    uncertain = {call_id for call_id, state in listed.items() if state == "uncertain"}
    # A crash may take ten calls of a batch with it.
    if len(uncertain - unknown) > 10 * story.faults.crashes:
        found.append(f"P2: {len(uncertain - unknown)} uncertain for {story.faults.crashes} crashes")
    made = {call.call_id for call in story.tenant.calls}
    found += [
        f"P2: call {call_id} is {listed[call_id]}, and was never made"
        for call_id in listed.keys() - made
        if listed[call_id] == "completed"
    ]
    if story.dead_letters:
        found.append(f"{story.dead_letters} dead letters")
    return found


def _reported(story: Story) -> list[str]:
    states = {call["call_id"]: call["state"] for call in story.calls}
    told: dict[int, set[str]] = {}
    for report in story.tenant.reports:
        if report.result != "refused":
            told.setdefault(report.call_id, set()).add(report.result)
    found = [
        f"P7: call {call_id} was reported as {sorted(results)}" for call_id, results in told.items() if len(results) > 1
    ]
    for call_id, state in states.items():
        if state in FINAL and told.get(call_id) != {state}:
            found.append(f"P7: call {call_id} is {state}, reported {sorted(told.get(call_id, set()))}")
    return found


def _added_up(story: Story) -> list[str]:
    found = []
    for look in [*story.looks, story.final.get("progress", {})]:
        parts = {name: n for name, n in look.items() if name != "total"}
        if sum(parts.values()) != look.get("total") or min(parts.values(), default=0) < 0:
            found.append(f"progress doesn't add up: {look}")
    if story.final.get("status") != "completed":
        found.append(f"the campaign is {story.final.get('status')}: {story.final.get('progress')}")
    return found
