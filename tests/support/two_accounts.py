"""Two accounts that do whatever can be done through the API, in any order, over one database; and what must be so after
each step.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeAlias
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chalicelib.api.services import Services
from tests.support.accounts_model import UNAUTHENTICATED, AccountModel, Answer, Request
from tests.support.customer import Customer
from tests.support.http import Client, Reply, multipart
from tests.support.world import HandClock

Fields: TypeAlias = dict[str, Any]

#: A Monday, 08:00 in New York: so late that nothing expires by the emulator's own clock, only by the accounts'.
BEGIN = datetime(2040, 1, 2, 13, tzinfo=UTC)
#: Things of a kind that an account has at most: instead of one more, one is deleted. A crowd is slow to look at.
MOST = {"schedule": 3, "profile": 3, "campaign": 2}
#: in how many turns it is looked at what isn't there
TURNS = 6
#: stands for the account's own mark in what is drawn
MARK = "*"

_accounts = count(1)

sides = st.sampled_from([0, 1])
#: which of those that there are; what there is depends on what has happened
picks = st.integers(0, 23)
#: one that both accounts use, some that look like ids, and the account's own
nicknames = st.sampled_from(["", "both", "both", "1", "2", f"{MARK} 2", f"{MARK} 3"])
#: those of the first three are used in the beginning, each for one kind
keys = st.sampled_from([None, None, None, None, "s1", "p1", "c1", "k1", "k2"])
days = st.lists(st.sampled_from(["sat", "mon", "tue", "fri"]), min_size=1, max_size=3)
#: whole seconds between calls
paces = st.sampled_from([(30, 6, 10), (1, 1, 0), (60, 1, 0), (7, 7, 3)]).map(
    lambda pace: dict(zip(("period", "amount_per_period", "time_between_periods"), pace, strict=True))
)
dates = st.sampled_from(["2022-01-01", "2022-01-05", "2040-01-02", "2040-01-04", "2040-01-09"])
hours = st.sampled_from([("08:00", "11:00"), ("00:00", "24:00"), ("09:30", "10:00")])
windows = st.lists(st.tuples(picks, hours), min_size=1, max_size=2)
#: each the last digit of a number, whether it has a caller id, and whether it has a reference
numbers = st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=6)
pages = st.fixed_dictionaries({}, optional={"limit": st.integers(1, 3), "after": st.integers(0, 4)})

WRONG: list[Request] = [
    Request("POST", "/api/schedules", fields={"days": []}, wrong={"days": ["The days field is required."]}),
    Request(
        "POST",
        "/api/schedules",
        fields={"days": ["mon", "someday"], "nickname": "n" * 65},
        wrong={
            "days.1": ['The days.1 field "someday" is invalid: one of mon, tue, wed, thu, fri, sat, sun.'],
            "nickname": [f'The nickname field must not be greater than 64 characters. It is "{"n" * 40}\u2026".'],
        },
    ),
    Request(
        "POST",
        "/api/profiles",
        fields={"period": 0, "amount_per_period": "x"},
        wrong={
            "period": ['The period field must be at least 1. It is "0".'],
            "amount_per_period": ['The amount_per_period field must be an integer. It is "x".'],
            "time_between_periods": ["The time_between_periods field is required."],
        },
    ),
    Request(
        "POST",
        "/api/campaigns",
        wrong={
            name: [f"The {name} field is required."]
            for name in ("start_date", "end_date", "schedule", "profiles", "start_url")
        },
    ),
    Request("POST", "/api/campaigns/start", wrong={"campaign_id": ["The campaign_id field is required."]}),
    Request(
        "POST",
        "/api/campaigns/stop",
        fields={"campaign_id": "one"},
        wrong={"campaign_id": ['The campaign_id field must be an integer. It is "one".']},
    ),
    Request(
        "POST",
        "/api/campaigns/add-calls",
        fields={"campaign_id": 1, "phone_numbers": ["+12223334444", "12"]},
        wrong={
            "phone_numbers": ["The phone_numbers field has 1 invalid entry."],
            "phone_numbers.1": ['The phone_numbers.1 entry "12" is not a valid phone number.'],
        },
    ),
    Request("PATCH", "/api/schedules/{id}", fields={"days": []}, wrong={"days": ["The days field is required."]}),
    Request("PUT", "/api/profiles/{id}", fields={"period": None}, wrong={"period": ["The period field is required."]}),
    Request(
        "PATCH",
        "/api/campaigns/{id}",
        fields={"start_url": "ftp://a.example/", "max_retries": 11},
        wrong={
            "start_url": ['The start_url field must be a valid http or https URL. It is "ftp://a.example/".'],
            "max_retries": ['The max_retries field must not be greater than 10. It is "11".'],
        },
    ),
    Request(
        "GET",
        "/api/schedules",
        fields={"limit": 0},
        wrong={"limit": ['The limit field must be at least 1. It is "0".']},
    ),
    Request(
        "GET",
        "/api/profiles",
        fields={"limit": 1001},
        wrong={"limit": ['The limit field must not be greater than 1000. It is "1001".']},
    ),
    Request(
        "GET",
        "/api/campaigns",
        fields={"after": "x"},
        wrong={"after": ['The after field must be an integer. It is "x".']},
    ),
    Request(
        "GET",
        "/api/campaigns/{id}/calls",
        fields={"format": "xml"},
        wrong={"format": ['The selected format "xml" is invalid: one of json, csv.']},
    ),
]


def the_other(account: str) -> str:
    """What belongs to a campaign is stored under its account's name, a slash and its id: so the second account is named
    as the first one's campaign 1 is there.
    """
    return account.removesuffix("/1") if account.endswith("/1") else f"{account}/1"


@dataclass
class Tally:
    """What was done, in all stories."""

    steps: int = 0
    requests: int = 0
    #: each step's account, method, path and status
    answered: Counter[tuple[int | None, str, str, int]] = field(default_factory=Counter)


class Side:
    """One of the two: who asks, what it must be answered, and the marks that are its own."""

    def __init__(self, services: Services, account: str, name: str, area: str) -> None:
        #: stands in its nicknames, URLs and references
        self.mark = f"{name}{next(_accounts)}x"
        #: begins its phone numbers
        self.area = area
        self.customer = Customer(services, account, token=f"token of {self.mark}")
        self.model = AccountModel()

    def owns(self, text: str) -> bool:
        return self.mark in text or f"+1{self.area}" in text


class TwoAccounts(RuleBasedStateMachine):
    """Ids, nicknames and Idempotency-Keys are few, so that the accounts share them."""

    def __init__(self, services: Services, clock: HandClock, tally: Tally, turns: int) -> None:
        """What there is to be seen one by one is looked at in so many turns, a part of it after each step."""
        super().__init__()
        self.clock = clock
        self.tally = tally
        self.turns = turns
        first = f"acme{next(_accounts)}"
        self.sides = (Side(services, first, "acme", "222"), Side(services, the_other(first), "bolt", "333"))
        #: the repeatable requests so far, of both
        self.keyed: list[Request] = []
        self.steps = 0
        #: who acted last; None if it was nobody of the two
        self.last: int | None = None

    @initialize()
    def each_has_something(self) -> None:
        """Both have the ids 1 and the nickname, and send the same keys; 2 is the first's alone, and 3 the second's, who
        has deleted 2. All campaigns use what has the id 1.
        """
        pace = {"period": 1, "amount_per_period": 1, "time_between_periods": 0}
        numbers = [(0, False, True), (1, True, False), (2, False, False), (1, False, True)]
        plan = "2040-01-02", "2040-01-09", 0, [(0, ("08:00", "11:00"))], numbers, False, False
        for who, places in ((0, (1, 2)), (1, (1, 2, 3))):
            for place in places:
                named = {"nickname": "both" if place == 1 else self.observe_head(who, f"{MARK} {place}")}
                self.create(who, "schedule", {"days": ["mon", "tue"], **named}, f"s{place}")
                self.create(who, "profile", {**pace, **named}, f"p{place}")
                self.create_campaign(who, *plan, key=f"c{place}")
                if (who, place) == (1, 2):
                    for kind in ("campaign", "profile", "schedule"):
                        self.step(who, Request("DELETE", f"/api/{kind}s/{{id}}", place))

    @rule(who=sides, days=days, nickname=nicknames, key=keys)
    def create_schedule(self, who: int, days: list[str], nickname: str, key: str | None) -> None:
        self.create(who, "schedule", {"days": days, "nickname": self.observe_head(who, nickname)}, key)

    @rule(who=sides, pace=paces, nickname=nicknames, key=keys)
    def create_profile(self, who: int, pace: dict[str, int], nickname: str, key: str | None) -> None:
        self.create(who, "profile", {**pace, "nickname": self.observe_head(who, nickname)}, key)

    @rule(
        who=sides,
        first=dates,
        last=dates,
        schedule=picks,
        windows=windows,
        numbers=st.just([]) | numbers,
        unique=st.booleans(),
        as_file=st.booleans(),
        key=keys,
    )
    def create_campaign(
        self,
        who: int,
        first: str,
        last: str,
        schedule: int,
        windows: list[tuple[int, tuple[str, str]]],
        numbers: list[tuple[int, bool, bool]],
        unique: bool,
        as_file: bool,
        key: str | None,
    ) -> None:
        first, last = sorted((first, last))
        fields: Fields = {
            "start_date": first,
            "end_date": last,
            "schedule": self.reference(who, "schedule", schedule),
            "profiles": self.profiles(who, windows),
            "start_url": f"http://{self.sides[who].mark}.example/start",
            "result_url": f"http://{self.sides[who].mark}.example/result",
            "unique": unique,
        }
        if numbers:
            fields["phone_numbers"] = self.written(who, numbers)
        self.create(who, "campaign", fields, key, as_file=as_file and bool(numbers))

    @rule(
        who=sides,
        method=st.sampled_from(["PATCH", "PUT"]),
        pick=picks,
        fields=st.fixed_dictionaries({}, optional={"days": days, "nickname": nicknames}),
    )
    def update_schedule(self, who: int, method: str, pick: int, fields: Fields) -> None:
        self.update(who, "schedule", method, pick, fields)

    @rule(
        who=sides,
        method=st.sampled_from(["PATCH", "PUT"]),
        pick=picks,
        pace=paces | st.just({}),
        nickname=st.none() | nicknames,
    )
    def update_profile(self, who: int, method: str, pick: int, pace: dict[str, int], nickname: str | None) -> None:
        self.update(who, "profile", method, pick, {**pace, **({} if nickname is None else {"nickname": nickname})})

    @rule(
        who=sides,
        method=st.sampled_from(["PATCH", "PUT"]),
        pick=picks,
        fields=st.fixed_dictionaries(
            {},
            optional={
                "start_date": dates,
                "end_date": dates,
                "schedule": picks,
                "profiles": windows,
                "start_url": st.just(f"http://{MARK}.example/new"),
                "result_url": st.sampled_from(["", f"http://{MARK}.example/new"]),
                "max_retries": st.integers(0, 10),
                "retry_interval": st.integers(60, 90),
            },
        ),
    )
    def update_campaign(self, who: int, method: str, pick: int, fields: Fields) -> None:
        if "schedule" in fields:
            fields = {**fields, "schedule": self.reference(who, "schedule", fields["schedule"])}
        if "profiles" in fields:
            fields = {**fields, "profiles": self.profiles(who, fields["profiles"])}
        self.update(who, "campaign", method, pick, fields)

    @rule(who=sides, method=st.sampled_from(["PATCH", "PUT"]))
    def update_no_campaign(self, who: int, method: str) -> None:
        self.step(who, Request(method, "/api/campaigns", fields={"start_url": f"http://{MARK}.example/new"}))

    @rule(who=sides, kind=st.sampled_from(["schedule", "profile", "campaign"]), pick=picks)
    def delete(self, who: int, kind: str, pick: int) -> None:
        self.step(who, Request("DELETE", f"/api/{kind}s/{{id}}", self.identifier(who, kind, pick)))

    @rule(who=sides, action=st.sampled_from(["start", "start", "stop"]), pick=picks, key=keys)
    def turn(self, who: int, action: str, pick: int, key: str | None) -> None:
        fields = {"campaign_id": self.identifier(who, "campaign", pick)}
        self.step(who, Request("POST", f"/api/campaigns/{action}", fields=fields, key=key))

    @rule(who=sides, pick=picks, numbers=numbers, unique=st.booleans(), as_file=st.booleans(), key=keys)
    def add_calls(
        self, who: int, pick: int, numbers: list[tuple[int, bool, bool]], unique: bool, as_file: bool, key: str | None
    ) -> None:
        fields = {
            "campaign_id": self.identifier(who, "campaign", pick),
            "phone_numbers": self.written(who, numbers),
            "unique": unique,
        }
        self.step(who, Request("POST", "/api/campaigns/add-calls", fields=fields, key=key, as_file=as_file))

    @rule(who=sides, kind=st.sampled_from(["schedule", "profile", "campaign"]), pick=picks)
    def show(self, who: int, kind: str, pick: int) -> None:
        self.step(who, Request("GET", f"/api/{kind}s/{{id}}", self.identifier(who, kind, pick)))

    @rule(who=sides, kind=st.sampled_from(["schedule", "profile", "campaign"]), page=pages)
    def list_things(self, who: int, kind: str, page: dict[str, int]) -> None:
        self.step(who, Request("GET", f"/api/{kind}s", fields=page))

    @rule(who=sides, pick=picks, page=pages, form=st.sampled_from(["json", "csv"]))
    def list_calls(self, who: int, pick: int, page: dict[str, int], form: str) -> None:
        identifier = self.identifier(who, "campaign", pick)
        after = {"after": identifier * 2**32 + page["after"]} if "after" in page else {}
        fields = {**page, **after, "format": form}
        self.step(who, Request("GET", "/api/campaigns/{id}/calls", identifier, fields))

    @rule(who=sides, pick=picks)
    def forecast(self, who: int, pick: int) -> None:
        self.step(who, Request("GET", "/api/campaigns/{id}/forecast", self.identifier(who, "campaign", pick)))

    @rule(who=sides, pick=picks)
    def repeat(self, who: int, pick: int) -> None:
        """One's own request, or the very same that the other made."""
        other = self.sides[1 - who]
        own = [request for request in self.keyed if not other.owns(request.said)]
        if own:
            self.step(who, own[-1 - pick % len(own)])

    @rule(who=sides, wrong=st.sampled_from(WRONG), pick=picks, key=keys)
    def ask_wrongly(self, who: int, wrong: Request, pick: int, key: str | None) -> None:
        kind = wrong.path.split("/")[2].removesuffix("s")
        identifier = self.identifier(who, kind, pick) if "{id}" in wrong.path else None
        key = key if wrong.method == "POST" else None
        self.step(who, Request(wrong.method, wrong.path, identifier, wrong.fields, key, wrong=wrong.wrong))

    @rule(
        token=st.sampled_from([None, "", "nobody's", f"{MARK}"]),
        endpoint=st.sampled_from(sorted(AccountModel().endpoints)),
        identifier=st.integers(1, 4),
        key=keys,
    )
    def ask_as_a_stranger(self, token: str | None, endpoint: tuple[str, str], identifier: int, key: str | None) -> None:
        """Even somebody who knows an account's name."""
        method, path = endpoint
        acme = self.sides[0].customer
        stranger = Client(acme.app, token if token != MARK else acme.account)
        fields = {"days": ["sun"], "nickname": "mine", "campaign_id": identifier, "phone_numbers": ["+12223334444"]}
        request = Request(method, path, identifier, fields, key if method == "POST" else None)
        self.last = None
        reply = send(stranger, request)
        self.compare(reply, UNAUTHENTICATED, request)
        self.tally.answered[None, method, path, reply.status] += 1

    @rule(hours=st.integers(1, 40))
    def time_passes(self, hours: int) -> None:
        """Keys are forgotten after a day; campaigns come to their end."""
        self.last = None
        self.clock.turn_to(self.clock.now() + timedelta(hours=hours))

    @invariant()
    def each_sees_what_is_its_own(self) -> None:
        """Who did nothing sees all as it was; who acted, all as it is by now. And neither sees anything else."""
        self.tally.steps += 1
        self.steps += 1
        for who, side in enumerate(self.sides):
            looks = [*side.model.lists(), *self.by_turns(self.not_its_own(who), TURNS)]
            if who != self.last:
                looks += self.by_turns(side.model.things_one_by_one(), self.turns)
            for request in looks:
                self.check(who, request)

    def by_turns(self, looks: Iterable[Request], turns: int) -> list[Request]:
        return [look for place, look in enumerate(looks) if (place + self.steps) % turns == 0]

    def not_its_own(self, who: int) -> Iterator[Request]:
        """What was deleted, what only the other has, and what nobody has yet."""
        for kind in MOST:
            highest = [side.model.highest[kind] for side in self.sides]
            others = set(range(1, max(highest) + 2)) - set(self.sides[who].model.ids(kind))
            for identifier in sorted(others)[-3:]:
                yield Request("GET", f"/api/{kind}s/{{id}}", identifier)

    def create(self, who: int, kind: str, fields: Fields, key: str | None, *, as_file: bool = False) -> None:
        ids = self.sides[who].model.ids(kind)
        if len(ids) < MOST[kind]:
            self.step(who, Request("POST", f"/api/{kind}s", fields=fields, key=key, as_file=as_file))
        else:
            self.step(who, Request("DELETE", f"/api/{kind}s/{{id}}", ids[self.steps % len(ids)]))

    def update(self, who: int, kind: str, method: str, pick: int, fields: Fields) -> None:
        observe_head = {
            name: self.observe_head(who, value) if isinstance(value, str) else value for name, value in fields.items()
        }
        self.step(who, Request(method, f"/api/{kind}s/{{id}}", self.identifier(who, kind, pick), observe_head))

    def step(self, who: int, request: Request) -> None:
        if request.key is not None:
            self.keyed.append(request)
        self.last = who
        reply = self.check(who, request)
        self.tally.answered[who, request.method, request.path, reply.status] += 1

    def check(self, who: int, request: Request) -> Reply:
        side, other = self.sides[who], self.sides[1 - who]
        self.tally.requests += 1
        reply = send(side.customer, request)
        assert not other.owns(reply.text + repr(reply.headers)), f"shown to another: {reply}"
        self.compare(reply, side.model.answer(request, self.clock.now(), given_id(reply)), request)
        return reply

    def compare(self, reply: Reply, expected: Answer, request: Request) -> None:
        body = reply.text if reply.headers["content-type"].startswith("text/csv") else reply.json
        told = Answer(reply.status, body, "idempotency-replayed" in reply.headers)
        assert told == expected, f"{request}\n  was answered {told}\n    instead of {expected}"

    def observe_head(self, who: int, text: str) -> str:
        return text.replace(MARK, self.sides[who].mark)

    def identifier(self, who: int, kind: str, pick: int) -> int:
        """Of the account's own things and, as often, of those that only the other has; of deleted ones, and of none."""
        model, other = self.sides[who].model, self.sides[1 - who].model
        own = model.ids(kind)
        foreign = [identifier for identifier in other.ids(kind) if identifier not in own]
        choice: list[int] = [*own * 2, *foreign * 2, *range(1, model.highest[kind] + 2)]
        return choice[pick % len(choice)]

    def reference(self, who: int, kind: str, pick: int) -> int | str:
        """One of the account's own, by id or nickname; also of those that only the other has."""
        model, other = self.sides[who].model, self.sides[1 - who].model
        own: list[int | str] = [*model.ids(kind), *model.nicknames(kind)]
        others: list[int | str] = [*other.ids(kind), *other.nicknames(kind)]
        foreign = [one for one in others if one not in own]
        choice: list[int | str] = [*own * 3, *foreign * 2, "nobody's"]
        return choice[pick % len(choice)]

    def profiles(self, who: int, windows: list[tuple[int, tuple[str, str]]]) -> list[Fields]:
        return [
            {"profile": self.reference(who, "profile", pick), "start_time": start, "end_time": end}
            for pick, (start, end) in windows
        ]

    def written(self, who: int, numbers: list[tuple[int, bool, bool]]) -> list[str]:
        mark, area = self.sides[who].mark, self.sides[who].area
        return [
            f"tel:+1{area}555000{digit}{f';ani={area}' if ani else ''}{f', {mark} {digit}' if reference else ''}"
            for digit, ani, reference in numbers
        ]


def send(client: Client, request: Request) -> Reply:
    """A GET's or PATCH's fields in the query, a file's in a form, any other's in JSON."""
    target = request.path.replace("{id}", str(request.identifier))
    headers = {} if request.key is None else {"Idempotency-Key": request.key}
    body = b""
    if request.method in ("GET", "PATCH"):
        target += f"?{urlencode({name: _text(value) for name, value in request.fields.items()})}"
    elif request.as_file:
        form: dict[str, str | bytes] = {name: _text(value) for name, value in request.fields.items()}
        form["phone_numbers"] = "\r\n".join(request.fields["phone_numbers"]).encode()
        body = multipart(**form)
    elif request.method != "DELETE":
        body = json.dumps(request.fields).encode()
    return client.ask(request.method, target, body, headers)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def given_id(reply: Reply) -> int:
    """The id in the answer to a create; 0 if there is none."""
    if not reply.headers["content-type"].startswith("application/json") or not isinstance(reply.json, dict):
        return 0
    return int(reply.json.get("response", {}).get("id", 0))
