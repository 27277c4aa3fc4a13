"""/api/campaigns/{id}/calls: every number of a campaign, its state and its outcome."""

import csv
import io

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import MAX_PAGE, Form, in_short, no_fields
from chalicelib.domain.call import Call
from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN, CallKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.settling import with_acknowledgement
from chalicelib.domain.tasks import acknowledged_sequences, open_sequences
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
_CSV = "text/csv"
#: The Accept header of a spreadsheet program, which gets CSV with a byte order mark.
_SPREADSHEET = "application/vnd.ms-excel"
#: The first characters of a cell that a spreadsheet evaluates as a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def page(services: Services, context: RequestContext) -> Answer:
    """The calls in the order of the queue, from the first one after the call id `after`. JSON, or CSV if asked for."""
    key = context.campaign
    # These are read before the campaign. The settler deletes only acknowledgements of numbers before its `settled`.
    acknowledged = acknowledged_sequences(services.tasks.acknowledgements(key))
    campaign = services.campaigns.get(key)
    # Read after the campaign: a number that is open by then is before its `settled`, or is listed here.
    still_open = open_sequences(services.tasks.open_calls(key))
    form = Form(context.parameters)
    requested = form.page()
    accept = context.headers.get("accept", "").split(";")[0].strip()
    output_format = form.value("format") or ("csv" if accept in (_CSV, _SPREADSHEET) else "json")
    if output_format not in ("json", "csv"):
        form.fault("format", f"The selected format {in_short(output_format)} is invalid: one of json, csv.")
    with_bom = form.boolean("bom") or accept == _SPREADSHEET
    form.check()
    first = 0 if requested.after is None else max(0, requested.after - key.id * SEQUENCES_PER_CAMPAIGN + 1)
    length = min(requested.limit or MAX_PAGE, max(0, campaign.tail - first))
    found = services.calls.between(key, first, min(first + length, campaign.head))
    calls = {
        call.key.sequence: with_acknowledgement(call, acknowledged, campaign.settled, still_open) for call in found
    }
    rows = [
        _row(key.call(sequence), entry, calls.get(sequence), campaign)
        for sequence, entry in services.log.read(key, first, length)
    ]
    return _csv(rows, with_bom=with_bom) if output_format == "csv" else envelope.plain(rows)


def show(services: Services, context: RequestContext) -> Answer:
    """One call, with the events that were recorded of it."""
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
    if call is not None and key.sequence >= campaign.head:
        call = None  # a pacer that died has sent it, and it is still queued
    if call is not None:
        call = with_acknowledgement(call, acknowledged, campaign.settled, still_open)
    ((_, entry),) = services.log.read(key.campaign, key.sequence, 1)
    events = [
        {"timestamp": int(one.at.timestamp()), "attempt": one.attempt, "status": one.status}
        for one in (call.events if call else ())
    ]
    return envelope.plain({**_row(key, entry, call, campaign), "events": events})


def _row(key: CallKey, entry: Entry, call: Call | None, campaign: Campaign) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(_FIELDS) | {
        "call_id": key.call_id,
        "phone_number": entry.destination,
        "message_reference": entry.message_reference,
    }
    if call is None:
        return row | _state_without_record(key.sequence, campaign)
    row |= {
        "state": call.state,
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


def _state_without_record(sequence: int, campaign: Campaign) -> dict[str, object]:
    """The fields of a number that has no record: it is queued or dispatched, or its record is deleted.

    The campaign's counts still have the outcome of a deleted record.
    """
    if sequence < campaign.settled:
        return {"state": "expired"}
    return {
        "state": "dialling" if sequence < campaign.head else "queued",
        "attempts": 0,
        "report_attempts": 0,
        "revision": 0,
    }


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
    is_formula = isinstance(value, str) and value.removeprefix("'").startswith(_FORMULA_STARTS)
    return f"'{value}" if is_formula else value
