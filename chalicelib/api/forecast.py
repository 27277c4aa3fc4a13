"""/api/campaigns/{id}/forecast: when the queue will be empty."""

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.progress import read_progress
from chalicelib.api.services import Services
from chalicelib.api.validation import no_fields
from chalicelib.domain.forecast import forecast
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable


def show(services: Services, context: RequestContext) -> Answer:
    """The forecast assumes that the campaign runs from now on. Times are UTC."""
    no_fields(context.parameters)
    campaign = services.campaigns.get(context.campaign)
    schedule = services.schedules.get(context.account, campaign.plan.schedule_id)
    paces = [Pace.of(services.profiles.get(context.account, window.profile_id)) for window in campaign.plan.windows]
    queued = read_progress(services, campaign)[0].queued if campaign.withdrawn_lists else campaign.tail - campaign.head
    predicted = forecast(Timetable.of(campaign.plan, schedule), paces, queued, context.now)
    return envelope.plain(
        {
            "campaign_id": campaign.id,
            "queued": queued,
            "fits": predicted.left_over == 0,
            "left_over": predicted.left_over,
            "last_call_at": predicted.last_call_at.isoformat(timespec="seconds") if predicted.last_call_at else None,
        }
    )
