"""The real pacer, dialer, settler and API, over simulated AWS, for some minutes of calling with all that can go wrong.

One seed is one story, told the same each time: what the owner asks when, which ticks come late or never, which messages
are lost, doubled or kept, where a function dies, where an answer is lost, and who is faster. After that all goes well
until nothing is left to do, and `tests.simulation.checker` looks at what is left.

Whatever happens is a task of one event loop. A function's storage blocks, so it runs in a greenlet; where it asks for
something, others may get ahead of it (`tests.fake_aws.greenlets`). Each function has a clock of its own.
"""

import asyncio
import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import Context
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeAlias, TypeVar, cast

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.api import calls as calls_api
from chalicelib.api import campaigns as campaigns_api
from chalicelib.api.dispatch import Endpoint, HttpRequest, answer
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.calling.composition import compose_dialer
from chalicelib.calling.dialer import Delivery
from chalicelib.calling.pacer import Pacer
from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import messages as handover
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Day, Profile, Schedule
from chalicelib.domain.sharding import Work
from chalicelib.domain.slicing import Limits
from chalicelib.errors import CallpacerError
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import PREFIX
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.switch import Switch
from tests.fake_aws.clock import BEGIN, SimulatedClock, SkewedClock
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.greenlets import blocking, wait
from tests.fake_aws.sqs import SimulatedSQS
from tests.simulation.faults import INVOCATION, Crash, Faults, FaultyDynamoDB, FaultySQS, Invocation, Odds
from tests.simulation.owner import Owner, phone_numbers, profiles
from tests.simulation.story import ALL_HOURS, AMOUNT, MINUTE, PERIOD, Stop, Story, Wish
from tests.simulation.tenant import SimulatedTenant
from tests.support.databases import create_tables, with_work
from tests.support.world import FakeMetrics

R = TypeVar("R")
#: something that takes its time
Action: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

ACCOUNT, TOKEN = "acme", "token"
#: functions' time, as in the template; the API's is API Gateway's
DIALER_LIVES, TICK_LIVES, REQUEST_LIVES = timedelta(seconds=90), timedelta(seconds=60), timedelta(seconds=29)
#: what a tick leaves of its time for the last stride
SPARE = timedelta(seconds=15)
#: how long the quiet time lasts at most: a report may be owed for thirty
QUIET = timedelta(hours=34)
#: when even a campaign that sleeps is awake
LAST_DAY = datetime(9999, 1, 1, tzinfo=UTC)
#: how long in it the ticks come often
BUSY = timedelta(minutes=45)
#: How few calls a second one partition is for where slips are spread: at the usual pace they lie in one at first, or in
#: several. It becomes half as many while the campaign runs.
SPREAD = (0.25, 0.1)
#: in how many of the stories they are
SPREAD_ODDS = 0.25


class Simulation:
    def __init__(self, seed: int, *, crash_at: int | None = None) -> None:
        """With `crash_at` the story is a short one, in which nothing goes wrong but one crash, at that boundary."""
        self.dice = random.Random(seed)  # noqa: S311 # a story's, not a secret's
        # by itself: how long a campaign sleeps changes nothing else that a seed stands for
        self._sleeps = random.Random(seed)  # noqa: S311 # likewise
        self.calm = crash_at is not None
        self.clock = SimulatedClock()
        self.faults = Faults(self.dice, Odds() if self.calm else Odds.drawn(self.dice), crash_at=crash_at)
        self.faults.meanwhile = lambda: self._begin(self.dice.choice(self._comes_between))
        self.minutes = 1 if self.calm else 6

        self.sqs = SimulatedSQS(self.clock.now, self.dice, refuses=self.faults.refuses)
        self.queue = self.sqs.create_queue(QueueName="calls", Attributes={"VisibilityTimeout": "540"})["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName="calls-dead")["QueueUrl"]
        dynamodb = SimulatedDynamoDB(
            self.dice, page_size=50, index_lag=self.faults.lag, unprocessed=self.faults.left_undone
        )
        client = cast(DynamoDB, FaultyDynamoDB(dynamodb, self.faults))
        self.database = Database("simulated", client, self._pause, self.dice.random)
        create_tables(self.database)
        self.services = Services.over(self.database, self.clock)
        self.switch = Switch(self.database, "this one")

        self.tenant = SimulatedTenant(self.clock, self.dice, self.faults)
        if not self.calm and self.dice.random() < 0.05:
            self.tenant.deaf_until = BEGIN + timedelta(hours=24 * self.dice.random())
        wish = Wish(ALL_HOURS[0] if self.calm else self.dice.choice(ALL_HOURS), BEGIN)
        self.story = Story(seed, self.tenant, self.faults, [wish], max_retries=self.dice.choice([0, 0, 2]))
        span, most = timedelta(seconds=self.dice.choice([2, 10, 40])), self.dice.choice([1, 5, 20])
        self.story.limits = Limits(span, most, most_slow=most * 5 // 2 if most > 1 else 1)
        self.story.dialers = self.dice.choice([1, 2, 50, 50])
        # By dice of their own: so the stories in which nothing is spread stay as they were.
        self._spread_dice = random.Random(f"spread {seed}")  # noqa: S311 # a story's, not a secret's
        self.is_spread = self._spread_dice.random() < SPREAD_ODDS
        if self.is_spread:
            self.story.calls_per_partition = self._spread_dice.choice(SPREAD)
        self.owner = Owner(self._ask, self.clock, self.dice, self.story, self._tail)
        self._wishes = [partial(self._grant, wish) for wish in self.owner.wishes()]
        self._comes_between: list[Action] = [self._tick, self._settle, self._halt, *self._wishes]
        self._shards: list[int] = []
        self._events: list[tuple[datetime, int, Action]] = []
        self._order = count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._unforeseen: list[BaseException] = []
        self._asking = 0
        self._halting = False
        self._dialling = 0
        self._sent = asyncio.Event()

    def run(self) -> Story:
        return self.clock.run(self._tell())

    async def _tell(self) -> Story:
        asyncio.get_running_loop().set_task_factory(_task)
        await self._prepare()
        end = BEGIN + self.minutes * MINUTE
        self._plan(end)
        self.faults.on = True
        await self._play(end)
        self.faults.on = False
        await self._calm_down()
        if self._unforeseen:
            raise BaseExceptionGroup("nobody meant this to happen", self._unforeseen)
        return self.story

    async def _prepare(self) -> None:
        self.switch.turn(on=True, now=BEGIN)
        self.services.accounts.ensure(ACCOUNT, PREFIX + "c2VjcmV0")
        self.services.tokens.create(ACCOUNT, TOKEN, BEGIN)
        self.services.schedules.add(Schedule(ACCOUNT, 1, None, tuple(Day)), None, BEGIN)
        self.services.profiles.add(Profile(ACCOUNT, 1, None, PERIOD, AMOUNT, 0), None, BEGIN)
        self.story.uploaded = self.dice.choice([2, 4] if self.calm else [5, 20, 60, 120])
        created = self._ask_at_once(
            campaigns_api.create,
            start_date="2026-01-05",
            end_date="2026-01-05",
            schedule="1",
            profiles=profiles(self.story.wishes[0].hours),
            start_url="http://tenant.example/start",
            result_url="http://tenant.example/result",
            max_retries=self.story.max_retries,
            retry_interval=60,
            phone_numbers=phone_numbers(0, self.story.uploaded),
        )
        assert created.status == 200, created.body
        self._shards = [shard for shard, works in self._work(range(SHARDS)).items() if works]
        self.story.stops.append(Stop(BEGIN - timedelta(days=1)))
        await self.owner.start()

    async def _calm_down(self) -> None:
        """Until nothing is left to do."""
        while self._asking or self._halting:  # or a stop might hold that is older than the start that follows
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        await self.owner.start()
        begun = self.clock.now()
        self._events.clear()
        self.story.dialers = 50
        while self.clock.now() - begun < QUIET and not (self._is_idle() and await self._is_over()):
            self._at(self.clock.now(), self._tick)
            self._at(self.clock.now(), self._settle)
            await self._play(self.clock.now() + self._pace_of_ticks(self.clock.now() - begun))
        await self._look_closely()
        self.story.dead_letters = len(
            self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10).get("Messages", [])
        )

    def _pace_of_ticks(self, quiet_for: timedelta) -> timedelta:
        """Ticks that are missing harm nothing, and save the simulation time."""
        if quiet_for >= BUSY:
            return 10 * MINUTE
        return 2 * MINUTE if self.calm else MINUTE

    def _is_idle(self) -> bool:
        return not self._under_way and self.sqs.next_visible(self.queue) is None

    async def _is_over(self) -> bool:
        await self._look_closely()
        if self.story.final:
            return bool(self.story.final["status"] == "completed")
        return not any(self._work(self._shards).values())

    def _work(self, shards: Iterable[int]) -> dict[int, list[Work]]:
        """What there is to do in each of the shards, now or on any day."""
        return self.services.progress.work_in(shards, LAST_DAY)

    # what is to happen, and when

    def _plan(self, end: datetime) -> None:
        odds, dice = self.faults.odds, self.dice
        for action in (self._tick, self._settle):
            minute, outage = BEGIN + timedelta(seconds=7), 0
            while minute < end:
                outage = max(outage - 1, 3 if dice.random() < odds.outage else 0)
                times = 0 if outage or dice.random() < odds.missed else 2 if dice.random() < odds.twice else 1
                for _ in range(times):
                    late = 0.0 if self.calm else dice.random() * (40 if dice.random() < odds.late else 4)
                    self._at(minute + timedelta(seconds=late), action)
                minute += MINUTE
        for _ in range(dice.randrange(4)):
            self._at(BEGIN + (end - BEGIN) * dice.random(), self._look_closely)
        if dice.random() < 0.2:
            self._at(BEGIN + (end - BEGIN) * dice.random(), self._halt)
        for _ in range(2 if self.calm else dice.randrange(8)):
            self._at(BEGIN + (end - BEGIN) * dice.random(), dice.choice(self._wishes))
        if dice.random() < 0.08:
            self._at(BEGIN + (end - BEGIN) * dice.random(), partial(self._grant, self.owner.delete))
        if self.is_spread:
            self._at(BEGIN + (end - BEGIN) * self._spread_dice.random(), self._spread_further)

    def _at(self, when: datetime, action: Action) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    async def _play(self, until: datetime) -> None:
        """Whatever comes first: an event, a message, or what somebody at work waits for."""
        while True:
            event = self._events[0][0] if self._events else until
            # Lambda takes no message for which it has no function.
            is_full = self._dialling >= self.story.dialers
            message = until if is_full else self.sqs.next_visible(self.queue) or until
            soonest = min(event, message, until)
            if soonest > self.clock.now():
                self._sent.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout((soonest - self.clock.now()).total_seconds()):
                        await self._sent.wait()
            elif soonest == until:
                return
            elif soonest == event:
                self._begin(heapq.heappop(self._events)[2])
            else:
                self._deliver()
                await asyncio.sleep(0)

    def _begin(self, action: Action) -> None:
        """Something that goes on by itself, and belongs to nobody's invocation."""
        task = asyncio.get_running_loop().create_task(action(), context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        error = task.exception()
        if error is not None:
            self._unforeseen.append(error)

    async def _grant(self, wish: Action) -> None:
        self._asking += 1
        await wish()
        self._asking -= 1

    async def _halt(self) -> None:
        """The operator halts all dialling for a while; only one of them at a time."""
        if self._halting:
            return
        self._halting = True
        stop = Stop(self.clock.now())
        if await self._invoke("Operator", REQUEST_LIVES, lambda invocation: blocking(self._turn, invocation, on=False)):
            stop.answered = self.clock.now()
            self.story.halts.append(stop)
        await self.clock.sleep(self.dice.choice([1, 10, 100]))
        stop.started = self.clock.now()
        while not await self._invoke(
            "Operator", REQUEST_LIVES, lambda invocation: blocking(self._turn, invocation, on=True)
        ):
            pass  # an operator doesn't go home before it dials again
        self._halting = False

    async def _spread_further(self) -> None:
        self.story.calls_per_partition /= 2

    def _turn(self, invocation: Invocation, *, on: bool) -> bool:
        self.switch.turn(on=on, now=invocation.clock.now())
        return True

    # the functions

    async def _tick(self) -> None:
        def tick(invocation: Invocation) -> None:
            pacer = Pacer(
                stores=self.services,
                switch=self.switch,
                queue=CallQueue(self._faulty_sqs(), self.queue, invocation.clock.now, self._pause),
                clock=invocation.clock,
                metrics=FakeMetrics(),
                for_each=map,
                dialers=self.story.dialers,
                limits=self.story.limits,
                calls_per_partition=self.story.calls_per_partition,
            )
            campaigns = with_work(self.services.progress, invocation.clock.now(), self._shards)
            pacer.tick(invocation.clock.now() + TICK_LIVES - SPARE, campaigns)

        await self._invoke("Pacer", TICK_LIVES, lambda invocation: blocking(tick, invocation))

    async def _settle(self) -> None:
        def settle(invocation: Invocation) -> None:
            sleeper = Sleeper(self.services, invocation.clock, self._sleeps.random)
            settler = Settler(self.services, invocation.clock, FakeMetrics(), map, sleeper)
            campaigns = with_work(self.services.progress, invocation.clock.now(), self._shards)
            settler.settle(invocation.clock.now() + TICK_LIVES - SPARE, campaigns)

        await self._invoke("Settler", TICK_LIVES, lambda invocation: blocking(settle, invocation))

    def _deliver(self) -> None:
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=1).get("Messages", [])
        kept = [message for message in received if not self.faults.happens(self.faults.odds.lost)]
        for message in kept:
            if self.faults.happens(self.faults.odds.doubled):  # it will come a second time
                delay = self.dice.choice([0, 1, 30, 600])
                self.sqs.send_message(QueueUrl=self.queue, MessageBody=message["Body"], DelaySeconds=delay)
        deliveries = [Delivery(message["MessageId"], message["Body"]) for message in kept]
        if received:
            self._dialling += 1
            self._begin(partial(self._dial, received, deliveries))

    async def _dial(self, received: list[dict[str, Any]], deliveries: list[Delivery]) -> None:
        """One invocation of the dialer, and what the event source does with the messages then."""

        handed = [handover.from_message(delivery.body) for delivery in deliveries]
        self.story.most_at_once = max(self.story.most_at_once, sum(len(one.dials) for one in handed))

        async def dial(invocation: Invocation) -> list[str]:
            dialer = compose_dialer(
                stores=self.services,
                switch=self.switch,
                dead_letters=DeadLetters(self._faulty_sqs(), self.dead),
                start_url_client=self.tenant,
                result_url_client=self.tenant,
                clock=invocation.clock,
                metrics=FakeMetrics(),
                run_blocking=blocking,
                random_fraction=self.dice.random,
            )
            return await dialer.handle_batch(deliveries, invocation.clock.now() + DIALER_LIVES)

        again = await self._invoke("Dialer", DIALER_LIVES, dial)
        self._dialling -= 1
        self._sent.set()
        if again is None:  # all of its messages come again
            self.story.caught |= {key.call_id for one in handed for key in _keys(one)}
            return
        kept = {delivery.id for delivery in deliveries}
        for message in received:
            if message["MessageId"] not in kept or message["MessageId"] not in again:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    async def _invoke(
        self, name: str, lives: timedelta, function: Callable[[Invocation], Coroutine[Any, Any, R]]
    ) -> R | None:
        """What the function answers; None if it dies, is ended by the clock, or fails because AWS failed it."""
        ahead = timedelta(seconds=self.dice.uniform(-1, 1) * self.faults.odds.skew)
        invocation = Invocation(name, SkewedClock(self.clock, ahead))
        before = INVOCATION.set(invocation)
        try:
            async with asyncio.timeout(lives.total_seconds()):
                return await asyncio.create_task(function(invocation))
        except TimeoutError:
            self.story.timeouts += 1
        except (Crash, ExceptionGroup, CallpacerError, PynamoDBException, BotoCoreError, ClientError):
            pass
        finally:
            INVOCATION.reset(before)
            # When one of its calls dies, all of them are gone.
            invocation.gone = True
            left = [task for task in invocation.tasks if not task.done()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return None

    # the API

    async def _ask(
        self, endpoint: Endpoint, identifier: str | None = None, key: str | None = None, /, **fields: Any
    ) -> Answer | None:
        def ask(invocation: Invocation) -> Answer:
            services = Services.over(self.database, invocation.clock)
            return answer(lambda: services, _http_request(endpoint, identifier, key, fields), endpoint)

        return await self._invoke("APIHandler", REQUEST_LIVES, lambda invocation: blocking(ask, invocation))

    def _ask_at_once(self, endpoint: Endpoint, identifier: str | None = None, **fields: Any) -> Answer:
        """The story's own request: nothing goes wrong with it, and nothing comes between."""
        return answer(lambda: self.services, _http_request(endpoint, identifier, None, fields), endpoint)

    async def _look_closely(self) -> None:
        """At the campaign, and at what has become of its calls at the same moment."""
        campaign = self._ask_at_once(campaigns_api.show, "1")
        if campaign.status == 404:
            self.story.final = {}
            return
        self.story.final = json.loads(campaign.body)
        self.story.calls = json.loads(self._ask_at_once(calls_api.page, "1").body)
        states = Counter(call["state"] for call in self.story.calls)
        self.story.twin_looks.append((self.story.final["progress"], {"total": len(self.story.calls), **states}))
        shown = {call["call_id"] for call in self.story.calls if call["report"] == "delivered"}
        self.story.report_looks.append((shown, self.tenant.took))

    def _tail(self) -> int:
        token = INVOCATION.get(None)
        assert token is None
        found = self.services.campaigns.find(CampaignKey(ACCOUNT, 1))
        return found.tail if found else 0

    def _faulty_sqs(self) -> FaultySQS:
        return FaultySQS(self.sqs, self.faults, self._sent.set)

    def _pause(self, seconds: float) -> None:
        if INVOCATION.get(None) is None:
            return  # the story itself looks, and nothing comes between
        wait(self.clock.sleep(seconds))


def _task(loop: asyncio.AbstractEventLoop, main: Any, **options: Any) -> asyncio.Task[Any]:
    """Tasks are known to the invocation that they belong to."""
    task: asyncio.Task[Any] = asyncio.Task(main, loop=loop, **options)
    context = options.get("context")
    invocation = INVOCATION.get(None) if context is None else context.get(INVOCATION)
    if invocation is not None:
        invocation.tasks.add(task)
    return task


def _http_request(endpoint: Endpoint, identifier: str | None, key: str | None, fields: dict[str, Any]) -> HttpRequest:
    return HttpRequest(
        method="POST" if identifier is None else "PATCH" if fields else "GET",
        path=f"/{getattr(endpoint, '__name__', '')}",
        headers={"authorization": f"Bearer {TOKEN}", **({} if key is None else {"idempotency-key": key})},
        query={},
        body=json.dumps(fields).encode() if fields else b"",
        identifier=identifier,
    )


def _keys(handed: handover.Slice) -> list[CallKey]:
    return [*(dial.key for dial in handed.dials), *(report.key for report in handed.reports)]
