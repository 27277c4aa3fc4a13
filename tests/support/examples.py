"""Schedules, profiles, plans and entries that tests of storage start from."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Day, Entry, Plan, Profile, Schedule, Status, Window
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import DynamoDB
from chalicelib.storage.receipts import Receipt

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
OUTCOME = Outcome(Result.COMPLETED, "http_200")
KEY = CallKey("acme", 1, 7)
ENTRY = Entry("tel:+12223334444;ani=7778889999", "march")


def schedule(identifier: int = 1, nickname: str | None = "3wkdays", account: str = "acme") -> Schedule:
    return Schedule(account, identifier, nickname, (Day.MON, Day.WED))


def profile(identifier: int = 1, nickname: str | None = "MorningPace") -> Profile:
    return Profile("acme", identifier, nickname, 30, 100, 10)


def plan(schedule_id: int = 1, profile_id: int = 1) -> Plan:
    windows = (Window(profile_id, 8 * 60, 11 * 60), Window(profile_id, 12 * 60, 24 * 60))
    return Plan(date(2026, 1, 5), date(2026, 1, 9), schedule_id, windows, "http://tenant.example/", None)


def entries(count: int, first: int = 0) -> list[Entry]:
    return [Entry(f"tel:+1222{place:07d};ani=7778889999", f"ref {place}") for place in range(first, first + count)]


def add(campaigns: Campaigns, identifier: int = 1, numbers: int = 0, receipt: Receipt | None = None) -> Campaign:
    campaigns.add(Campaign("acme", identifier, plan(), Status.CREATED), entries(numbers), receipt, NOW)
    return campaigns.get(CampaignKey("acme", identifier))


def receipt(key: str = "once", body: str = "{}") -> Receipt:
    return Receipt("acme", key, "fingerprint", 200, body, {"X-Told": "too"}, NOW + timedelta(hours=24))


class Counting:
    """A client that counts what it is asked."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client
        self.requests = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        return self._client._make_api_call(operation_name, api_params)
