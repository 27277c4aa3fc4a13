"""/api/campaigns/cancel-calls: numbers that aren't to be called any more."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import Form
from chalicelib.api.wording import in_short
from chalicelib.domain import search
from chalicelib.domain.call import State
from chalicelib.domain.cancellation import MOST_CANCELED, MOST_NUMBERS, Candidate, Selection
from chalicelib.domain.keys import SEQUENCES_PER_CAMPAIGN, CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Entry
from chalicelib.storage.cancellations import CANCELED_AT_ONCE
from chalicelib.storage.writes import WriteRefused, retried

#: the fields by which a request names numbers; it has one of them
_SELECTORS = ("call_ids", "phone_numbers", "message_reference")
#: Numbers that are further apart in the queue are read by requests of their own.
_READ_TOGETHER = 1_000

#: a number's place in the queue, and what was uploaded
_Named = tuple[CallKey, Entry]


def cancel_calls(services: Services, context: RequestContext) -> Answer:
    """Cancel what isn't dialled yet. The answer has each number that was named, with the state that it is in now.

    One request looks at a part of the queue. `next` is the call id `after` which the next request goes on.
    """
    form = Form(context.parameters)
    key = CampaignKey(context.account, form.integer("campaign_id", minimum=1, required=True))
    selection, unknown = _selection(form, key)
    after = form.after()
    if after is not None and form.given("call_ids"):
        form.fault("after", "The after field can't be given with call_ids, since all of them are looked at.")
    form.check()
    campaign = services.campaigns.get(key)
    first = 0 if after is None else max(0, after - key.id * SEQUENCES_PER_CAMPAIGN + 1)
    named, last = _named(services, campaign, selection, first)
    if selection.sequences is not None:
        unknown += [key.call(sequence).call_id for sequence in sorted(selection.sequences) if sequence >= campaign.tail]
    results = [one for group in _groups(named) for one in _cancel_group(services, campaign, group, context)]
    _delete_tasks(services, campaign, results)
    rows = [_row(candidate, campaign, is_new=is_new) for candidate, is_new in results]
    answer = envelope.success(
        {
            "canceled": sum(is_new for _, is_new in results),
            "too_late": sum(row["state"] != State.CANCELED for row in rows),
            "next": None if last is None else key.call(last).call_id,
            "unknown": unknown,
            "calls": rows,
        }
    )
    services.receipts.keep(context.receipt(answer), context.now)
    return answer


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
        if len(entries) > MOST_NUMBERS:
            form.fault("phone_numbers", f"The phone_numbers field must not have more than {MOST_NUMBERS} numbers.")
        return Selection.of_entries(entries), []
    reference = form.message_reference()
    if not reference:
        form.fault("message_reference", "The message_reference field is required.")
    return Selection(message_reference=reference), []


def _of_ids(form: Form, key: CampaignKey) -> tuple[Selection, list[object]]:
    value = form.value("call_ids")
    if isinstance(value, str):
        value = value.split(",")
    ids = value if isinstance(value, list) else [value]
    if not 1 <= len(ids) <= MOST_CANCELED:
        form.fault("call_ids", f"The call_ids field must have 1 to {MOST_CANCELED} ids.")
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


def _named(services: Services, campaign: Campaign, selection: Selection, first: int) -> tuple[list[_Named], int | None]:
    """The numbers from `first` on that the selection admits, and the last one that was looked at.

    None instead of that number if there are no more to look at.
    """
    if selection.sequences is not None:
        return list(_of_sequences(services, campaign, selection.sequences)), None
    whole = range(first, campaign.tail)
    part = search.examined(whole)
    entries = services.log.read(campaign.key, part.start, len(part))
    admitted = ((campaign.key.call(sequence), entry) for sequence, entry in entries if selection.admits(entry))
    named = list(islice(admitted, MOST_CANCELED))
    return named, search.next_after(whole, [key.sequence for key, _ in named], MOST_CANCELED)


def _of_sequences(services: Services, campaign: Campaign, sequences: Iterable[int]) -> Iterator[_Named]:
    wanted = sorted(sequence for sequence in sequences if sequence < campaign.tail)
    while wanted:
        together = [sequence for sequence in wanted if sequence < wanted[0] + _READ_TOGETHER]
        named = frozenset(together)
        for sequence, entry in services.log.read(campaign.key, wanted[0], together[-1] - wanted[0] + 1):
            if sequence in named:
                yield campaign.key.call(sequence), entry
        wanted = wanted[len(together) :]


def _groups(named: Sequence[_Named]) -> Iterator[Sequence[_Named]]:
    return (named[first : first + CANCELED_AT_ONCE] for first in range(0, len(named), CANCELED_AT_ONCE))


def _cancel_group(
    services: Services, campaign: Campaign, group: Iterable[_Named], context: RequestContext
) -> list[tuple[Candidate, bool]]:
    """Each number as it is then, and whether this request has canceled it. Raises Busy."""
    # These are read before the records, which they have had for as long.
    moved = services.tasks.withdrawn_numbers(campaign).moved

    def cancel() -> tuple[list[Candidate], list[Candidate]]:
        calls = {call.key: call for call in services.calls.among(key for key, _ in group)}
        candidates = [
            Candidate(key, entry, calls.get(key), is_settled=key.sequence < campaign.settled or key.sequence in moved)
            for key, entry in group
        ]
        chosen = [candidate for candidate in candidates if candidate.can_be_canceled]
        if chosen and not services.cancellations.cancel(campaign, chosen, context.now):
            raise WriteRefused
        return candidates, chosen

    candidates, chosen = retried(cancel)
    return [(candidate, candidate in chosen) for candidate in candidates]


def _delete_tasks(services: Services, campaign: Campaign, results: Iterable[tuple[Candidate, bool]]) -> None:
    """Also of numbers that an earlier request has canceled, which ended before it did this."""
    deferred = [one.key.sequence for one, is_new in results if one.call is not None and (is_new or one.is_canceled)]
    if deferred:
        services.tasks.delete_dials(campaign.key, deferred, spread=campaign.spread)


def _row(candidate: Candidate, campaign: Campaign, *, is_new: bool) -> dict[str, object]:
    call = candidate.call
    if call is not None:
        state: str = call.state
    else:
        state = search.EXPIRED if candidate.is_settled else search.state_of(candidate.key.sequence, None, campaign, ())
    return {
        "call_id": candidate.key.call_id,
        "phone_number": candidate.entry.destination,
        "message_reference": candidate.entry.message_reference,
        "state": State.CANCELED if is_new else state,
    }
