"""/api/campaigns/{id}/calls: every number of a campaign, and what has become of it."""

import csv
import io

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import MAX_PAGE, Form, in_short
from chalicelib.domain.call import Call
from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN, CallKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.domain.settling import with_acknowledgement
from chalicelib.domain.tasks import acknowledged_sequences

#: what is told of each number, in the order of the columns
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
)
_CSV = "text/csv"
#: what a spreadsheet program asks for: CSV that it can tell to be UTF-8
_SPREADSHEET = "application/vnd.ms-excel"
#: what a cell begins with that a spreadsheet runs
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def page(services: Services, context: RequestContext) -> Answer:
    """In the order of the queue, from the first call after the one whose id is `after`; JSON, or CSV if asked for."""
    key = context.campaign
    # Read before the campaign: what the settler deletes until then is behind the `settled` of the campaign.
    acknowledged = acknowledged_sequences(services.tasks.acknowledgements(key))
    campaign = services.campaigns.get(key)
    form = Form(context.parameters)
    part = form.page()
    accept = context.headers.get("accept", "").split(";")[0].strip()
    wanted = form.value("format") or ("csv" if accept in (_CSV, _SPREADSHEET) else "json")
    if wanted not in ("json", "csv"):
        form.fault("format", f"The selected format {in_short(wanted)} is invalid: one of json, csv.")
    has_mark = form.boolean("bom") or accept == _SPREADSHEET
    form.check()
    first = 0 if part.after is None else max(0, part.after - key.id * SEQUENCES_PER_CAMPAIGN + 1)
    length = min(part.limit or MAX_PAGE, max(0, campaign.tail - first))
    calls = services.calls.between(key, first, min(first + length, campaign.head))
    known = {call.key.sequence: with_acknowledgement(call, acknowledged, campaign.settled) for call in calls}
    shown = [
        _shown(key.call(sequence), entry, known.get(sequence), campaign)
        for sequence, entry in services.log.read(key, first, length)
    ]
    return _csv(shown, has_mark=has_mark) if wanted == "csv" else envelope.plain(shown)


def _shown(key: CallKey, entry: Entry, call: Call | None, campaign: Campaign) -> dict[str, object]:
    shown: dict[str, object] = dict.fromkeys(_FIELDS) | {
        "call_id": key.call_id,
        "phone_number": entry.destination,
        "message_reference": entry.message_reference,
    }
    if call is None:
        return shown | _without_record(key.sequence, campaign)
    shown |= {
        "state": call.state,
        "reason": call.reason,
        "attempts": call.attempt,
        "report": call.report,
        "report_attempts": call.report_attempts,
        "report_error": call.report_error,
    }
    if call.last_attempt_at is not None:
        shown |= {
            "callee_type": call.callee_type,
            "last_attempt_timestamp": int(call.last_attempt_at.timestamp()),
            "duration": call.duration,
        }
    return shown


def _without_record(sequence: int, campaign: Campaign) -> dict[str, object]:
    """A number that has none was not handed over yet, is on its way to the dialer, or was called long ago.

    How the last of these ended is still in the campaign's counts.
    """
    if sequence < campaign.settled:
        return {"state": "expired"}
    return {"state": "dialling" if sequence < campaign.head else "queued", "attempts": 0, "report_attempts": 0}


def _csv(shown: list[dict[str, object]], *, has_mark: bool) -> Answer:
    """Without the byte order mark some spreadsheets take UTF-8 for something else."""
    text = io.StringIO()
    if has_mark:
        text.write("\ufeff")
    writer = csv.DictWriter(text, _FIELDS)
    writer.writeheader()
    writer.writerows({name: _inert(value) for name, value in one.items()} for one in shown)
    return Answer(200, text.getvalue(), content_type=f"{_CSV}; charset=utf-8")


def _inert(value: object) -> object:
    """Text that a spreadsheet would run as a formula is kept from it by an apostrophe.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    is_run = isinstance(value, str) and value.removeprefix("'").startswith(_FORMULA)
    return f"'{value}" if is_run else value
