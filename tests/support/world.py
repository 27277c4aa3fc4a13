"""The real pacer, dialer, settler and storage in one process, over a simulated DynamoDB. A test advances the clock,
reads the queue's messages, and reads the requests that the tenant's server received.

Tests over this world show nothing about races between threads or lost answers: the simulation does.
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
from chalicelib.calling.refiller import Refiller
from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import spreading
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.outcome import Answered, RequestResult
from chalicelib.domain.pacing import TICK
from chalicelib.domain.slicing import Limits
from chalicelib.functions.invocation import SPARE
from chalicelib.gateway.clients import LastLook
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import new_secret
from chalicelib.runtime.clock import Clock
from chalicelib.runtime.metrics import Metric, Metrics
from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.template.queues import DIALER_TIMEOUT
from tests.fake_aws.clock import SimulatedClock
from tests.support.databases import with_work

P = ParamSpec("P")
R = TypeVar("R")

#: a Monday, 08:00 in New York
EIGHT = datetime(2026, 1, 5, 13, tzinfo=UTC)
#: for how long a dialer may run, and for how long a tick starts new work
DIALER_LIFE, TICK_TIME = timedelta(seconds=DIALER_TIMEOUT), TICK - SPARE


class HandClock(SimulatedClock):
    """Stands still until a test advances it, or until all tasks that use it wait."""

    def __init__(self, now: datetime = EIGHT) -> None:
        super().__init__(now)

    def turn_to(self, instant: datetime) -> None:
        self.advance(max(0.0, (instant - self.now()).total_seconds()))


@dataclass
class QueuedMessage:
    body: str
    visible_at: datetime


@dataclass
class FakeSQS:
    """A queue whose messages become visible after their delay."""

    clock: Clock
    messages: list[QueuedMessage] = field(default_factory=list)
    requests: list[int] = field(default_factory=list)
    #: how many entries it refuses before it accepts any
    refuses: int = 0
    #: called with each request, and the name of its operation
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
            self.messages.append(QueuedMessage(entry["MessageBody"], self.clock.now() + delay))
            answer["Successful"].append({"Id": entry["Id"]})
        return answer

    def send_message(self, **request: Any) -> dict[str, Any]:
        self.listen("SendMessage", request)
        self.messages.append(QueuedMessage(request["MessageBody"], self.clock.now()))
        return {}

    def take_first(self, until: datetime) -> QueuedMessage | None:
        """Remove and return the message that is visible first, if that is by `until`."""
        first = min(self.messages, key=lambda one: one.visible_at, default=None)
        if first is None or first.visible_at > until:
            return None
        self.messages.remove(first)
        return first

    def take(self, until: datetime) -> list[QueuedMessage]:
        """Remove the messages that are visible by `until`. Returns them, soonest first."""
        due = sorted((one for one in self.messages if one.visible_at <= until), key=lambda one: one.visible_at)
        self.messages = [one for one in self.messages if one.visible_at > until]
        return due


@dataclass(frozen=True)
class ReceivedRequest:
    """A request as the tenant's server received it."""

    at: datetime
    url: str
    form: dict[str, str]
    headers: Mapping[str, str]


@dataclass
class FakeTenant:
    """Answers calls with `on_call` and reports with `on_report`, by default with 200."""

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
        self.dead_letters = FakeSQS(clock)
        self.tenant = FakeTenant(clock)
        services = self.services
        services.accounts.ensure("acme", new_secret())
        services.accounts.ensure("globex", new_secret())
        self.metrics = FakeMetrics()
        self.progress = services.progress
        self.switch = Switch(database, "this one")
        self.switch.turn(on=True, now=clock.now())
        self.pacer = self.pacer_with()
        self.dialer = self.dialer_over(self.tenant)
        self.settler = Settler(
            services,
            clock,
            self.metrics,
            map,
            Sleeper(services, clock, random_fraction=lambda: 1.0),
            CallQueue(self.sqs, "calls", clock.now, pause=lambda _: None),
        )

    def pacer_with(
        self,
        *,
        limits: Limits = Limits(),  # noqa: B008 # it is frozen
        calls_per_partition: float = spreading.CALLS_PER_PARTITION,
        dialers: int = 50,
    ) -> Pacer:
        return Pacer(
            stores=self.services,
            switch=self.switch,
            queue=CallQueue(self.sqs, "calls", self.clock.now, pause=lambda _: None),
            clock=self.clock,
            metrics=self.metrics,
            for_each=map,
            dialers=dialers,
            limits=limits,
            calls_per_partition=calls_per_partition,
        )

    def dialer_over(self, tenant: FakeTenant) -> Dialer:
        return compose_dialer(
            stores=self.services,
            switch=self.switch,
            refiller=Refiller(
                stores=self.services,
                switch=self.switch,
                queue=CallQueue(self.sqs, "calls", self.clock.now, pause=lambda _: None),
                clock=self.clock,
            ),
            dead_letters=DeadLetters(self.dead_letters, "calls-dead"),
            start_url_client=tenant,
            result_url_client=tenant,
            clock=self.clock,
            metrics=self.metrics,
            run_blocking=_run_directly,
            public_url="http://callpacer.example",
            random_fraction=lambda: 0.0,
        )

    def tick(self) -> None:
        self.pacer.tick(self.clock.now() + TICK_TIME, with_work(self.progress, self.clock.now()))

    def settle(self) -> None:
        self.settler.settle(self.clock.now() + TICK_TIME, with_work(self.progress, self.clock.now()))

    def dispatch(self) -> list[QueuedMessage]:
        """Run the pacer once. Returns the messages that become visible within a minute."""
        self.tick()
        return self.sqs.take(self.clock.now() + timedelta(minutes=1))

    def dial(self, bodies: Sequence[str], time_left: timedelta = DIALER_LIFE) -> list[str]:
        """Deliver these messages in one batch. Returns the ids, from 0, of those that must be delivered again."""
        deliveries = [Delivery(str(index), body) for index, body in enumerate(bodies)]
        return self.clock.run(self.dialer.handle_batch(deliveries, self.clock.now() + time_left))

    def drain(self, until: datetime) -> None:
        """Deliver each message, one after another, when it becomes visible."""
        while message := self.sqs.take_first(until):
            self.clock.turn_to(message.visible_at)
            assert self.dial([message.body]) == []

    def run(self, minutes: int) -> None:
        """Run pacer, dialer and settler as the minutely rules and the queue do."""
        for _ in range(minutes):
            minute = self.clock.now() + timedelta(minutes=1)
            self.tick()
            self.drain(minute)
            self.clock.turn_to(minute)
            self.settle()

    @property
    def dispatched(self) -> list[dict[str, Any]]:
        """The calls and reports of all slices in the queue."""
        slices = [json.loads(message.body) for message in self.sqs.messages]
        return [one for fields in slices for one in [*fields.get("dials", []), *fields.get("reports", [])]]


async def _run_directly(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)
