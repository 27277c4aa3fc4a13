"""A customer of the API, who creates what a test needs."""

import json
import uuid
from typing import Any

from chalicelib.api.services import Services
from chalicelib.domain.keys import CampaignKey
from chalicelib.storage.accounts import Kind
from tests.support.http import TOKEN, Client, app_over
from tests.support.world import EIGHT

START_URL = "http://charles.plumgroup.com/~schan/src/charles/vxml/start.php"
RESULT_URL = "http://myserver.com/storesmsresults.php"


class Customer(Client):
    def __init__(self, services: Services, account: str = "acme", token: str = TOKEN) -> None:
        services.tokens.create(account, token, EIGHT)
        super().__init__(app_over(services), token)
        self.account = account
        self.services = services

    def schedule(self, nickname: str | None = None, *days: str) -> int:
        return self._create("/api/schedules", nickname=nickname, days=list(days) or ["mon", "wed", "fri"])

    def profile(self, nickname: str | None = None, *, period: int = 30, amount: int = 100, pause: int = 10) -> int:
        return self._create(
            "/api/profiles", nickname=nickname, period=period, amount_per_period=amount, time_between_periods=pause
        )

    def campaign(self, schedule: object, *profiles: object, **fields: object) -> int:
        """From 08:00 to 11:00 with each of the profiles, on five days of 2022 unless other dates are given."""
        windows = [{"profile": profile, "start_time": "08:00", "end_time": "11:00"} for profile in profiles]
        dates = {"start_date": "2022-01-01", "end_date": "2022-01-05"}
        urls = {"start_url": START_URL, "result_url": RESULT_URL}
        return self._create("/api/campaigns", **{**dates, **urls, "schedule": schedule, "profiles": windows, **fields})

    def any_campaign(self, **fields: object) -> int:
        """With a schedule and a profile of its own."""
        return self.campaign(self.schedule(), self.profile(), **fields)

    def set_next_id(self, kind: Kind, identifier: int) -> None:
        """Let the next of this kind get this id, as if earlier ones had been created and deleted."""
        while self.services.accounts.next_id(self.account, kind) < identifier - 1:
            pass

    def queue(self, campaign: int) -> list[tuple[str, str]]:
        """Each number of the campaign with its reference, in the order of the queue."""
        read = self.services.log.read(CampaignKey(self.account, campaign), 0, 2**32)
        return [(entry.destination, entry.message_reference) for _, entry in read]

    def everything(self) -> list[Any]:
        """All that the API shows of the account. Two of these are equal if nothing has changed in between."""
        lists = [self.get(f"/api/{kind}").json for kind in ("schedules", "profiles", "campaigns")]
        return [*lists, *(self.queue(campaign["campaign_id"]) for campaign in lists[2])]

    def _create(self, target: str, **fields: object) -> int:
        reply = self.ask("POST", target, json.dumps(fields).encode())
        assert reply.status == 200, reply.text
        return int(reply.json["response"]["id"])


def new_customer(services: Services) -> Customer:
    """A customer whose account is empty."""
    account = uuid.uuid4().hex
    return Customer(services, account, token=account)


def campaign_fields(**fields: object) -> dict[str, object]:
    """A request for a valid campaign, with the given fields in place of its own."""
    valid = {
        "start_date": "2026-01-05",
        "end_date": "2026-01-09",
        "schedule": "weekdays",
        "profiles": [{"profile": "pace", "start_time": "08:00", "end_time": "11:00"}],
        "start_url": START_URL,
    }
    return valid | fields
