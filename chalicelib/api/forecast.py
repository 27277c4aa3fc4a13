"""/api/campaigns/{id}/forecast: when will the queue be done?"""

from chalicelib.api import envelope
from chalicelib.api.dispatch import RequestContext
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.api.validation import no_fields
from chalicelib.domain.forecast import forecast
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable


def show(services: Services, context: RequestContext) -> Answer:
    """Told for a campaign that runs from now on, whether it does or not. Times are UTC."""
    no_fields(context.parameters)
    campaign = services.campaigns.get(context.campaign)
    schedule = services.schedules.get(context.account, campaign.plan.schedule_id)
    paces = [Pace.of(services.profiles.get(context.account, window.profile_id)) for window in campaign.plan.windows]
    queued = campaign.tail - campaign.head
    told = forecast(Timetable.of(campaign.plan, schedule), paces, queued, context.now)
    return envelope.plain(
        {
            "campaign_id": campaign.id,
            "queued": queued,
            "fits": told.left_over == 0,
            "left_over": told.left_over,
            "last_call_at": told.last_call_at.isoformat(timespec="seconds") if told.last_call_at else None,
        }
    )
