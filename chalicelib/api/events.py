"""/api/calls/{id}/events: what a telephone provider, or the customer, says of a call that lasts."""

from collections.abc import Mapping

from chalicelib.api import envelope
from chalicelib.api.authentication import attempt_of
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.wording import InvalidFields, sentences_of_event
from chalicelib.domain.call import Call, RecordedEvent, ReportState
from chalicelib.domain.event_actions import Correct, End, Nothing, Record, event_action
from chalicelib.domain.events import CallEvent, read_event
from chalicelib.domain.faults import UnreadableEvent
from chalicelib.domain.models import Campaign
from chalicelib.domain.retries import Finish, Retry
from chalicelib.errors import NotFound
from chalicelib.storage.writes import retried


def receive(services: Services, context: RequestContext) -> Answer:
    """Record the event, end the call by it, or correct its outcome. An event that says nothing new succeeds, too.

    Unknown fields are ignored: providers send dozens. Without an attempt, a request with a token is about the last one.
    """
    key = context.call
    attempt = attempt_of(context.query)

    def take() -> None:
        call, campaign = services.calls.get(key), services.campaigns.find(key.campaign)
        if call is None or campaign is None:
            raise NotFound("call", key.call_id)
        event = _read(context.parameters.values)
        _carry_out(services, campaign, call, call.attempt if attempt is None else attempt, event, context)

    retried(take)
    return envelope.success()


def _read(fields: Mapping[str, object]) -> CallEvent:
    """Raises InvalidFields."""
    try:
        return read_event(fields)
    except UnreadableEvent as refused:
        raise InvalidFields(sentences_of_event(refused)) from refused


def _carry_out(
    services: Services, campaign: Campaign, call: Call, attempt: int, event: CallEvent, context: RequestContext
) -> None:
    """Raises WriteRefused if the call was changed after it was read."""
    recorded = RecordedEvent(context.now, attempt, event.status, event.callee_type)
    match event_action(call, attempt, event, campaign.plan, context.now):
        case Nothing():
            pass
        case Record():
            services.call_events.record(call, recorded)
        case End(Retry(outcome, not_before)):
            report = campaign.plan.reports_attempts
            services.call_events.defer(call, recorded, outcome, not_before, report=report, spread=campaign.spread)
        case End(Finish(outcome)):
            state = ReportState.PENDING if campaign.plan.result_url else ReportState.NONE
            services.call_events.end(call, recorded, outcome, state, spread=campaign.spread)
        case Correct(outcome):
            services.call_events.correct(campaign, call, recorded, outcome)
