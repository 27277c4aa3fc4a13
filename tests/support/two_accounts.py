"""Two accounts send requests to all endpoints of the API, in any order, over one database. Then each account sends the
same requests alone, over a database of its own. It must get the same answers.

Each step is drawn from a seed of its own and from what exists by then. So a story can be repeated without some of its
steps.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode

from chalicelib.api.routes import ENDPOINTS
from chalicelib.api.services import Services
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.storage.database import Database
from tests.support.customer import Customer
from tests.support.http import Client, Reply, multipart
from tests.support.world import HandClock

#: A Monday, 08:00 in New York. It is in the future, so that nothing expires by the emulator's own clock.
BEGIN = datetime(2040, 1, 2, 13, tzinfo=UTC)
ALL = [(method, path) for path, endpoints in ENDPOINTS.items() for method in endpoints]
KINDS = ("schedule", "profile", "campaign")
#: How many things of a kind an account has at most. When it has as many, one is deleted instead of created.
MOST = {"schedule": 3, "profile": 3, "campaign": 2}
#: how many calls of an account's first campaign are in progress
CALLS = 3
#: what an account's nicknames, URLs and references contain, and what its phone numbers begin with
LABELS, AREAS = ("acme", "bolt"), ("222", "333")

#: Idempotency-Keys. In the beginning s1 creates a schedule, p1 a profile, and c1 a campaign.
KEYS = (None, None, None, None, "s1", "p1", "c1", "k1", "k2")
#: whole seconds between calls
PACES = ((30, 6, 10), (1, 1, 0), (60, 1, 0), (7, 7, 3))
DATES = ("2022-01-01", "2022-01-05", "2040-01-02", "2040-01-04", "2040-01-09")
HOURS = (("08:00", "11:00"), ("00:00", "24:00"), ("09:30", "10:00"))
WRONG: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("POST", "/api/schedules", {"days": []}),
    ("POST", "/api/schedules", {"days": ["mon", "someday"], "nickname": "n" * 65}),
    ("POST", "/api/profiles", {"period": 0, "amount_per_period": "x"}),
    ("POST", "/api/campaigns", {}),
    ("POST", "/api/campaigns/start", {}),
    ("POST", "/api/campaigns/stop", {"campaign_id": "one"}),
    ("POST", "/api/campaigns/add-calls", {"campaign_id": 1, "phone_numbers": ["+12223334444", "12"]}),
    ("POST", "/api/campaigns/cancel-calls", {"campaign_id": 1, "call_ids": ["x"]}),
    ("PATCH", "/api/schedules/{id}", {"days": []}),
    ("PUT", "/api/profiles/{id}", {"period": None}),
    ("PATCH", "/api/campaigns/{id}", {"start_url": "ftp://a.example/", "max_retries": 11}),
    ("GET", "/api/schedules", {"limit": 0}),
    ("GET", "/api/profiles", {"limit": 1001}),
    ("GET", "/api/campaigns", {"after": "x"}),
    ("GET", "/api/campaigns/{id}/calls", {"format": "xml"}),
)


def the_other(account: str) -> str:
    """What belongs to a campaign is stored under its account's name, a slash and its id. The second account has the
    name under which the first account's campaign 1 is stored.
    """
    return account.removesuffix("/1") if account.endswith("/1") else f"{account}/1"


ACCOUNTS = ("acme", the_other("acme"))


class Request(NamedTuple):
    """What `Client.ask` takes."""

    method: str
    target: str
    body: bytes
    headers: Mapping[str, str]


def request(
    method: str, path: str, fields: Mapping[str, Any], key: str | None = None, *, as_file: bool = False
) -> Request:
    """The fields of a GET or PATCH are sent in the query, those of a file in a form, and others as JSON. `key` is an
    Idempotency-Key.
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    headers = {} if key is None else {"Idempotency-Key": key}
    if method in ("GET", "PATCH"):
        return Request(method, f"{path}?{urlencode(texts)}", b"", headers)
    if as_file:
        numbers = "\r\n".join(fields["phone_numbers"]).encode()
        return Request(method, path, multipart(**texts | {"phone_numbers": numbers}), headers)
    return Request(method, path, json.dumps(fields).encode(), headers)


@dataclass(frozen=True)
class Step:
    at: datetime
    who: int
    request: Request
    reply: Reply

    @property
    def endpoint(self) -> tuple[str, str]:
        return self.request.method, re.sub(r"/\d+", "/{id}", self.request.target.partition("?")[0])

    def __str__(self) -> str:
        method, target, body, headers = self.request
        asked = f"{self.at:%d %H:%M} {LABELS[self.who]}: {method} {target} {body.decode()} {headers or ''}"
        return f"{asked}\n    {self.reply.status} {self.reply.text}"


def begin_calls(services: Services, account: str) -> None:
    """The first calls of the account's first campaign are in progress, so that events can end them."""
    for sequence in range(CALLS):
        claim = services.calls.claim(CampaignKey(account, 1).call(sequence), Entry("tel:+12225550000"), 1, BEGIN)
        if claim is not None:  # with some mistakes, the other account has it
            services.calls.begin_progress(claim, BEGIN)


class Story:
    """There are few ids, nicknames and Idempotency-Keys, so both accounts use the same ones."""

    def __init__(self, database: Database, seeds: Iterable[int]) -> None:
        #: the requests of both accounts with their answers, in order
        self.steps: list[Step] = []
        self._clock = HandClock(BEGIN)
        services = Services.over(database, self._clock)
        self._customers = [Customer(services, account, token=f"token of {account}") for account in ACCOUNTS]
        for account in ACCOUNTS:
            begin_calls(services, account)
        #: the highest id that either account has had, by the kind
        self._highest = Counter[str]()
        self._draw = Random(0)  # noqa: S311 # no secret
        self._create_the_first_things()
        for seed in seeds:
            self._draw = Random(seed)  # noqa: S311 # no secret
            self._act(self._draw.randrange(2))
            for who in (0, 1):
                self._get(who, self._draw.choice(self._everything()))
        for target in self._everything():
            for who in (0, 1):
                self._get(who, target)

    def difference(self, new_database: Callable[[], Database]) -> str | None:
        """The story up to the first answer that differs from the one to an account alone, or is a server error.

        None if there is no such answer.
        """
        for who, account in enumerate(ACCOUNTS):
            clock = HandClock(BEGIN)
            services = Services.over(new_database(), clock)
            alone = Customer(services, account, token=f"token of {account}")
            begin_calls(services, account)
            for index, step in enumerate(self.steps):
                clock.turn_to(step.at)
                if step.who == who and ((reply := alone.ask(*step.request)) != step.reply or reply.status >= 500):
                    story = "\n".join(map(str, self.steps[: index + 1]))
                    return f"{story}\n    {step.reply.headers}\nalone:\n    {reply}"
        return None

    def _create_the_first_things(self) -> None:
        """Both accounts use the same keys, and have things with the id 1 and one nickname.

        Only the first has things with the id 2. Only the second has things with the id 3: it has deleted those with 2.
        All campaigns use the schedule and the profile with the id 1.
        """
        pace = {"period": 1, "amount_per_period": 1, "time_between_periods": 0}
        window = {"profile": 1, "start_time": "08:00", "end_time": "11:00"}
        plan = {"start_date": "2040-01-02", "end_date": "2040-01-09", "schedule": 1, "profiles": [window]}
        for who, ids in enumerate([(1, 2), (1, 2, 3)]):
            for number in ids:
                named = {"nickname": "both" if number == 1 else f"{LABELS[who]} {number}"}
                numbers = {"phone_numbers": [self._number(who, digit) for digit in (0, 1, 2, 1)]}
                self._send(who, request("POST", "/api/schedules", {"days": ["mon", "tue"], **named}, f"s{number}"))
                self._send(who, request("POST", "/api/profiles", {**pace, **named}, f"p{number}"))
                self._send(who, request("POST", "/api/campaigns", {**plan, **self._urls(who), **numbers}, f"c{number}"))
        for kind in reversed(KINDS):
            self._send(1, request("DELETE", f"/api/{kind}s/2", {}))
            self._highest[kind] = 3

    def _act(self, me: int) -> None:
        actions: list[Callable[[int], object]] = [
            *[self._create, self._update] * 3,
            *[self._show_call, self._post_event, self._start_or_stop] * 2,
            *(self._update_none, self._delete, self._add_calls, self._show, self._list),
            *(
                self._list_calls,
                self._forecast,
                self._repeat,
                self._send_wrong_fields,
                self._ask_without_a_token,
            ),
            *(self._advance_clock, self._cancel_calls),
        ]
        self._draw.choice(actions)(me)

    def _create(self, me: int) -> None:
        kind = self._draw.choice(KINDS)
        things, fields = self._things(me, kind), self._fields(me, kind)
        if len(things) >= MOST[kind]:
            self._send(me, request("DELETE", f"/api/{kind}s/{self._draw.choice([*things])}", {}))
            return
        if kind == "campaign":
            fields["start_date"], fields["end_date"] = sorted((fields["start_date"], fields["end_date"]))
            fields |= self._numbers(me, 0)
        as_file = "phone_numbers" in fields and self._draw.random() < 0.5
        self._send(me, request("POST", f"/api/{kind}s", fields, self._draw.choice(KEYS), as_file=as_file))

    def _update(self, me: int) -> None:
        kind = self._draw.choice(KINDS)
        fields = {name: value for name, value in self._fields(me, kind).items() if self._draw.random() < 0.5}
        self._send(me, request(self._draw.choice(["PATCH", "PUT"]), self._one(me, kind), fields))

    def _update_none(self, me: int) -> None:
        self._send(me, request(self._draw.choice(["PATCH", "PUT"]), "/api/campaigns", self._urls(me)))

    def _delete(self, me: int) -> None:
        self._send(me, request("DELETE", self._one(me, self._draw.choice(KINDS)), {}))

    def _start_or_stop(self, me: int) -> None:
        path, fields = self._draw.choice(["start", "start", "stop"]), {"campaign_id": self._identifier(me, "campaign")}
        self._send(me, request("POST", f"/api/campaigns/{path}", fields, self._draw.choice(KEYS)))

    def _add_calls(self, me: int) -> None:
        fields = {"campaign_id": self._identifier(me, "campaign"), **self._numbers(me, 1)}
        key, as_file = self._draw.choice(KEYS), self._draw.random() < 0.5
        self._send(me, request("POST", "/api/campaigns/add-calls", fields, key, as_file=as_file))

    def _cancel_calls(self, me: int) -> None:
        """By id, number or reference: the account's own, the other's, or none."""
        campaign, who = self._identifier(me, "campaign"), self._draw.randrange(2)
        named: dict[str, Any] = self._draw.choice(
            [
                {"call_ids": [campaign * 2**32 + self._draw.randrange(5), 2**32 + CALLS]},
                {"phone_numbers": [self._number(who, self._draw.randrange(3))]},
                {"message_reference": f"{LABELS[who]} {self._draw.randrange(3)}"},
            ]
        )
        self._send(me, request("POST", "/api/campaigns/cancel-calls", {"campaign_id": campaign, **named}))

    def _show(self, me: int) -> None:
        self._get(me, self._one(me, self._draw.choice(KINDS)))

    def _list(self, me: int) -> None:
        self._send(me, request("GET", f"/api/{self._draw.choice(KINDS)}s", self._page()))

    def _list_calls(self, me: int) -> None:
        campaign = self._identifier(me, "campaign")
        fields: dict[str, Any] = {**self._page(campaign * 2**32), "format": self._draw.choice(["json", "csv"])}
        fields |= self._draw.choice([{}, {"state": "queued"}, {"state": "in_progress,dialling"}])
        fields |= self._draw.choice([{}, {"phone_number": f"1{AREAS[self._draw.randrange(2)]}5550001"}])
        self._send(me, request("GET", f"/api/campaigns/{campaign}/calls", fields))

    def _show_call(self, me: int) -> None:
        self._get(me, self._call(me))

    def _post_event(self, me: int) -> None:
        status = self._draw.choice(["ringing", "completed", "busy", "no-answer", "gone"])
        self._send(me, request("POST", f"{self._call(me)}/events", {"status": status}, self._draw.choice(KEYS)))

    def _forecast(self, me: int) -> None:
        self._get(me, f"{self._one(me, 'campaign')}/forecast")

    def _repeat(self, me: int) -> None:
        """Send an earlier request that had a key: one of the account's own, or of the other's."""
        self._send(me, self._draw.choice([step.request for step in self.steps if step.request.headers]))

    def _send_wrong_fields(self, me: int) -> None:
        method, path, fields = self._draw.choice(WRONG)
        if "{id}" in path:
            path = path.replace("{id}", str(self._identifier(me, path.split("/")[2].removesuffix("s"))))
        self._send(me, request(method, path, fields, self._draw.choice(KEYS) if method == "POST" else None))

    def _ask_without_a_token(self, _: int) -> None:
        """Without a token, or with one that isn't valid, such as an account's name."""
        method, path = self._draw.choice(ALL)
        one, key = self._draw.randint(1, 4), self._draw.choice(KEYS) if method == "POST" else None
        fields = {"days": ["sun"], "nickname": "mine", "campaign_id": one, "phone_numbers": ["+12223334444"]}
        asked = request(method, path.replace("{id}", str(one)), fields, key)
        reply = Client(self._customers[0].app, self._draw.choice([None, "", "nobody's", *ACCOUNTS])).ask(*asked)
        assert (reply.status, reply.json) == (401, {"status": "error", "error": "Unauthenticated."}), asked

    def _advance_clock(self, _: int) -> None:
        """Keys expire after a day, and campaigns end."""
        self._clock.turn_to(self._clock.now() + timedelta(hours=self._draw.randint(1, 40)))

    def _get(self, who: int, target: str) -> Reply:
        return self._send(who, Request("GET", target, b"", {}))

    def _send(self, who: int, asked: Request) -> Reply:
        reply = self._customers[who].ask(*asked)
        self.steps.append(Step(self._clock.now(), who, asked, reply))
        return reply

    def _everything(self) -> list[str]:
        """All paths that an account may read: of its own things, of the other's, of deleted ones, and of none."""
        ones = {kind: [f"/api/{kind}s/{one}" for one in range(1, self._highest[kind] + 2)] for kind in KINDS}
        more = [f"{one}/{what}" for one in ones["campaign"] for what in ("calls", "calls?format=csv", "forecast")]
        return [*(f"/api/{kind}s" for kind in KINDS), *(one for kind in KINDS for one in ones[kind]), *more]

    def _things(self, who: int, kind: str) -> dict[int, str | None]:
        """The account's things of this kind by id, each with its nickname."""
        reply = self._get(who, f"/api/{kind}s")
        listed = reply.json if reply.status == 200 else []
        things: dict[int, str | None] = {one[f"{kind}_id"]: one.get("nickname") for one in listed}
        self._highest[kind] = max([self._highest[kind], *things])
        return things

    def _call(self, me: int) -> str:
        campaign = self._draw.choice([1, self._identifier(me, "campaign")])
        return f"/api/calls/{campaign * 2**32 + self._draw.randrange(CALLS + 1)}"

    def _one(self, me: int, kind: str) -> str:
        return f"/api/{kind}s/{self._identifier(me, kind)}"

    def _identifier(self, me: int, kind: str) -> int:
        """An id of the account's own things, as often of those that only the other has; of deleted ones, or of none."""
        own, others = self._things(me, kind), self._things(1 - me, kind)
        choice = [*own, *(one for one in others if one not in own)] * 2
        choice += range(1, self._highest[kind] + 2)
        return self._draw.choice(choice)

    def _references(self, me: int, kind: str, length: int) -> list[int | str]:
        """References by id or nickname: to the account's own things, to those that only the other has, and to none."""
        own, others = self._names(me, kind), self._names(1 - me, kind)
        of_the_other = [one for one in others if one not in own]
        return self._draw.choices([*own * 3, *of_the_other * 2, "nobody's"], k=length)

    def _names(self, who: int, kind: str) -> list[int | str]:
        things = self._things(who, kind)
        return [*things, *(nickname for nickname in things.values() if nickname is not None)]

    def _fields(self, me: int, kind: str) -> dict[str, Any]:
        """All fields that a thing of this kind may have."""
        draw, label = self._draw, LABELS[me]
        if kind == "campaign":
            hours = draw.choices(HOURS, k=draw.randint(1, 2))
            profiles = self._references(me, "profile", len(hours))
            return {
                "start_date": draw.choice(DATES),
                "end_date": draw.choice(DATES),
                "schedule": self._references(me, "schedule", 1)[0],
                "profiles": [
                    {"profile": profile, "start_time": start, "end_time": end}
                    for profile, (start, end) in zip(profiles, hours, strict=True)
                ],
                **self._urls(me),
                "max_retries": draw.randint(0, 10),
                "retry_interval": draw.randint(60, 90),
            }
        # one that both accounts use, some that could be ids, and some that only this account uses
        nickname = {"nickname": draw.choice(["", "both", "both", "1", "2", f"{label} 2", f"{label} 3"])}
        if kind == "schedule":
            return {"days": draw.sample(["sat", "mon", "tue", "fri"], draw.randint(1, 3)), **nickname}
        pace = zip(("period", "amount_per_period", "time_between_periods"), draw.choice(PACES), strict=True)
        return {**dict(pace), **nickname}

    def _urls(self, me: int) -> dict[str, Any]:
        url = f"http://{LABELS[me]}.example/{self._draw.randrange(9)}"
        return {"start_url": url, "result_url": self._draw.choice(["", url])}

    def _numbers(self, me: int, fewest: int) -> dict[str, Any]:
        numbers = [self._number(me, self._draw.randrange(5)) for _ in range(self._draw.randint(fewest, 6))]
        unique = self._draw.choice([False, True, "campaign", "campaign"])
        return {"unique": unique, **({"phone_numbers": numbers} if numbers else {})}

    def _number(self, me: int, digit: int) -> str:
        """A number with or without a caller id, and with or without a reference."""
        number = f"tel:+1{AREAS[me]}555000{digit}" + self._draw.choice(["", f";ani={AREAS[me]}"])
        return number + self._draw.choice(["", f", {LABELS[me]} {digit}"])

    def _page(self, before: int = 0) -> dict[str, int]:
        page = {"limit": self._draw.randint(1, 3), "after": before + self._draw.randint(0, 4)}
        return {name: value for name, value in page.items() if self._draw.random() < 0.5}
