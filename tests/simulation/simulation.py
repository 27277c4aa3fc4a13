"""The real pacer, dialer, settler and API, over simulated AWS, for some minutes of calling with all that can go wrong.

One seed is one story, told the same each time: what the owner asks when, which ticks come late or never, which messages
are lost, doubled or kept, where a function dies, where an answer is lost, and what happens in the middle of something
else. After that all goes well for a while, and `tests.simulation.checker` looks at what is left.
"""

import asyncio
import contextvars
import heapq
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, ParamSpec, TypeVar, cast

from chalicelib.api import campaigns as campaigns_api
from chalicelib.api.envelope import Answer
from chalicelib.api.exchange import Endpoint, Received, answer
from chalicelib.api.services import Services
from chalicelib.dialer import Delivery, Dialer
from chalicelib.domain.models import Day, Profile, Schedule
from chalicelib.errors import Busy
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import PREFIX
from chalicelib.pacer import Pacer
from chalicelib.settler import Settler
from chalicelib.storage.advances import Advances
from chalicelib.storage.tables import Database, DynamoDB
from tests.databases import create_tables
from tests.simulation.clock import BEGIN, SimulatedClock
from tests.simulation.dynamodb import SimulatedDynamoDB
from tests.simulation.faults import Crash, Faults, FaultyDynamoDB, FaultySQS
from tests.simulation.sqs import SimulatedSQS
from tests.simulation.tenant import SimulatedTenant

P = ParamSpec("P")
R = TypeVar("R")

MINUTE = timedelta(minutes=1)
#: a function's time, as in the template
DIALER_LIVES = timedelta(seconds=90)
ACCOUNT, TOKEN = "acme", "token"
PERIOD, AMOUNT = 2, 30


#: the tasks of the dialer's invocation under way
_INVOCATION: contextvars.ContextVar[set[asyncio.Task[Any]]] = contextvars.ContextVar("invocation")


@dataclass
class Stop:
    """From when to when the campaign was told not to call."""

    answered: datetime
    started: datetime | None = None


@dataclass
class Story:
    """What became of a seed, for the checker."""

    seed: int
    tenant: SimulatedTenant
    faults: Faults
    uploaded: int = 0
    #: of which a part was accepted
    torn_uploads: int = 0
    max_retries: int = 0
    stops: list[Stop] = field(default_factory=list)
    #: progress as the API told it, whenever it was asked
    looks: list[dict[str, int]] = field(default_factory=list)
    final: dict[str, Any] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    dead_letters: int = 0


class Simulation:
    def __init__(self, seed: int, *, minutes: int = 8, quiet_minutes: int = 45, crash_at: int | None = None) -> None:
        """`minutes` of trouble, then `quiet_minutes` without any. With `crash_at` nothing goes wrong but one crash."""
        self.dice = random.Random(seed)  # noqa: S311 # a story's, not a secret's
        self.clock = SimulatedClock()
        self.faults = Faults(self.dice, crash_at=crash_at)
        if crash_at is not None:
            self.faults.throttle = self.faults.lost_answer = self.faults.meanwhile = 0.0
        self.calm = crash_at is not None
        self.minutes, self.quiet_minutes = minutes, quiet_minutes
        client = SimulatedDynamoDB(self.dice, page_size=50)
        sqs = SimulatedSQS(self.clock.now, self.dice)
        self.sqs = sqs
        self.queue = sqs.create_queue(QueueName="calls", Attributes={"VisibilityTimeout": "540"})["QueueUrl"]
        self.dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
        database = Database("simulated", cast(DynamoDB, FaultyDynamoDB(client, self.faults)), pause=self.clock.advance)
        create_tables(database)
        self.services = Services.over(database, self.clock)
        self.tenant = SimulatedTenant(self.clock, self.dice)
        faulty_sqs = FaultySQS(sqs, self.faults)
        services = self.services
        self.pacer = Pacer(
            advances=Advances(database),
            campaigns=services.campaigns,
            schedules=services.schedules,
            profiles=services.profiles,
            log=services.log,
            slips=services.slips,
            queue=CallQueue(faulty_sqs, self.queue, self.clock.now, self.clock.advance),
            clock=self.clock,
            each=map,
        )
        self.settler = Settler(database, self.clock)
        self.dialer = Dialer(
            calls=services.calls,
            campaigns=services.campaigns,
            schedules=services.schedules,
            accounts=services.accounts,
            slips=services.slips,
            dead_letters=DeadLetters(faulty_sqs, self.dead),
            telephone=self.tenant,
            desk=self.tenant,
            clock=self.clock,
            offload=_inline,
            chance=self.dice.random,
        )
        self.story = Story(seed, self.tenant, self.faults, max_retries=self.dice.choice([0, 0, 2]))
        self._events: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()
        self._at_work: set[asyncio.Task[None]] = set()

    def run(self) -> Story:
        return self.clock.run(self._tell())

    async def _tell(self) -> Story:
        asyncio.get_running_loop().set_task_factory(self._task)
        self._prepare()
        self.faults.others = [self._tick, self._settle, *self._asks()]
        end = BEGIN + self.minutes * MINUTE
        self._plan(BEGIN, end)
        self.faults.on = True
        await self._play(end)
        self.faults.on = False
        self.tenant.healthy = True
        self._start()
        self._plan_ticks(end, end + self.quiet_minutes * MINUTE, jitter=0.0)
        await self._play(end + self.quiet_minutes * MINUTE)
        self.story.final = self._look()
        self.story.calls = json.loads(self._ask(_calls_page, identifier="1").body)
        self.story.dead_letters = len(
            self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10).get("Messages", [])
        )
        return self.story

    def _prepare(self) -> None:
        self.services.accounts.ensure(ACCOUNT, PREFIX + "c2VjcmV0")
        self.services.tokens.create(ACCOUNT, TOKEN, BEGIN)
        self.services.schedules.add(Schedule(ACCOUNT, 1, None, tuple(Day)), None, BEGIN)
        self.services.profiles.add(Profile(ACCOUNT, 1, None, PERIOD, AMOUNT, 0), None, BEGIN)
        numbers = self.dice.choice([5, 40, 90])
        self.story.uploaded = numbers
        created = self._ask(
            campaigns_api.create,
            start_date="2026-01-05",
            end_date="2026-01-05",
            schedule="1",
            profiles=[{"profile": "1", "start_time": "08:00", "end_time": "11:00"}],
            start_url="http://tenant.example/start",
            result_url="http://tenant.example/result",
            max_retries=self.story.max_retries,
            retry_interval=60,
            phone_numbers=_numbers(0, numbers),
        )
        assert created.status == 200, created.body
        self.story.stops.append(Stop(BEGIN - timedelta(days=1)))
        self._start()

    # what is to happen, and when

    def _plan(self, begin: datetime, end: datetime) -> None:
        self._plan_ticks(begin, end, jitter=0.0 if self.calm else 4.0)
        if self.calm:
            return
        asks = self._asks()
        for _ in range(self.dice.randrange(6)):
            self._at(begin + (end - begin) * self.dice.random(), self.dice.choice(asks))

    def _plan_ticks(self, begin: datetime, end: datetime, jitter: float) -> None:
        minute = begin + timedelta(seconds=7)
        while minute < end:
            for action in (self._tick, self._settle):
                chance = self.dice.random() if jitter else 1.0
                if chance < 0.08:
                    continue  # it never comes
                for _ in range(2 if jitter and chance > 0.94 else 1):
                    self._at(minute + timedelta(seconds=self.dice.random() * jitter), action)
            minute += MINUTE

    def _at(self, when: datetime, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    async def _play(self, until: datetime) -> None:
        """Whatever comes first: an event, a message, or what a dialer at work waits for."""
        while True:
            event = self._events[0][0] if self._events else until
            message = self.sqs.next_visible(self.queue) or until
            soonest = min(event, message, until)
            if soonest > self.clock.now():
                await self.clock.sleep((soonest - self.clock.now()).total_seconds())
            elif soonest == until:
                return
            elif soonest == event:
                heapq.heappop(self._events)[2]()
            else:
                self._deliver()
                await asyncio.sleep(0)

    # the functions

    def _tick(self) -> None:
        self._survive(lambda: self.pacer.tick(self.clock.now() + timedelta(seconds=45)))

    def _settle(self) -> None:
        self._survive(lambda: self.settler.settle(self.clock.now() + timedelta(seconds=45)))

    def _deliver(self) -> None:
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=self.dice.randint(1, 10)).get(
            "Messages", []
        )
        troubled = self.faults.on and not self.calm
        kept = [message for message in received if not (troubled and self.dice.random() < 0.01)]
        deliveries = [Delivery(message["MessageId"], message["Body"]) for message in kept]
        if troubled:
            for delivery in deliveries:
                if self.dice.random() < 0.04:  # it will come a second time
                    self.sqs.send_message(
                        QueueUrl=self.queue, MessageBody=delivery.body, DelaySeconds=self.dice.choice([0, 1, 30, 600])
                    )
        work = asyncio.create_task(self._invoke(received, deliveries), context=contextvars.copy_context())
        self._at_work.add(work)
        work.add_done_callback(self._at_work.discard)

    async def _invoke(self, received: list[dict[str, Any]], deliveries: list[Delivery]) -> None:
        """One invocation of the dialer. When one of its calls crashes, all of them are gone."""
        mine: set[asyncio.Task[Any]] = set()
        _INVOCATION.set(mine)
        dealt_with = asyncio.ensure_future(self.dialer.deal_with(deliveries, self.clock.now() + DIALER_LIVES))
        try:
            again = await dealt_with
        except (Busy, Crash):
            for task in mine:
                task.cancel()
            await asyncio.gather(*mine, return_exceptions=True)
            return  # all of its messages come again
        kept = {delivery.id for delivery in deliveries}
        for message in received:
            if message["MessageId"] not in kept or message["MessageId"] not in again:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    @staticmethod
    def _task(loop: asyncio.AbstractEventLoop, main: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(main, loop=loop, **options)
        _INVOCATION.get(set()).add(task)
        return task

    def _survive(self, function: Callable[[], R]) -> R | None:
        try:
            return function()
        except (Busy, Crash, ExceptionGroup):
            return None

    # the owner

    def _asks(self) -> list[Callable[[], None]]:
        return [self._stop, self._start, self._start, self._add, self._repeat_add, self._change_url, self._look_on]

    def _stop(self) -> None:
        if self._campaign("stop") and self.story.stops[-1].started is not None:
            self.story.stops.append(Stop(self.clock.now()))

    def _start(self) -> None:
        asked = self.clock.now()
        before = self.story.stops[-1]
        if before.started is None:
            before.started = asked  # from now on it may run, whether the answer arrives or not
        known = len(self.story.stops)
        if not self._campaign("start") and not self.faults.on:
            raise AssertionError("a start without any fault has failed")
        for stop in self.story.stops[known:]:
            # It was answered while this start was under way: nobody can say which of them was the last.
            stop.started = stop.started or stop.answered

    def _campaign(self, action: str) -> bool:
        endpoint = {"start": campaigns_api.start, "stop": campaigns_api.stop}[action]
        done = self._survive(lambda: self._ask(endpoint, campaign_id=1))
        return done is not None and done.status == 200

    def _add(self) -> None:
        self._upload(key=None)

    def _repeat_add(self) -> None:
        """A client that got no answer asks again, with the same key, until it gets one."""
        self._upload(key=f"upload {next(self._order)}")

    def _upload(self, key: str | None) -> None:
        count_of = self.dice.choice([1, 10])
        before = self.story.uploaded
        numbers = _numbers(before, count_of)
        headers = {} if key is None else {"idempotency-key": key}
        for _ in range(20 if key else 1):
            tail = self._tail()
            done = self._survive(
                lambda: self._ask(campaigns_api.add_calls, headers=headers, campaign_id=1, phone_numbers=numbers)
            )
            if done is not None and done.status == 200:
                break
            if key is None:
                # Without a key nobody but the queue itself knows whether it was accepted; others may have been too.
                accepted = self._tail() - tail - (self.story.uploaded - before)
                self.story.torn_uploads += accepted not in (0, count_of)
                count_of = accepted
                break
        self.story.uploaded += count_of

    def _change_url(self) -> None:
        url = f"http://tenant.example/start/{self.dice.randrange(5)}"
        self._survive(lambda: self._ask(campaigns_api.update, identifier="1", start_url=url))

    def _look_on(self) -> None:
        shown = self._survive(self._look)
        if shown:
            self.story.looks.append(shown["progress"])

    def _look(self) -> dict[str, Any]:
        shown = self._ask(campaigns_api.show, identifier="1")
        found: dict[str, Any] = json.loads(shown.body) if shown.status == 200 else {}
        return found

    def _tail(self) -> int:
        """How many numbers are queued in truth, whatever anybody was told."""
        troubled, self.faults.on = self.faults.on, False
        tail = self.services.campaigns.get(ACCOUNT, 1).tail
        self.faults.on = troubled
        return tail

    def _ask(
        self, endpoint: Endpoint, identifier: str | None = None, headers: dict[str, str] | None = None, **fields: Any
    ) -> Answer:
        received = Received(
            method="POST" if identifier is None else "PATCH" if fields else "GET",
            path=f"/{getattr(endpoint, '__name__', '')}",
            headers={"authorization": f"Bearer {TOKEN}", **(headers or {})},
            query={},
            body=json.dumps(fields).encode() if fields else b"",
            identifier=identifier,
        )
        return answer(lambda: self.services, received, endpoint)


def _calls_page(services: Services, asked: Any) -> Answer:
    from chalicelib.api import calls

    return calls.page(services, asked)


def _numbers(first: int, count_of: int) -> list[str]:
    return [f"tel:+1222{place:07d}" for place in range(first, first + count_of)]


async def _inline(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)
