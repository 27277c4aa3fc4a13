"""/api/campaigns/cancel-calls: numbers that aren't to be called any more."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import Form
from chalicelib.api.wording import InvalidFields, in_short
from chalicelib.domain.cancellation import MOST_CANCELED, MOST_NAMED, Candidate, Selection
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.storage.cancellations import CANCELED_AT_ONCE
from chalicelib.storage.writes import WriteRefused, retried

#: the fields by which a request names numbers; it has one of them
_SELECTORS = ("call_ids", "phone_numbers", "message_reference")

#: a number's place in the queue, and what was uploaded
_Named = tuple[CallKey, Entry]


def cancel_calls(services: Services, context: RequestContext) -> Answer:
    """Cancel what isn't dialled yet. The answer has each number that was named, with the state that it is in now.

    A request that is repeated finds its numbers canceled, and cancels the next ones if it named too many for one.
    """
    form = Form(context.parameters)
    key = CampaignKey(context.account, form.integer("campaign_id", minimum=1, required=True))
    selection, unknown = _selection(form, key)
    form.check()
    campaign = services.campaigns.get(key)
    named = _named(services, campaign, selection)
    if selection.sequences is not None:
        found = {one.sequence for one, _ in named}
        unknown += [key.call(sequence).call_id for sequence in sorted(selection.sequences - found)]
    rows: list[dict[str, object]] = []
    canceled = 0
    for group in _groups(named):
        if canceled >= MOST_CANCELED:
            break
        results = _cancel_group(services, campaign, group, context)
        canceled += sum(is_new for _, is_new in results)
        rows += [_row(candidate, is_new=is_new) for candidate, is_new in results]
    return envelope.success(
        {
            "canceled": canceled,
            "too_late": sum(row["state"] != "canceled" for row in rows),
            "left": len(named) - len(rows),
            "unknown": unknown,
            "calls": rows,
        }
    )


def _selection(form: Form, key: CampaignKey) -> tuple[Selection, list[object]]:
    """Which numbers are named, and the ids that can't be those of the campaign's calls."""
    given = [name for name in _SELECTORS if form.given(name)]
    if len(given) != 1:
        form.fault("body", f"The request must have one of {', '.join(_SELECTORS)}.")
        return Selection(), []
    if given == ["call_ids"]:
        return _of_ids(form, key)
    if given == ["phone_numbers"]:
        entries = form.phone_numbers(required=True).entries
        if len(entries) > MOST_NAMED:
            form.fault("phone_numbers", f"The phone_numbers field must not have more than {MOST_NAMED} numbers.")
        return Selection.of_entries(entries), []
    reference = form.message_reference()
    if reference == "":
        form.fault("message_reference", "The message_reference field is required.")
    return Selection(message_reference=reference), []


def _of_ids(form: Form, key: CampaignKey) -> tuple[Selection, list[object]]:
    value = form.value("call_ids")
    if isinstance(value, str):
        value = value.split(",")
    ids = value if isinstance(value, list) else [value]
    if not 1 <= len(ids) <= MOST_NAMED:
        form.fault("call_ids", f"The call_ids field must have 1 to {MOST_NAMED} ids.")
        return Selection(), []
    sequences: set[int] = set()
    unknown: list[object] = []
    for index, one in enumerate(ids):
        written = one.strip() if isinstance(one, str) else one
        is_id = isinstance(written, str | int) and not isinstance(written, bool)
        call = CallKey.of_id(key.account, str(written)) if is_id else None
        if call is None:
            form.fault(f"call_ids.{index}", f"The call_ids.{index} field must be a call id. It is {in_short(one)}.")
        elif call.campaign == key:
            sequences.add(call.sequence)
        else:
            unknown.append(call.call_id)
    return Selection(frozenset(sequences)), unknown


def _named(services: Services, campaign: Campaign, selection: Selection) -> list[_Named]:
    """The numbers that the selection admits. Raises InvalidFields if there are too many to look at."""
    begin, beyond = 0, campaign.tail
    if selection.sequences is not None:
        begin, beyond = min(selection.sequences, default=0), min(max(selection.sequences, default=-1) + 1, beyond)
    entries = services.log.read(campaign.key, begin, max(0, beyond - begin))
    admitted = (
        (campaign.key.call(sequence), entry) for sequence, entry in entries if selection.admits(sequence, entry)
    )
    named = list(islice(admitted, MOST_NAMED + 1))
    if len(named) > MOST_NAMED:
        sentence = f"The request names more than {MOST_NAMED} calls. Name fewer at once, by call_ids."
        raise InvalidFields({"body": [sentence]})
    return named


def _groups(named: Sequence[_Named]) -> Iterator[Sequence[_Named]]:
    return (named[first : first + CANCELED_AT_ONCE] for first in range(0, len(named), CANCELED_AT_ONCE))


def _cancel_group(
    services: Services, campaign: Campaign, group: Iterable[_Named], context: RequestContext
) -> list[tuple[Candidate, bool]]:
    """Each number as it is then, and whether this request has canceled it. Raises Busy."""

    def cancel() -> tuple[list[Candidate], list[Candidate]]:
        calls = {call.key: call for call in services.calls.among(key for key, _ in group)}
        candidates = [Candidate(key, entry, calls.get(key)) for key, entry in group]
        chosen = [candidate for candidate in candidates if candidate.can_be_canceled]
        if chosen and not services.cancellations.cancel(campaign, chosen, context.now):
            raise WriteRefused
        return candidates, chosen

    candidates, chosen = retried(cancel)
    waiting = [one.key.sequence for one in chosen if one.call is not None]
    if waiting:
        services.cancellations.delete_tasks(campaign, waiting)
    return [(candidate, candidate in chosen) for candidate in candidates]


def _row(candidate: Candidate, *, is_new: bool) -> dict[str, object]:
    call = candidate.call
    return {
        "call_id": candidate.key.call_id,
        "phone_number": candidate.entry.destination,
        "message_reference": candidate.entry.message_reference,
        "state": "canceled" if is_new or call is None else call.state,
    }
