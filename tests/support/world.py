"""A small world in one process: the real pacer, dialer, settler and storage, over moto's DynamoDB, with a clock that is
turned by hand, a queue that can be looked into, and a tenant's server that writes down what it is asked.

Nothing about races, lost answers or limits is shown here; that needs a real server.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar
from urllib.parse import parse_qsl

from chalicelib.api.services import Services
from chalicelib.calling.composition import compose_dialer
from chalicelib.calling.dialer import Delivery, Dialer
from chalicelib.calling.pacer import Pacer
from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import spreading
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.outcome import Answered, RequestResult
from chalicelib.domain.slicing import Limits
from chalicelib.gateway.clients import LastLook
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import new_secret
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from tests.fake_aws.clock import SimulatedClock
from tests.support.databases import with_work

P = ParamSpec("P")
R = TypeVar("R")

#: a Monday, 08:00 in New York
EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)


class HandClock(SimulatedClock):
    """Stands still until somebody turns it, or all that is run by it wait."""

    def __init__(self, now: datetime = EIGHT) -> None:
        super().__init__(now)

    def turn_to(self, instant: datetime) -> None:
        self.advance(max(0.0, (instant - self.now()).total_seconds()))


@dataclass
class Queued:
    """A message in the queue."""

    body: str
    visible_at: datetime


@dataclass
class FakeSQS:
    """Keeps messages until their delay is over. `refuses` says how many entries to refuse before it takes any."""

    clock: Clock
    messages: list[Queued] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    refuses: int = 0
    #: told of each request, by the name of the operation
    listen: Callable[[str, Mapping[str, Any]], None] = lambda *_: None

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.listen("SendMessageBatch", request)
        entries = request["Entries"]
        assert 1 <= len(entries) <= 10
        self.requests.append(len(entries))
        answer: dict[str, list[dict[str, Any]]] = {"Successful": [], "Failed": []}
        for entry in entries:
            if self.refuses:
                self.refuses -= 1
                answer["Failed"].append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
                continue
            delay = timedelta(seconds=entry["DelaySeconds"])
            self.messages.append(Queued(entry["MessageBody"], self.clock.now() + delay))
            answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def send_message(self, **request: Any) -> dict[str, Any]:
        self.listen("SendMessage", request)
        self.messages.append(Queued(request["MessageBody"], self.clock.now()))
        return {}

    def take(self, until: datetime) -> list[Queued]:
        """The messages visible by `until`, soonest first."""
        due = sorted((one for one in self.messages if one.visible_at <= until), key=lambda one: one.visible_at)
        self.messages = [one for one in self.messages if one.visible_at > until]
        return due


@dataclass(frozen=True)
class ReceivedRequest:
    """A request that the tenant's server got."""

    at: datetime
    url: str
    form: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class FakeTenant:
    """Answers calls and reports as it is told to, by default with 200."""

    clock: Clock
    calls: list[ReceivedRequest] = field(default_factory=list)
    reports: list[ReceivedRequest] = field(default_factory=list)
    on_call: Callable[[dict[str, str]], RequestResult] = lambda _: Answered(200, {}, b"")
    on_report: Callable[[dict[str, str]], RequestResult] = lambda _: Answered(200, {}, b"")

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        await last_look()
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        self.calls.append(ReceivedRequest(self.clock.now(), url, form, headers))
        return self.on_call(form)

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
        self.reports.append(ReceivedRequest(self.clock.now(), url, form, headers))
        return self.on_report(form)

    @property
    def called(self) -> list[str]:
        return [call.form["phone_number"] for call in self.calls]


class FakeMetrics(Metrics):
    def __init__(self) -> None:
        self.counted: Counter[Metric] = Counter()
        self.measured: dict[Metric, list[float]] = defaultdict(list)
        self.blamed: list[CampaignKey] = []

    def count(self, metric: Metric, number: int = 1) -> None:
        self.counted[metric] += number

    def measure(self, metric: Metric, value: float) -> None:
        self.measured[metric].append(value)

    def blame(self, campaign: CampaignKey) -> None:
        self.blamed.append(campaign)


class World:
    def __init__(self, database: Database, clock: HandClock) -> None:
        self.clock = clock
        self.services = Services.over(database, clock)
        self.sqs = FakeSQS(clock)
        self.dead = FakeSQS(clock)
        self.tenant = FakeTenant(clock)
        services = self.services
        services.accounts.ensure("acme", new_secret())
        services.accounts.ensure("globex", new_secret())
        self.metrics = FakeMetrics()
        self.progress = services.progress
        self.switch = Switch(database, "this one")
        self.switch.turn(on=True, now=clock.now())
        self.pacer = self.pacer_with(Limits())
        self.dialer = self.dialer_over(self.tenant)
        self.settler = Settler(
            services, clock, self.metrics, map, Sleeper(services, clock, random_fraction=lambda: 1.0)
        )

    def pacer_with(self, limits: Limits, calls_per_partition: float = spreading.CALLS_PER_PARTITION) -> Pacer:
        return Pacer(
            stores=self.services,
            switch=self.switch,
            queue=CallQueue(self.sqs, "calls", self.clock.now, pause=lambda _: None),
            clock=self.clock,
            metrics=self.metrics,
            for_each=map,
            dialers=50,
            limits=limits,
            calls_per_partition=calls_per_partition,
        )

    def dialer_over(self, tenant: FakeTenant) -> Dialer:
        return compose_dialer(
            stores=self.services,
            switch=self.switch,
            dead_letters=DeadLetters(self.dead, "calls-dead"),
            start_url_client=tenant,
            result_url_client=tenant,
            clock=self.clock,
            metrics=self.metrics,
            run_blocking=_at_once,
            random_fraction=lambda: 0.0,
        )

    def tick(self) -> None:
        self.pacer.tick(self.clock.now() + timedelta(seconds=45), with_work(self.progress, self.clock.now()))

    def settle(self) -> None:
        self.settler.settle(self.clock.now() + timedelta(seconds=45), with_work(self.progress, self.clock.now()))

    def dial(self, bodies: Sequence[str], time_left: timedelta = timedelta(seconds=90)) -> list[str]:
        """Deliver these messages in one batch; answers those that must come again."""
        deliveries = [Delivery(str(place), body) for place, body in enumerate(bodies)]
        return self.clock.run(self.dialer.handle_batch(deliveries, self.clock.now() + time_left))

    def drain(self, until: datetime) -> None:
        """Deliver each message when it becomes visible, one after the other."""
        for message in self.sqs.take(until):
            self.clock.turn_to(message.visible_at)
            assert self.dial([message.body]) == []

    def run(self, minutes: int) -> None:
        """Tick, dial and settle as the rules and the queue would."""
        for _ in range(minutes):
            minute = self.clock.now() + timedelta(minutes=1)
            self.tick()
            self.drain(minute)
            self.clock.turn_to(minute)
            self.settle()

    @property
    def handed_over(self) -> list[dict[str, Any]]:
        """What is in the queue: the calls and reports of all slices."""
        slices = [json.loads(message.body) for message in self.sqs.messages]
        return [one for fields in slices for one in [*fields.get("dials", []), *fields.get("reports", [])]]


async def _at_once(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)
