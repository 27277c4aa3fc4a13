"""/api/campaigns/{id}/calls: the numbers of a campaign, all or those that are searched for, with their outcomes."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.paging import link_to_next
from chalicelib.api.services import Services
from chalicelib.api.validation import MAX_PAGE, Form, no_fields
from chalicelib.api.wording import in_short
from chalicelib.domain import search
from chalicelib.domain.call import Call, RecordedEvent
from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN, CallKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.search import Criteria
from chalicelib.domain.settling import with_acknowledgement
from chalicelib.domain.tasks import Withdrawn, acknowledged_sequences, open_sequences
from chalicelib.errors import NotFound

#: The fields of each number, in the order of the CSV columns.
_FIELDS = (
    "call_id",
    "phone_number",
    "message_reference",
    "state",
    "reason",
    "callee_type",
    "attempts",
    "last_attempt_timestamp",
    "duration",
    "report",
    "report_attempts",
    "report_error",
    "revision",
)
#: How many records are read at once: DynamoDB answers as many.
_BATCH = 100
_CSV = "text/csv"
#: The Accept header of a spreadsheet program, which gets CSV with a byte order mark.
_SPREADSHEET = "application/vnd.ms-excel"
#: The first characters of a cell that a spreadsheet evaluates as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def page(services: Services, context: RequestContext) -> Answer:
    """The calls that meet the criteria, in the order of the queue, from the first one after the call id `after`.

    JSON, or CSV if asked for. If the search isn't finished, the `Link` header has the request by which it goes on.
    """
    key = context.campaign
    # These are read before the campaign. The settler deletes only acknowledgements of numbers before its `settled`.
    acknowledged = acknowledged_sequences(services.tasks.acknowledgements(key))
    campaign = services.campaigns.get(key)
    # Read after the campaign: a number that is open by then is before its `settled`, or is listed here.
    still_open = open_sequences(services.tasks.open_calls(key))
    withdrawn = services.tasks.withdrawn_numbers(campaign)
    form = Form(context.parameters)
    requested, criteria = form.page(), form.criteria()
    is_csv, with_bom = _output_format(form, context)
    form.check()
    first = 0 if requested.after is None else max(0, requested.after - key.id * SEQUENCES_PER_CAMPAIGN + 1)
    whole, limit = search.searched(criteria, campaign, first, withdrawn.moved), requested.limit or MAX_PAGE
    complete = partial(
        with_acknowledgement, acknowledged=acknowledged, settled=campaign.settled, open_sequences=still_open
    )
    part = search.examined(whole)
    found = list(islice(_find(services, campaign, withdrawn, criteria, part, limit, complete), limit))
    rows = [row for _, row in found]
    answer = _csv(rows, with_bom=with_bom) if is_csv else envelope.plain(rows)
    last = search.next_after(whole, [one.sequence for one, _ in found], limit)
    if last is None:
        return answer
    return replace(answer, headers=link_to_next({**context.query, "after": key.call(last).call_id}))


def _output_format(form: Form, context: RequestContext) -> tuple[bool, bool]:
    """Whether the answer is CSV, and whether that begins with a byte order mark."""
    # The first media type. Others and their parameters may follow: `text/csv;q=0.9, */*`.
    accept = re.split("[,;]", context.headers.get("accept", ""))[0].strip().lower()
    output_format = form.value("format") or ("csv" if accept in (_CSV, _SPREADSHEET) else "json")
    if output_format not in ("json", "csv"):
        form.fault("format", f"The selected format {in_short(output_format)} is invalid: one of json, csv.")
    return output_format == "csv", form.boolean("bom") or accept == _SPREADSHEET


def _find(
    services: Services,
    campaign: Campaign,
    withdrawn: Withdrawn,
    criteria: Criteria,
    part: range,
    limit: int,
    complete: Callable[[Call], Call],
) -> Iterator[tuple[CallKey, dict[str, object]]]:
    """The numbers in this part of the queue that meet the criteria. There may be more of them than `limit`.

    Records are read in batches, while more are asked for, and only of numbers whose entries meet the criteria.
    """
    entries = services.log.read(campaign.key, part.start, len(part))
    met = ((campaign.key.call(sequence), entry) for sequence, entry in entries if criteria.admit(entry))
    # If any state will do, the first ones are enough.
    admitted = islice(met, None if criteria.states else limit)
    while batch := list(islice(admitted, _BATCH)):
        read = [key for key, _ in batch if key.sequence < campaign.head or key.sequence in withdrawn]
        found = services.calls.among(read)
        calls = {
            call.key: complete(call)
            for call in found
            if search.is_shown(call.key.sequence, call, campaign, withdrawn.moved)
        }
        for key, entry in batch:
            call = calls.get(key)
            state = search.state_of(key.sequence, call, campaign, withdrawn.moved)
            if criteria.admit_state(state):
                yield key, _row(key, entry, call, state)


def show(services: Services, context: RequestContext) -> Answer:
    """One call, with the times of its upload and the events that were recorded of it."""
    no_fields(context.parameters)
    key = context.call
    acknowledged = acknowledged_sequences(services.tasks.acknowledgements(key.campaign))
    try:
        campaign = services.campaigns.get(key.campaign)
    except NotFound:
        raise NotFound("call", key.call_id) from None
    if key.sequence >= campaign.tail:
        raise NotFound("call", key.call_id)
    still_open = open_sequences(services.tasks.open_calls(key.campaign))
    call = services.calls.get(key)
    moved = services.tasks.withdrawn_numbers(campaign).moved
    if call is not None and not search.is_shown(key.sequence, call, campaign, moved):
        call = None
    if call is not None:
        call = with_acknowledgement(call, acknowledged, campaign.settled, still_open)
    ((_, entry),) = services.log.read(key.campaign, key.sequence, 1)
    events = [_event(one) for one in (call.events if call else ())]
    state = search.state_of(key.sequence, call, campaign, moved)
    times = {"not_before": _seconds(entry.not_before), "expires": _seconds(entry.expires)}
    return envelope.plain({**_row(key, entry, call, state), **times, "events": events})


def _seconds(instant: datetime | None) -> int | None:
    return None if instant is None else int(instant.timestamp())


def _event(event: RecordedEvent) -> dict[str, object]:
    return {
        "timestamp": int(event.at.timestamp()),
        "attempt": event.attempt,
        "status": event.status,
        "callee_type": event.callee_type,
    }


def _row(key: CallKey, entry: Entry, call: Call | None, state: str) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(_FIELDS) | {
        "call_id": key.call_id,
        "phone_number": entry.destination,
        "message_reference": entry.message_reference,
        "state": state,
    }
    if call is None:
        # Of a number whose record is deleted, only the campaign's counts have more.
        return row if state == search.EXPIRED else row | {"attempts": 0, "report_attempts": 0, "revision": 0}
    row |= {
        "reason": call.reason,
        "attempts": call.attempt,
        "report": call.report,
        "report_attempts": call.report_attempts,
        "report_error": call.report_error,
        "revision": call.revision,
    }
    if call.last_attempt_at is not None:
        row |= {
            "callee_type": call.callee_type,
            "last_attempt_timestamp": int(call.last_attempt_at.timestamp()),
            "duration": call.duration,
        }
    return row


def _csv(rows: list[dict[str, object]], *, with_bom: bool) -> Answer:
    """Some spreadsheets read UTF-8 correctly only if it begins with a byte order mark."""
    text = io.StringIO()
    if with_bom:
        text.write("\ufeff")
    writer = csv.DictWriter(text, _FIELDS)
    writer.writeheader()
    writer.writerows({name: _escape_formula(value) for name, value in row.items()} for row in rows)
    return Answer(200, text.getvalue(), content_type=f"{_CSV}; charset=utf-8")


def _escape_formula(value: object) -> object:
    """Put an apostrophe before text that a spreadsheet would evaluate as a formula.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    is_formula = isinstance(value, str) and value.lstrip("'").startswith(_FORMULA_STARTS)
    return f"'{value}" if is_formula else value
