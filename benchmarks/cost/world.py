"""A simulation: the real API, pacer, dialer and settler make some thousand calls, with clients that count requests.

Nothing fails here. The assumptions are in `Conditions`, in `benchmarks.cost.event_source` and in
`benchmarks.cost.machine`. What is deployed is in `benchmarks.cost.deployment`.
"""

import asyncio
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from benchmarks.cost.clients import CountingDynamoDB, CountingSQS
from benchmarks.cost.deployment import Deployment
from benchmarks.cost.event_source import LONG_POLL, POLLERS, EventSource
from benchmarks.cost.ledger import Ledger, LogCounter
from benchmarks.cost.machine import BEGIN_WORK, CONNECT_WAIT, MACHINE, TENANT_WORK, Machine
from chalicelib.api import campaigns as campaigns_api
from chalicelib.api import profiles as profiles_api
from chalicelib.api import schedules as schedules_api
from chalicelib.api.dispatch import Endpoint, HttpRequest, answer
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.calling.composition import compose_dialer
from chalicelib.calling.dialer import Delivery, Dialer
from chalicelib.calling.pacer import Pacer
from chalicelib.calling.refiller import Refiller
from chalicelib.calling.settler import Settler
from chalicelib.calling.sharding import OwnWork, select_own_work
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import messages
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Status
from chalicelib.domain.outcome import Answered, RequestResult
from chalicelib.domain.pacing import TICK
from chalicelib.functions.invocation import SPARE, THREADS
from chalicelib.gateway.clients import LastLook
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import new_secret
from chalicelib.runtime.metrics import EmbeddedMetrics
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.switch import Switch
from infra.template.queues import DIALER_TIMEOUT, VISIBILITY_TIMEOUT
from tests.fake_aws.clock import BEGIN, SimulatedClock
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.greenlets import blocking, wait
from tests.fake_aws.sqs import SimulatedSQS
from tests.support.databases import create_tables
from tests.support.events import post_event

A = TypeVar("A")
R = TypeVar("R")

ACCOUNT, TOKEN, PREFIX = "acme", "token", "callpacer-prod"
CALL_QUEUE = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT)}
MINUTE = timedelta(minutes=1)
#: for how long a dialer may run, and for how long a tick starts new work
DIALER_LIFE, TICK_TIME = timedelta(seconds=DIALER_TIMEOUT), TICK - SPARE
#: seconds of a whole processor that a new environment takes to start, which Lambda bills
COLD_START_WORK = 0.5
#: how many numbers one upload has: API Gateway limits a request's body
UPLOADED = 50_000
#: the most items in a page of a query; in DynamoDB a page has a megabyte
PAGE = 100_000


@dataclass(frozen=True)
class Conditions:
    """The work of the deployment, and how its surroundings behave."""

    calls: int = 10_000
    #: how many campaigns share the calls, running at the same time
    campaigns: int = 1
    #: calls a minute, of all campaigns together
    pace: int = 600
    #: seconds until start_url answers, and result_url likewise
    latency: float = 0.2
    #: how many minutes it runs at least
    minutes: int = 0
    #: after how many minutes it ends, even if calls are left
    at_most: int | None = None
    #: the seed of the random numbers
    seed: int = 0
    #: how many dialers may run at a time; None: as many as are deployed
    dialers: int | None = None
    #: provisioned pollers, as by `--pollers`
    pollers: int = 0
    #: when the campaigns' windows open; the simulation begins at eight o'clock
    opens: str = "08:00"
    #: seconds until start_url answers, for campaigns whose start_url is slower
    slow: Mapping[int, float] = field(default_factory=dict)
    #: Seconds for which a call lasts. Then start_url answers 202, and one event ends the call; 0: it answers 200.
    lasts: float = 0.0
    #: `max_concurrent_calls` of each campaign
    lines: int | None = None


@dataclass
class SimulatedTenant:
    """Answers each request with 200, or a call with 202 if calls last, after a while."""

    clock: SimulatedClock
    latency: float
    #: seconds until start_url answers, for campaigns whose start_url is slower
    slow: Mapping[int, float] = field(default_factory=dict)
    #: when each call was made, by its id
    calls: dict[int, datetime] = field(default_factory=dict)
    reports: int = 0
    #: seconds for which a call lasts
    lasts: float = 0.0
    #: begins to post the final event of a call to its status_url, after that time
    end_later: Callable[[str], None] = lambda _: None

    async def place_call(
        self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
    ) -> RequestResult:
        del url, headers
        await MACHINE.get().work(TENANT_WORK)
        await self.clock.sleep(CONNECT_WAIT)
        await last_look()
        form = dict(parse_qsl(body.decode()))
        self.calls[int(form["call_id"])] = self.clock.now()
        await self.clock.sleep(self.slow.get(int(form["campaign_id"]), self.latency))
        if self.lasts:
            self.end_later(form["status_url"])
            return Answered(202, {}, b"")
        return Answered(200, {}, b"")

    async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
        del url, body, headers
        await MACHINE.get().work(TENANT_WORK)
        await self.clock.sleep(CONNECT_WAIT + self.latency)
        self.reports += 1
        return Answered(200, {}, b"")


class World:
    def __init__(self, conditions: Conditions, deployment: Deployment) -> None:
        self.conditions = conditions
        self.deployment = replace(deployment, dialers=conditions.dialers or deployment.dialers)
        self.ledger = Ledger()
        self.clock = SimulatedClock()
        self.tenant = SimulatedTenant(
            self.clock,
            conditions.latency,
            conditions.slow,
            lasts=conditions.lasts,
            end_later=lambda status_url: self._begin(self._end(status_url)),
        )
        self._sqs = SimulatedSQS(self.clock.now)
        self._queue = self._sqs.create_queue(QueueName="calls", Attributes=CALL_QUEUE)["QueueUrl"]
        client = CountingDynamoDB(SimulatedDynamoDB(page_size=PAGE), self.ledger, PREFIX)
        self.database = Database(PREFIX, cast(DynamoDB, client), self._pause)
        create_tables(self.database)
        self._services = Services.over(self.database, self.clock)
        #: when each call was due, by its id
        self.due: dict[int, datetime] = {}
        self.event_source = EventSource(
            self._sqs,
            self._queue,
            self.clock,
            self.ledger,
            self._deliver,
            most=self.deployment.dialers,
            pollers=conditions.pollers,
            random_fraction=random.Random(conditions.seed),  # noqa: S311 # no secret
        )
        self._counting_sqs = CountingSQS(self._sqs, self.ledger, self.event_source.wake)
        self._random_fraction = random.Random(conditions.seed)  # noqa: S311 # likewise
        self._switch = Switch(self.database, PREFIX)
        self._metrics = EmbeddedMetrics(PREFIX, self.ledger.note_log)
        # Dialers that no invocation uses now. They are kept, as Lambda keeps warm environments.
        self._idle_dialers: list[Dialer] = []
        self._under_way: set[asyncio.Task[None]] = set()
        #: called with each minute, before its tick
        self.each_minute: Callable[[int], None] = lambda _: None

    def run(self) -> Ledger:
        with self._logs():
            self.clock.run(self._live())
        if self.conditions.at_most is None:
            assert len(self.tenant.calls) == self.tenant.reports == self.conditions.calls
        return self.ledger

    @contextmanager
    def _logs(self) -> Iterator[None]:
        logger = logging.getLogger("chalicelib")
        counter = LogCounter(self.ledger, lambda: MACHINE.get(None) is not None)
        level, propagate = logger.level, logger.propagate
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(counter)
        try:
            yield
        finally:
            logger.removeHandler(counter)
            logger.setLevel(level)
            logger.propagate = propagate

    async def _live(self) -> None:
        await self._prepare()
        polling = asyncio.get_running_loop().create_task(self.event_source.poll())
        begun = self.clock.now()
        minutes = 0
        while minutes != self.conditions.at_most and (minutes < self.conditions.minutes or not self._is_over()):
            self.each_minute(minutes)
            await self._sleep_until(begun + minutes * MINUTE + timedelta(seconds=7))
            minutes += 1
            self.ledger.scheduled_events += 2
            self._tick("pacer", self._pace)
            self._tick("settler", self._settle)
            await self._sleep_until(begun + minutes * MINUTE)
        polling.cancel()
        await self.event_source.finish()
        await asyncio.gather(*self._under_way)
        self.ledger.sqs["ReceiveMessage, empty"] += minutes * 60 // LONG_POLL * POLLERS

    async def _prepare(self) -> None:
        """Create the account in storage, and the rest through the API, as the owner does."""
        self._switch.turn(on=True, now=BEGIN)
        self._services.accounts.ensure(ACCOUNT, new_secret())
        self._services.tokens.create(ACCOUNT, TOKEN, BEGIN)
        calls, campaigns = self.conditions.calls, self.conditions.campaigns
        await self._ask(schedules_api.create, days=["mon"])
        pace = max(1, self.conditions.pace // max(1, campaigns))
        await self._ask(profiles_api.create, period=1, amount_per_period=pace, time_between_periods=0)
        for campaign in range(1, campaigns + 1):
            numbers = range(calls * (campaign - 1) // campaigns, calls * campaign // campaigns)
            lines = [f"tel:+1222{number:07d}, invoice-{number:06d}" for number in numbers]
            await self._ask(
                campaigns_api.create,
                start_date="2026-01-05",
                end_date="2026-01-05",
                schedule="1",
                profiles=[{"profile": "1", "start_time": self.conditions.opens, "end_time": "24:00"}],
                start_url="https://calls.tenant.example/callpacer/start",
                result_url="https://calls.tenant.example/callpacer/result",
                phone_numbers=lines[:UPLOADED],
                max_concurrent_calls=self.conditions.lines,
            )
            for first in range(UPLOADED, len(lines), UPLOADED):
                more = lines[first : first + UPLOADED]
                await self._ask(campaigns_api.add_calls, campaign_id=campaign, phone_numbers=more)
            await self._ask(campaigns_api.start, campaign_id=campaign)

    def made(self, campaign: int, minute: int) -> int:
        """How many calls of a campaign were made in a minute of the simulation, counted from 0."""
        begins = BEGIN + minute * MINUTE
        return sum(
            call >> 32 == campaign and begins <= made < begins + MINUTE for call, made in self.tenant.calls.items()
        )

    def made_by_minute(self) -> Counter[int]:
        """How many calls were made in each minute of the simulation, counted from 0."""
        return Counter((made - BEGIN) // MINUTE for made in self.tenant.calls.values())

    def change_pace(self, amount: int) -> None:
        """Change the profile, which all campaigns share."""
        self._services.profiles.change(ACCOUNT, 1, {"amount_per_period": amount})

    def lateness(self) -> list[float]:
        """Seconds by which each call was made after its instant, the least first."""
        return sorted((made - self.due[call]).total_seconds() for call, made in self.tenant.calls.items())

    def _is_over(self) -> bool:
        """True if every number is counted as completed."""
        found = (
            self._services.campaigns.get(CampaignKey(ACCOUNT, 1 + number))
            for number in range(self.conditions.campaigns)
        )
        return all(
            campaign.status is Status.RUNNING and campaign.counts.completed == campaign.tail for campaign in found
        )

    async def _deliver(self, message: dict[str, Any]) -> bool:
        """Invoke the dialer. Return True if the message is done."""
        received = messages.from_message(message["Body"])
        for dial in received.dials if isinstance(received, messages.Slice) else ():
            self.due[dial.key.call_id] = dial.due
        ends_at = self.clock.now() + DIALER_LIFE
        is_cold = not self._idle_dialers
        dialer = self._new_dialer() if is_cold else self._idle_dialers.pop()

        async def handle() -> list[str]:
            if is_cold:
                await MACHINE.get().work(COLD_START_WORK)
            failed = await dialer.handle_batch([Delivery(message["MessageId"], message["Body"])], ends_at)
            self._metrics.flush(self.clock.now())
            return failed

        failed = await self._invoke("dialer", handle)
        self._idle_dialers.append(dialer)
        return not failed

    # the functions

    def _tick(
        self,
        function: str,
        work: Callable[[OwnWork, datetime], object],
        shards: Sequence[int] = range(SHARDS),
        part: float = 1.0,
    ) -> None:
        """One invocation, and those to which it fans out shards."""

        def handle() -> None:
            ends_at = self.clock.now() + TICK_TIME
            found = self._services.progress.work_in(shards, self.clock.now())
            fan_out = partial(self._tick, function, work)
            work(select_own_work(found, fan_out, part, random_fraction=self._random_fraction.random), ends_at)
            self._metrics.flush(self.clock.now())

        self._begin(self._invoke(function, lambda: blocking(handle)))

    def _pace(self, own: OwnWork, ends_at: datetime) -> None:
        pacer = Pacer(
            stores=self._services,
            switch=self._switch,
            queue=CallQueue(self._counting_sqs, self._queue, self.clock.now, self._pause),
            clock=self.clock,
            metrics=self._metrics,
            for_each=_at_once,
            dialers=self.deployment.dialers,
        )
        pacer.tick(ends_at, own.campaigns, own.part)

    def _settle(self, own: OwnWork, ends_at: datetime) -> None:
        sleeper = Sleeper(self._services, self.clock, self._random_fraction.random)
        queue = CallQueue(self._counting_sqs, self._queue, self.clock.now, self._pause)
        Settler(self._services, self.clock, self._metrics, _at_once, sleeper, queue).settle(ends_at, own.campaigns)

    def _new_dialer(self) -> Dialer:
        queue = CallQueue(self._counting_sqs, self._queue, self.clock.now, self._pause)
        return compose_dialer(
            stores=self._services,
            switch=self._switch,
            refiller=Refiller(stores=self._services, switch=self._switch, queue=queue, clock=self.clock),
            dead_letters=DeadLetters(self._counting_sqs, "dead"),
            start_url_client=self.tenant,
            result_url_client=self.tenant,
            clock=self.clock,
            metrics=self._metrics,
            run_blocking=blocking,
            public_url="https://callpacer.example",
        )

    async def _ask(self, endpoint: Endpoint, **fields: Any) -> None:
        """Send a request to the API, which has to succeed."""

        def ask() -> Answer:
            services = Services.over(self.database, self.clock)
            return answer(lambda: services, _http_request(fields), endpoint)

        answered = await self._invoke("api_handler", lambda: blocking(ask))
        assert answered.status == 200, answered.body
        self.ledger.api_requests += 1

    async def _end(self, status_url: str) -> None:
        """Post the final event of a call, as a telephone provider does."""
        await self.clock.sleep(self.conditions.lasts)

        def post() -> Answer:
            return post_event(Services.over(self.database, self.clock), status_url, CallStatus="completed")

        answered = await self._invoke("api_handler", lambda: blocking(post))
        assert answered.status == 200, answered.body
        self.ledger.api_requests += 1

    async def _invoke(self, function: str, handle: Callable[[], Coroutine[Any, Any, R]]) -> R:
        machine = Machine(function, self.deployment.memory[function], self.clock)
        begun = self.clock.now()

        async def run() -> R:
            MACHINE.set(machine)
            await machine.work(BEGIN_WORK)
            return await handle()

        answered = await asyncio.get_running_loop().create_task(run(), context=Context())
        self.ledger.note_run(function, (self.clock.now() - begun).total_seconds())
        return answered

    # time

    def _begin(self, what: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(what)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.result()

    async def _sleep_until(self, instant: datetime) -> None:
        await self.clock.sleep(max(0.0, self._seconds_until(instant)))

    def _seconds_until(self, instant: datetime) -> float:
        return (instant - self.clock.now()).total_seconds()

    def _pause(self, seconds: float) -> None:
        wait(self.clock.sleep(seconds))


def _at_once(function: Callable[[A], R], things: Iterable[A]) -> list[R]:
    """Apply the function to all at once, in as many threads as the functions have."""
    found: list[R] = []

    async def apply_to_all() -> None:
        thread = asyncio.Semaphore(THREADS)

        async def apply(thing: A) -> R:
            async with thread:
                return await blocking(function, thing)

        found.extend(await asyncio.gather(*map(apply, things)))

    wait(apply_to_all())
    return found


def _http_request(fields: dict[str, Any]) -> HttpRequest:
    return HttpRequest(
        method="POST",
        path="/",
        headers={"authorization": f"Bearer {TOKEN}"},
        query={},
        body=json.dumps(fields).encode(),
        identifier=None,
    )
