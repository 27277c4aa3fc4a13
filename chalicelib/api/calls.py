"""/api/campaigns/{id}/calls: every number of a campaign, and what has become of it."""

import csv
import io

from chalicelib.api import envelope
from chalicelib.api.envelope import Answer
from chalicelib.api.exchange import Asked
from chalicelib.api.services import Services
from chalicelib.api.validation import MAX_PAGE, Form
from chalicelib.domain.call import Call, all_told
from chalicelib.domain.models import SEQUENCES_PER_CAMPAIGN, CallKey, Entry
from chalicelib.domain.settling import as_told
from chalicelib.storage.accounts import Kind
from chalicelib.storage.campaign_items import campaign_key


def page(services: Services, asked: Asked) -> Answer:
    """In the order of the queue, from the first call after the one whose id is `after`; JSON, or CSV if asked for."""
    identifier = asked.identifier(Kind.CAMPAIGN)
    # Before the campaign: what the settler forgets of them until then lies behind its `settled`.
    told = all_told(services.slips.told(asked.account, identifier))
    campaign = services.campaigns.get(asked.account, identifier)
    form = Form(asked.parameters)
    part = form.page()
    wanted = asked.parameters.values.get("format", "csv" if _prefers_csv(asked) else "json")
    if wanted not in ("json", "csv"):
        form.fault("format", "The selected format is invalid.")
    form.check()
    first = 0 if part.after is None else max(0, part.after - identifier * SEQUENCES_PER_CAMPAIGN + 1)
    length = min(part.limit or MAX_PAGE, max(0, campaign.tail - first))
    calls = services.calls.between(asked.account, identifier, first, min(first + length, campaign.head))
    known = {call.key.sequence: as_told(call, told, campaign.settled) for call in calls}
    shown = [
        _shown(CallKey(asked.account, identifier, sequence), entry, known.get(sequence), campaign.head)
        for sequence, entry in services.log.read(campaign_key(asked.account, identifier), first, length)
    ]
    return _csv(shown) if wanted == "csv" else envelope.plain(shown)


def _prefers_csv(asked: Asked) -> bool:
    return asked.headers.get("accept", "").split(";")[0].strip() == "text/csv"


def _shown(key: CallKey, entry: Entry, call: Call | None, head: int) -> dict[str, object]:
    shown: dict[str, object] = {
        "call_id": key.call_id,
        "phone_number": entry.destination,
        "message_reference": entry.message_reference,
        "state": "queued" if key.sequence >= head else "dialling",
        "reason": None,
        "callee_type": None,
        "attempts": 0,
        "last_attempt_timestamp": None,
        "duration": None,
        "report": None,
        "report_attempts": 0,
        "report_error": None,
    }
    if call is None:
        return shown
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


def _csv(shown: list[dict[str, object]]) -> Answer:
    text = io.StringIO()
    names = list(_shown(CallKey("", 0, 0), Entry(""), None, 0))
    writer = csv.DictWriter(text, names)
    writer.writeheader()
    writer.writerows(shown)
    return Answer(200, text.getvalue(), content_type="text/csv; charset=utf-8")
