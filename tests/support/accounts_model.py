"""What one account must be answered: a second telling of the API, in memory, that knows of no other account.

It decides everything but two things. Which ids are given out is the API's choice, within what `take_id` allows. And how
wrong input is found and worded is shown elsewhere: a request that is wrong brings along what it is to be told.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

_KEY_KEPT = timedelta(hours=24)
_NEW_YORK = ZoneInfo("America/New_York")
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PACE = ("period", "amount_per_period", "time_between_periods")
_PLAN = (
    *("start_date", "end_date", "schedule", "profiles", "start_url", "result_url"),
    *("max_retries", "retry_interval"),
)
_CALL = (
    *("call_id", "phone_number", "message_reference", "state", "reason", "callee_type", "attempts"),
    *("last_attempt_timestamp", "duration", "report", "report_attempts", "report_error"),
)


@dataclass(frozen=True)
class Request:
    method: str
    #: as it is routed: /api/schedules/{id}
    path: str
    identifier: int | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    #: an Idempotency-Key, which only a POST has
    key: str | None = None
    #: the phone numbers come as a file in a form
    as_file: bool = False
    #: the answer to what is wrong with it
    wrong: Mapping[str, Sequence[str]] | None = None

    @property
    def said(self) -> str:
        """Equal for two requests that an Idempotency-Key takes for one."""
        return json.dumps([self.path, self.fields, self.as_file], sort_keys=True)


@dataclass(frozen=True)
class Answer:
    status: int
    #: JSON, or text for CSV
    body: Any
    replayed: bool = False


@dataclass
class Campaign:
    start_date: str
    end_date: str
    schedule: int
    #: each one's profile, and its hours as HH:MM
    windows: list[tuple[int, str, str]]
    start_url: str
    result_url: str | None
    max_retries: int = 0
    retry_interval: int = 3600
    #: what its owner last asked for
    status: str = "created"
    #: each number with its reference, as uploaded
    queue: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Receipt:
    said: str
    answer: Answer
    expires_at: datetime


def success(response: Mapping[str, Any] | None = None) -> Answer:
    return Answer(200, {"status": "success"} if response is None else {"status": "success", "response": response})


def error(status: int, sentence: str) -> Answer:
    return Answer(status, {"status": "error", "error": sentence})


def _nothing_given(names: Sequence[str]) -> Answer:
    return Answer(422, {"body": [f"The request must give at least one of {', '.join(names)}."]})


def missing(kind: str, identifier: object) -> Answer:
    return error(404, f"{kind.capitalize()} {identifier} does not exist.")


UNAUTHENTICATED = error(401, "Unauthenticated.")
_KEY_REUSED = error(409, "The Idempotency-Key has already been used for another request.")
_NICKNAME_TAKEN = Answer(422, {"nickname": ["The nickname has already been taken."]})

Handler = Callable[[Request, datetime, int], Answer]


class AccountModel:
    def __init__(self) -> None:
        #: what there is, by kind and id; of schedules and profiles what a list shows, but for the id
        self.things: dict[str, dict[int, dict[str, Any]]] = {"schedule": {}, "profile": {}}
        self.campaigns: dict[int, Campaign] = {}
        #: the highest id given out so far, by kind
        self.highest: Counter[str] = Counter()
        self._creates: Counter[str] = Counter()
        self._receipts: dict[str, _Receipt] = {}
        self.endpoints: dict[tuple[str, str], Handler] = {
            ("GET", "/api/campaigns"): self._list_campaigns,
            ("POST", "/api/campaigns"): self._create_campaign,
            ("PATCH", "/api/campaigns"): self._list_campaigns,
            ("PUT", "/api/campaigns"): self._list_campaigns,
            ("GET", "/api/campaigns/{id}"): self._show_campaign,
            ("PATCH", "/api/campaigns/{id}"): self._update_campaign,
            ("PUT", "/api/campaigns/{id}"): self._update_campaign,
            ("DELETE", "/api/campaigns/{id}"): self._delete_campaign,
            ("POST", "/api/campaigns/start"): self._start,
            ("POST", "/api/campaigns/stop"): self._stop,
            ("POST", "/api/campaigns/add-calls"): self._add_calls,
            ("GET", "/api/campaigns/{id}/calls"): self._calls,
            ("GET", "/api/campaigns/{id}/forecast"): self._forecast,
        }
        for kind in self.things:
            self.endpoints |= self._catalog(kind)

    def answer(self, request: Request, now: datetime, given: int = 0) -> Answer:
        """What is to be answered, which is also done; `given` is the id that a create was answered with."""
        if request.key is not None:
            kept = self._receipts.get(request.key)
            if kept is not None and now < kept.expires_at:
                return replace(kept.answer, replayed=True) if kept.said == request.said else _KEY_REUSED
        told = self.endpoints[request.method, request.path](request, now, given)
        if request.key is not None and told.status == 200:
            self._receipts[request.key] = _Receipt(request.said, told, now + _KEY_KEPT)
        return told

    def ids(self, kind: str) -> list[int]:
        return list(self.campaigns if kind == "campaign" else self.things[kind])

    def nicknames(self, kind: str) -> list[str]:
        return [thing["nickname"] for thing in self.things[kind].values() if thing["nickname"] is not None]

    def lists(self) -> Iterator[Request]:
        for kind in ("schedule", "profile", "campaign"):
            yield Request("GET", f"/api/{kind}s")

    def things_one_by_one(self) -> Iterator[Request]:
        """All else that the account can look at."""
        for kind in ("schedule", "profile", "campaign"):
            for identifier in self.ids(kind):
                yield Request("GET", f"/api/{kind}s/{{id}}", identifier)
        for identifier in self.campaigns:
            yield Request("GET", "/api/campaigns/{id}/calls", identifier)
            yield Request("GET", "/api/campaigns/{id}/calls", identifier, {"format": "csv"})
            yield Request("GET", "/api/campaigns/{id}/forecast", identifier)

    def take_id(self, kind: str, given: int) -> None:
        """Ids rise and are never used again, whatever was deleted. Only the account's own creates, those refused at
        the last moment among them, leave gaps: how much another creates can't be told from them.
        """
        assert self.highest[kind] < given <= self._creates[kind], f"{kind} {given} after {self.highest[kind]}"
        self.highest[kind] = given

    def _catalog(self, kind: str) -> dict[tuple[str, str], Handler]:
        """Schedules and profiles are alike but for what they hold."""
        one, all_ = f"/api/{kind}s/{{id}}", f"/api/{kind}s"
        return {
            ("POST", all_): partial(self._create_thing, kind),
            ("GET", all_): partial(self._list_things, kind),
            ("GET", one): partial(self._show_thing, kind),
            ("PATCH", one): partial(self._update_thing, kind),
            ("PUT", one): partial(self._update_thing, kind),
            ("DELETE", one): partial(self._delete_thing, kind),
        }

    def _create_thing(self, kind: str, request: Request, _: datetime, given: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        self._creates[kind] += 1
        nickname = request.fields.get("nickname") or None
        if nickname in self.nicknames(kind):
            return _NICKNAME_TAKEN
        self.take_id(kind, given)
        self.things[kind][given] = {"nickname": nickname} | self._content(kind, request.fields)
        return success({"id": given, "nickname": nickname})

    def _list_things(self, kind: str, request: Request, _: datetime, __: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        things = self.things[kind]
        return Answer(200, [{f"{kind}_id": one, **things[one]} for one in _part(things, request.fields)])

    def _show_thing(self, kind: str, request: Request, _: datetime, __: int) -> Answer:
        thing = self.things[kind].get(request.identifier or 0)
        if thing is None:
            return missing(kind, request.identifier)
        return Answer(200, {f"{kind}_id": request.identifier, **thing})

    def _update_thing(self, kind: str, request: Request, _: datetime, __: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        thing = self.things[kind].get(request.identifier or 0)
        if thing is None:
            return missing(kind, request.identifier)
        if not request.fields:
            return _nothing_given(("days", "nickname") if kind == "schedule" else (*_PACE, "nickname"))
        nickname = request.fields.get("nickname", thing["nickname"]) or None
        if nickname != thing["nickname"] and nickname in self.nicknames(kind):
            return _NICKNAME_TAKEN
        thing |= {"nickname": nickname} | self._content(kind, request.fields)
        days = {"days": json.dumps(thing["days"], separators=(",", ":"))} if kind == "schedule" else {}
        return success({"id": request.identifier, "nickname": nickname, **days})

    def _delete_thing(self, kind: str, request: Request, _: datetime, __: int) -> Answer:
        identifier = request.identifier or 0
        thing = self.things[kind].get(identifier)
        if thing is None:
            return missing(kind, identifier)
        users = [user for user, campaign in self.campaigns.items() if identifier in _used(kind, campaign)]
        if users:
            told = f"{kind.capitalize()} {thing['nickname'] or ''}(id {identifier})"
            return error(409, f"{told} is being used with campaign id {max(users)}.")
        del self.things[kind][identifier]
        return success()

    @staticmethod
    def _content(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        if kind == "profile":
            return {name: fields[name] for name in _PACE if name in fields}
        return {"days": [day for day in _WEEK if day in fields["days"]]} if "days" in fields else {}

    def _create_campaign(self, request: Request, _: datetime, given: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        fields = request.fields
        faults: dict[str, list[str]] = {}
        schedule, windows = self._schedule(fields, faults), self._windows(fields, faults)
        if faults:
            return Answer(422, faults)
        queue, dropped = _entries(fields)
        self._creates["campaign"] += 1
        self.take_id("campaign", given)
        self.campaigns[given] = Campaign(
            *(fields["start_date"], fields["end_date"], schedule, windows),
            *(fields["start_url"], fields.get("result_url") or None),
            queue=queue,
        )
        tells = {"dropped": dropped} if fields.get("unique") and fields.get("phone_numbers") else {}
        return success({"id": given, **tells})

    def _list_campaigns(self, request: Request, now: datetime, _: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        part = self.campaigns if request.method != "GET" else _part(self.campaigns, request.fields)
        return Answer(200, [self._shown(identifier, now) for identifier in part])

    def _show_campaign(self, request: Request, now: datetime, _: int) -> Answer:
        if request.identifier not in self.campaigns:
            return missing("campaign", request.identifier)
        return Answer(200, self._shown(request.identifier, now))

    def _update_campaign(self, request: Request, _: datetime, __: int) -> Answer:
        if request.identifier not in self.campaigns:
            return missing("campaign", request.identifier)
        if request.wrong is not None:
            return Answer(422, request.wrong)
        if not request.fields:
            return _nothing_given(_PLAN)
        campaign, fields = self.campaigns[request.identifier], request.fields
        dates: dict[str, str] = {name: fields.get(name, getattr(campaign, name)) for name in ("start_date", "end_date")}
        faults: dict[str, list[str]] = {}
        if "start_date" in fields and "end_date" in fields:
            faults |= _date_faults(dates, fields)
        schedule, windows = self._schedule(fields, faults), self._windows(fields, faults)
        faults = faults or _date_faults(dates, fields)
        if faults:
            return Answer(422, faults)
        changes: dict[str, Any] = {"schedule": schedule} if "schedule" in fields else {}
        changes |= {"windows": windows} if "profiles" in fields else {}
        changes |= {name: fields[name] for name in ("start_url", "max_retries", "retry_interval") if name in fields}
        changes |= {"result_url": fields["result_url"] or None} if "result_url" in fields else {}
        self.campaigns[request.identifier] = replace(campaign, **changes | dates)
        return success({"id": request.identifier})

    def _delete_campaign(self, request: Request, _: datetime, __: int) -> Answer:
        if self.campaigns.pop(request.identifier or 0, None) is None:
            return missing("campaign", request.identifier)
        return success()

    def _start(self, request: Request, _: datetime, __: int) -> Answer:
        return self._turn(request, {"created": "running", "stopped": "running"})

    def _stop(self, request: Request, _: datetime, __: int) -> Answer:
        return self._turn(request, {"running": "stopped"})

    def _turn(self, request: Request, turns: Mapping[str, str]) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        campaign = self.campaigns.get(request.fields["campaign_id"])
        if campaign is None:
            return missing("campaign", request.fields["campaign_id"])
        campaign.status = turns.get(campaign.status, campaign.status)
        return success()

    def _add_calls(self, request: Request, _: datetime, __: int) -> Answer:
        if request.wrong is not None:
            return Answer(422, request.wrong)
        campaign = self.campaigns.get(request.fields["campaign_id"])
        if campaign is None:
            return missing("campaign", request.fields["campaign_id"])
        queue, dropped = _entries(request.fields)
        campaign.queue += queue
        return success({"dropped": dropped} if request.fields.get("unique") else None)

    def _calls(self, request: Request, _: datetime, __: int) -> Answer:
        if request.identifier not in self.campaigns:
            return missing("campaign", request.identifier)
        if request.wrong is not None:
            return Answer(422, request.wrong)
        calls = {
            request.identifier * 2**32 + place: entry
            for place, entry in enumerate(self.campaigns[request.identifier].queue)
        }
        listed = [_call(identifier, *calls[identifier]) for identifier in _part(calls, request.fields)]
        return Answer(200, _csv(listed) if request.fields.get("format") == "csv" else listed)

    def _forecast(self, request: Request, now: datetime, _: int) -> Answer:
        if request.identifier not in self.campaigns:
            return missing("campaign", request.identifier)
        queued = len(self.campaigns[request.identifier].queue)
        last, left = self._last_call(self.campaigns[request.identifier], queued, now)
        told = {"campaign_id": request.identifier, "queued": queued, "fits": left == 0, "left_over": left}
        return Answer(200, told | {"last_call_at": last.isoformat() if last is not None else None})

    def _last_call(self, campaign: Campaign, queued: int, now: datetime) -> tuple[datetime | None, int]:
        """When the last of them that fits is due, and how many don't fit: each day's instants, one by one."""
        day = max(date.fromisoformat(campaign.start_date), now.astimezone(_NEW_YORK).date())
        last, left = None, queued
        while left and day <= date.fromisoformat(campaign.end_date):
            if _WEEK[day.weekday()] in self.things["schedule"][campaign.schedule]["days"]:
                fitting = sorted(
                    instant
                    for profile, start, end in campaign.windows
                    for instant in _due(self.things["profile"][profile], _local(day, start), _local(day, end))
                    if instant > now
                )[:left]
                last, left = fitting[-1] if fitting else last, left - len(fitting)
            day += timedelta(days=1)
        return last, left

    def _schedule(self, fields: Mapping[str, Any], faults: dict[str, list[str]]) -> int:
        found = self._find("schedule", fields["schedule"]) if "schedule" in fields else 0
        if found is None:
            faults["schedule"] = [f'The selected schedule is invalid. It is "{fields["schedule"]}".']
        return found or 0

    def _windows(self, fields: Mapping[str, Any], faults: dict[str, list[str]]) -> list[tuple[int, str, str]]:
        windows = []
        for place, window in enumerate(fields.get("profiles", ())):
            found = self._find("profile", window["profile"])
            if found is None:
                name = f"profiles.{place}.profile"
                faults[name] = [f'The selected {name} is invalid. It is "{window["profile"]}".']
            windows.append((found or 0, window["start_time"], window["end_time"]))
        return windows

    def _find(self, kind: str, reference: int | str) -> int | None:
        """By id or nickname; where both fit, by id."""
        written, things = str(reference), self.things[kind]
        if written.isdigit() and int(written) in things:
            return int(written)
        return next((identifier for identifier, thing in things.items() if thing["nickname"] == written), None)

    def _shown(self, identifier: int, now: datetime) -> dict[str, Any]:
        campaign = self.campaigns[identifier]
        is_over = now.astimezone(_NEW_YORK).date() > date.fromisoformat(campaign.end_date)
        schedule, profiles = self.things["schedule"][campaign.schedule], self.things["profile"]
        none = dict.fromkeys(("dialling", "deferred", "completed", "failed", "uncertain"), 0)
        return {
            "campaign_id": identifier,
            "status": "ended" if is_over and campaign.status != "created" else campaign.status,
            "start_date": f"{campaign.start_date} 00:00:00",
            "end_date": f"{campaign.end_date} 00:00:00",
            "start_url": campaign.start_url,
            "result_url": campaign.result_url,
            "schedule_id": campaign.schedule,
            "schedule_nickname": schedule["nickname"] or str(campaign.schedule),
            "profiles": [
                {"profile_id": profile, "nickname": profiles[profile]["nickname"], "start_time": start, "end_time": end}
                for profile, start, end in campaign.windows
            ],
            "max_retries": campaign.max_retries,
            "retry_interval": campaign.retry_interval,
            "progress": {"total": len(campaign.queue), "queued": len(campaign.queue)} | none,
        }


def _used(kind: str, campaign: Campaign) -> set[int]:
    return {campaign.schedule} if kind == "schedule" else {profile for profile, _, _ in campaign.windows}


def _part(identifiers: Mapping[int, object], fields: Mapping[str, Any]) -> list[int]:
    """Those after `after`, as many as `limit` says."""
    return [identifier for identifier in sorted(identifiers) if identifier > fields.get("after", 0)][
        : fields.get("limit")
    ]


def _entries(fields: Mapping[str, Any]) -> tuple[list[tuple[str, str]], int]:
    """Each number with its reference, and how many repeats were dropped. The numbers come in their normal form."""
    unique, entries, callees = bool(fields.get("unique")), [], set()
    written = fields.get("phone_numbers", ())
    for destination, _, reference in (one.partition(", ") for one in written):
        callee, _, _ = destination.partition(";")  # whatever caller id it is shown
        if not (unique and callee in callees):
            entries.append((destination, reference))
        callees.add(callee)
    return entries, len(written) - len(entries)


def _date_faults(dates: Mapping[str, str], fields: Mapping[str, Any]) -> dict[str, list[str]]:
    """Dates as text sort as they follow each other."""
    if dates["start_date"] <= dates["end_date"]:
        return {}
    if "end_date" in fields:
        told = f'The end_date field must be a date after or equal to start_date. It is "{fields["end_date"]}".'
        return {"end_date": [told]}
    told = f'The start_date field must be a date before or equal to end_date. It is "{fields["start_date"]}".'
    return {"start_date": [told]}


def _call(identifier: int, destination: str, reference: str) -> dict[str, Any]:
    """Nobody dials here: every number is queued."""
    told = {"call_id": identifier, "phone_number": destination, "message_reference": reference}
    return dict.fromkeys(_CALL) | told | {"state": "queued", "attempts": 0, "report_attempts": 0}


def _csv(calls: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _CALL)
    writer.writeheader()
    writer.writerows(calls)
    return text.getvalue()


def _local(day: date, hour: str) -> datetime:
    if hour == "24:00":
        return _local(day + timedelta(days=1), "00:00")
    return datetime.combine(day, time.fromisoformat(hour), _NEW_YORK).astimezone(UTC)


def _due(pace: Mapping[str, int], opens: datetime, closes: datetime) -> Iterator[datetime]:
    cycle = opens
    while cycle < closes:
        for place in range(pace["amount_per_period"]):
            instant = cycle + place * timedelta(minutes=pace["period"]) / pace["amount_per_period"]
            if instant < closes:
                yield instant
        cycle += timedelta(minutes=pace["period"] + pace["time_between_periods"])
