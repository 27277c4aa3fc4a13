"""Examples that tests of storage start from, and a client that counts requests."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from chalicelib.domain.call import Call, Claim, ReportState
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Campaign, Day, Entry, Plan, Profile, Schedule, Status, Window
from chalicelib.domain.outcome import Outcome, Result
from chalicelib.storage.calls import Calls
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import DynamoDB
from chalicelib.storage.receipts import Receipt

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
OUTCOME = Outcome(Result.COMPLETED, "http_200")
CAMPAIGN = CampaignKey("acme", 1)
KEY = CAMPAIGN.call(7)
ENTRY = Entry("tel:+12223334444;ani=7778889999", "march")


def schedule(identifier: int = 1, nickname: str | None = "3wkdays", account: str = "acme") -> Schedule:
    return Schedule(account, identifier, nickname, (Day.MON, Day.WED))


def profile(identifier: int = 1, nickname: str | None = "MorningPace") -> Profile:
    return Profile("acme", identifier, nickname, 30, 100, 10)


def plan(schedule_id: int = 1, profile_id: int = 1) -> Plan:
    windows = (Window(profile_id, 8 * 60, 11 * 60), Window(profile_id, 12 * 60, 24 * 60))
    return Plan(date(2026, 1, 5), date(2026, 1, 9), schedule_id, windows, "http://tenant.example/", None)


def entries(count: int, first: int = 0) -> list[Entry]:
    return [Entry(f"tel:+1222{number:07d};ani=7778889999", f"ref {number}") for number in range(first, first + count)]


def add(campaigns: Campaigns, identifier: int = 1, numbers: int = 0, receipt: Receipt | None = None) -> Campaign:
    campaigns.add(Campaign("acme", identifier, plan(), Status.CREATED), entries(numbers), receipt, NOW)
    return campaigns.get(CampaignKey("acme", identifier))


def add_running(campaigns: Campaigns, numbers: int = 0) -> Campaign:
    add(campaigns, numbers=numbers)
    campaigns.start(CAMPAIGN, None, NOW)
    return campaigns.get(CAMPAIGN)


def receipt(key: str = "once", body: str = "{}") -> Receipt:
    return Receipt("acme", key, "fingerprint", 200, body, {"X-Numbers-Accepted": "2"}, NOW + timedelta(hours=24))


def claimed(calls: Calls, key: CallKey = KEY, attempt: int = 1, now: datetime = NOW, spread: int = 1) -> Claim:
    """A claim that must be given."""
    claim = calls.claim(key, ENTRY, attempt, now, spread=spread)
    assert claim is not None
    return claim


def finished(calls: Calls, claim: Claim, report: ReportState = ReportState.NONE) -> Call:
    """The call with the outcome that the claim's holder writes."""
    call = calls.finish(claim, OUTCOME, NOW, report)
    assert call is not None
    return call


def recorded(calls: Calls, key: CallKey = KEY) -> Call:
    """A call that must have a record."""
    call = calls.get(key)
    assert call is not None
    return call


class CountingClient:
    """A client that counts the requests that it gets."""

    def __init__(self, client: DynamoDB) -> None:
        self._client = client
        self.requests = 0

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        return self._client._make_api_call(operation_name, api_params)
