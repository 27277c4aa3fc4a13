"""When a campaign may call, and how fast: the schedule and profiles that its plan refers to."""

from chalicelib.domain.models import Campaign
from chalicelib.domain.pacing import Pace
from chalicelib.domain.timetable import Timetable
from chalicelib.storage.stores import Stores


def read_timetable(stores: Stores, campaign: Campaign) -> tuple[Timetable, list[Pace]]:
    """The campaign's days and hours, and the pace of each of its windows.

    Raises NotFound if the campaign and something it refers to were deleted meanwhile.
    """
    schedule = stores.schedules.get(campaign.account, campaign.plan.schedule_id)
    profiles = [stores.profiles.get(campaign.account, window.profile_id) for window in campaign.plan.windows]
    return Timetable.of(campaign.plan, schedule), [Pace.of(profile) for profile in profiles]
