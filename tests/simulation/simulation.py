"""The real pacer, dialer, settler and API run over simulated AWS, for some minutes of calling with many faults.

A seed makes one story, the same each time. It decides what the owner requests when, which ticks are late or missed,
which messages are lost, doubled or received late, where a function dies, where an answer is lost, and the order of what
happens at once. After these minutes there are no more faults. When nothing is left to do, `tests.simulation.checker`
checks the record.

Everything that happens is a task of one event loop. Storage blocks, so functions run in greenlets, and are interleaved
at each request (`tests.fake_aws.greenlets`). Each invocation has a clock of its own.
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
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError
from pynamodb.exceptions import PynamoDBException

from chalicelib.api import calls as calls_api
from chalicelib.api import campaigns as campaigns_api
from chalicelib.api import events as events_api
from chalicelib.api.authentication import EVENTS_PATH
from chalicelib.api.dispatch import Endpoint, HttpRequest, answer
from chalicelib.api.envelope import Answer
from chalicelib.api.services import Services
from chalicelib.calling.composition import compose_dialer
from chalicelib.calling.dialer import Delivery
from chalicelib.calling.pacer import Pacer
from chalicelib.calling.refiller import Refiller
from chalicelib.calling.settler import Settler
from chalicelib.calling.sleeper import Sleeper
from chalicelib.domain import messages
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Day, Profile, Schedule
from chalicelib.domain.pacing import TICK
from chalicelib.domain.sharding import Work
from chalicelib.domain.slicing import Limits
from chalicelib.errors import CallpacerError
from chalicelib.functions.invocation import SPARE
from chalicelib.gateway.queue import CallQueue, DeadLetters
from chalicelib.gateway.signing import PREFIX
from chalicelib.storage.campaign_items import SHARDS
from chalicelib.storage.database import Database, DynamoDB
from chalicelib.storage.switch import Switch
from infra.template.queues import DIALER_TIMEOUT, VISIBILITY_TIMEOUT
from tests.fake_aws.clock import BEGIN, SimulatedClock, SkewedClock
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.fake_aws.greenlets import blocking, wait
from tests.fake_aws.sqs import SimulatedSQS
from tests.simulation.faults import INVOCATION, Crash, Faults, FaultyDynamoDB, FaultySQS, Invocation, Odds
from tests.simulation.owner import Owner, phone_numbers, profiles
from tests.simulation.pollers import Pollers
from tests.simulation.provider import SimulatedProvider
from tests.simulation.story import ALL_HOURS, AMOUNT, MINUTE, PERIOD, RequestedHours, Stop, Story
from tests.simulation.tenant import SimulatedTenant
from tests.support.databases import create_tables, with_work
from tests.support.world import FakeMetrics

R = TypeVar("R")
#: something that happens, and takes a while
Action: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

ACCOUNT, TOKEN = "acme", "token"
#: How long functions may run. For the API it is API Gateway's limit.
DIALER_LIFE, TICK_TIMEOUT, REQUEST_TIMEOUT = timedelta(seconds=DIALER_TIMEOUT), TICK, timedelta(seconds=29)
CALL_QUEUE = {"VisibilityTimeout": str(VISIBILITY_TIMEOUT)}
#: The longest time without faults at the end of a story. A report may be tried again for thirty hours of it.
QUIET = timedelta(hours=34)
#: when every campaign that sleeps is awake
LAST_DAY = datetime(9999, 1, 1, tzinfo=UTC)
#: the first part of the time without faults, in which ticks come often
BUSY = timedelta(minutes=45)
#: In some stories a partition takes only so few calls a second, so tasks are spread over several. While the campaign
#: runs it becomes half of that.
SPREAD = (0.25, 0.1)
#: how many of the stories have numbers that are canceled
CANCEL_ODDS = 0.25
#: how many of the campaigns ask for a report of each attempt, from which seed on: the controls need the stories before
ATTEMPT_REPORTS_ODDS = 0.5
FIRST_WITH_ATTEMPT_REPORTS = 120
#: in how many of the stories uploads come first or have times, from which seed on
TIMES_ODDS = 0.5
FIRST_WITH_TIMES = 200
#: in which part of the stories
SPREAD_ODDS = 0.25
#: how often a message that waits for a dialer is offered again
OFFERED_AGAIN = timedelta(seconds=0.1)
#: how many of a story's calls last, and after how many seconds their outcome isn't waited for any more
LASTING, CALL_TIMEOUTS = (0.0, 0.0, 0.0, 0.7), (60, 180)
#: how many calls may be under way at once
LINES = (None, None, None, 4, 10)


class Simulation:
    def __init__(self, seed: int, *, crash_at: int | None = None) -> None:
        """With `crash_at` the story is short, and its only fault is one crash, at that boundary."""
        self.dice = random.Random(seed)  # noqa: S311 # no secret
        # It has a generator of its own, so that the settler's code doesn't change the rest of a seed's story.
        self._sleeper_dice = random.Random(seed)  # noqa: S311 # no secret
        self.is_short = crash_at is not None
        self.clock = SimulatedClock()
        self.faults = Faults(self.dice, Odds() if self.is_short else Odds.drawn(self.dice), crash_at=crash_at)
        self.faults.meanwhile = lambda: self._begin(self.dice.choice(self._interruptions))
        self.minutes = 1 if self.is_short else 6

        self._pollers = Pollers.prompt(self.clock.now) if self.is_short else Pollers.drawn(seed, self.clock.now)
        self.sqs = SimulatedSQS(self.clock.now, self.dice, refuses=self.faults.refuses)
        self.queue = self.sqs.create_queue(QueueName="calls", Attributes=CALL_QUEUE)["QueueUrl"]
        self.dead = self.sqs.create_queue(QueueName="calls-dead")["QueueUrl"]
        dynamodb = SimulatedDynamoDB(
            self.dice, page_size=50, index_lag=self.faults.index_lag, unprocessed=self.faults.unprocessed
        )
        self.lines = random.Random(f"lines {seed}").choice(LINES)  # noqa: S311 # no secret
        # Half of these limits are the account's, and not the campaign's.
        self.account_has_lines = random.Random(f"account lines {seed}").random() < 0.5  # noqa: S311 # no secret
        old_dice = None if self.lines is None else random.Random(f"old {seed}")  # noqa: S311 # no secret
        self._cancel_dice = random.Random(f"cancel {seed}")  # noqa: S311 # no secret
        self.cancels = self._cancel_dice.random() < CANCEL_ODDS
        client = FaultyDynamoDB(dynamodb, self.faults, old_dice, self._cancel_dice if self.cancels else None)
        self.database = Database("simulated", cast(DynamoDB, client), self._pause, self.dice.random)
        create_tables(self.database)
        self.services = Services.over(self.database, self.clock)
        self.switch = Switch(self.database, "this one")

        events_dice = random.Random(f"events {seed}")  # noqa: S311 # no secret
        share, call_timeout = events_dice.choice(LASTING), events_dice.choice(CALL_TIMEOUTS)
        detection = random.Random(f"detection {seed}")  # noqa: S311 # no secret
        provider = SimulatedProvider(self.clock, events_dice, detection, self._post_event, self._begin, share)
        self.tenant = SimulatedTenant(self.clock, self.dice, self.faults, provider)
        if not self.is_short and self.dice.random() < 0.05:
            self.tenant.unreachable_until = BEGIN + timedelta(hours=24 * self.dice.random())
        hours = RequestedHours(ALL_HOURS[0] if self.is_short else self.dice.choice(ALL_HOURS), BEGIN)
        self.story = Story(seed, self.tenant, self.faults, [hours], max_retries=self.dice.choice([0, 0, 2]))
        self.story.call_timeout = call_timeout
        attempts_dice = random.Random(f"attempts {seed}")  # noqa: S311 # no secret
        may_report = self.is_short or seed >= FIRST_WITH_ATTEMPT_REPORTS
        self.story.attempt_reports = may_report and attempts_dice.random() < ATTEMPT_REPORTS_ODDS
        span, most = timedelta(seconds=self.dice.choice([2, 10, 40])), self.dice.choice([1, 5, 20])
        self.story.limits = Limits(span, most, most_slow=most * 5 // 2 if most > 1 else 1)
        self.story.dialers = self.dice.choice([1, 2, 50, 50])
        # It has a generator of its own, so that it doesn't change the rest of a seed's story.
        self._spread_dice = random.Random(f"spread {seed}")  # noqa: S311 # no secret
        self.is_spread = self._spread_dice.random() < SPREAD_ODDS
        if self.is_spread:
            self.story.calls_per_partition = self._spread_dice.choice(SPREAD)
        self.story.lines = self.lines
        times_dice = random.Random(f"times {seed}")  # noqa: S311 # no secret
        has_times = (self.is_short or seed >= FIRST_WITH_TIMES) and times_dice.random() < TIMES_ODDS
        self._times_dice = times_dice if has_times else None
        self.owner = Owner(
            self._call_api, self.clock, self.dice, self._cancel_dice, self._times_dice, self.story, self._tail
        )
        self._requests = [partial(self._request, request) for request in self.owner.requests()]
        self._interruptions: list[Action] = [self._tick, self._settle, self._halt, *self._requests]
        self._shards: list[int] = []
        self._events: list[tuple[datetime, int, Action]] = []
        self._order = count()
        self._under_way: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._requesting = 0
        self._halting = False
        self._dialling = 0
        self._sent = asyncio.Event()

    def run(self) -> Story:
        return self.clock.run(self._run())

    async def _run(self) -> Story:
        asyncio.get_running_loop().set_task_factory(_task)
        await self._prepare()
        end = BEGIN + self.minutes * MINUTE
        self._plan(end)
        self.faults.on = True
        await self._run_until(end)
        self.faults.on = False
        await self._run_without_faults()
        if self._errors:
            raise BaseExceptionGroup("errors of the simulation itself", self._errors)
        return self.story

    async def _prepare(self) -> None:
        self.switch.turn(on=True, now=BEGIN)
        self.services.accounts.ensure(ACCOUNT, PREFIX + "c2VjcmV0")
        self.services.tokens.create(ACCOUNT, TOKEN, BEGIN)
        self.services.schedules.add(Schedule(ACCOUNT, 1, None, tuple(Day)), None, BEGIN)
        self.services.profiles.add(Profile(ACCOUNT, 1, None, PERIOD, AMOUNT, 0), None, BEGIN)
        if self.account_has_lines:
            self.services.accounts.limit_concurrent_calls(ACCOUNT, self.story.lines)
        self.story.uploaded = self.dice.choice([2, 4] if self.is_short else [5, 20, 60, 120])
        created = self._request_undisturbed(
            campaigns_api.create,
            start_date="2026-01-05",
            end_date="2026-01-05",
            schedule="1",
            profiles=profiles(self.story.requested_hours[0].hours),
            start_url="http://tenant.example/start",
            result_url="http://tenant.example/result",
            max_retries=self.story.max_retries,
            retry_interval=60,
            call_timeout=self.story.call_timeout,
            attempt_reports=self.story.attempt_reports,
            max_concurrent_calls=None if self.account_has_lines else self.story.lines,
            phone_numbers=phone_numbers(0, self.story.uploaded),
        )
        assert created.status == 200, created.body
        self._shards = [shard for shard, works in self._work_in(range(SHARDS)).items() if works]
        self.story.stops.append(Stop(BEGIN - timedelta(days=1)))
        await self.owner.start()

    async def _run_without_faults(self) -> None:
        """Go on without faults until nothing is left to do."""
        # A stop that is still under way might come after the start that follows.
        while self._requesting or self._halting:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        await self.owner.start()
        begun = self.clock.now()
        self._events.clear()
        self.story.dialers = 50
        while self.clock.now() - begun < QUIET and not (self._is_idle() and await self._is_over()):
            self._at(self.clock.now(), self._tick)
            self._at(self.clock.now(), self._settle)
            await self._run_until(self.clock.now() + self._tick_interval(self.clock.now() - begun))
        await self._take_snapshot()
        self.story.dead_letters = len(
            self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10).get("Messages", [])
        )

    def _tick_interval(self, quiet_for: timedelta) -> timedelta:
        """Fewer ticks than one a minute make the simulation faster, and break no promise."""
        if quiet_for >= BUSY:
            return 10 * MINUTE
        return 2 * MINUTE if self.is_short else MINUTE

    def _is_idle(self) -> bool:
        return not self._under_way and self.sqs.next_visible(self.queue) is None

    async def _is_over(self) -> bool:
        await self._take_snapshot()
        if self.story.final:
            return bool(self.story.final["status"] == "completed")
        return not any(self._work_in(self._shards).values())

    def _work_in(self, shards: Iterable[int]) -> dict[int, list[Work]]:
        """The campaigns of each shard that have work, even if they sleep."""
        return self.services.progress.work_in(shards, LAST_DAY)

    # events

    def _plan(self, end: datetime) -> None:
        odds, dice = self.faults.odds, self.dice
        for action in (self._tick, self._settle):
            minute, outage = BEGIN + timedelta(seconds=7), 0
            while minute < end:
                outage = max(outage - 1, 3 if dice.random() < odds.outage else 0)
                times = 0 if outage or dice.random() < odds.missed else 2 if dice.random() < odds.twice else 1
                for _ in range(times):
                    late = 0.0 if self.is_short else dice.random() * (40 if dice.random() < odds.late else 4)
                    self._at(minute + timedelta(seconds=late), action)
                minute += MINUTE
        for _ in range(dice.randrange(4)):
            self._at(BEGIN + (end - BEGIN) * dice.random(), self._take_snapshot)
        if dice.random() < 0.2:
            self._at(BEGIN + (end - BEGIN) * dice.random(), self._halt)
        self._plan_requests(end)
        if self.is_spread:
            self._at(BEGIN + (end - BEGIN) * self._spread_dice.random(), self._spread_further)

    def _plan_requests(self, end: datetime) -> None:
        dice = self.dice
        for _ in range(2 if self.is_short else dice.randrange(8)):
            self._at(BEGIN + (end - BEGIN) * dice.random(), dice.choice(self._requests))
        for _ in range(2 if self._times_dice else 0):
            self._at(BEGIN + (end - BEGIN) * dice.random(), partial(self._request, self.owner.append))
        if dice.random() < 0.08:
            self._at(BEGIN + (end - BEGIN) * dice.random(), partial(self._request, self.owner.delete))
        for _ in range(self._cancel_dice.choice([1, 2, 5]) if self.cancels else 0):
            self._at(BEGIN + (end - BEGIN) * self._cancel_dice.random(), partial(self._request, self.owner.cancel))

    def _at(self, when: datetime, action: Action) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    async def _run_until(self, until: datetime) -> None:
        """Begin events and deliver messages when their time comes, and let running tasks run."""
        while True:
            event = self._events[0][0] if self._events else until
            soonest = min(event, self._next_receipt() or until, until)
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

    def _next_receipt(self) -> datetime | None:
        """When a message may be received next. Lambda receives one only if it may start another dialer."""
        visible = self.sqs.next_visible(self.queue)
        if visible is None or self._dialling >= self.story.dialers:
            return None
        now = self.clock.now()
        if visible > now or self._pollers.concurrency.admits(self._dialling, self.story.dialers):
            return visible
        return now + OFFERED_AGAIN

    def _begin(self, action: Action) -> None:
        """Start a task outside of any invocation."""
        task = asyncio.get_running_loop().create_task(action(), context=Context())
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        error = task.exception()
        if error is not None:
            self._errors.append(error)

    async def _request(self, request: Action) -> None:
        self._requesting += 1
        await request()
        self._requesting -= 1

    async def _halt(self) -> None:
        """The operator halts all dialling for a while. There is one halt at a time."""
        if self._halting:
            return
        self._halting = True
        stop = Stop(self.clock.now())
        if await self._invoke(
            "Operator", REQUEST_TIMEOUT, lambda invocation: blocking(self._turn, invocation, on=False)
        ):
            stop.answered = self.clock.now()
            self.story.halts.append(stop)
        await self.clock.sleep(self.dice.choice([1, 10, 100]))
        stop.started = self.clock.now()
        while not await self._invoke(
            "Operator", REQUEST_TIMEOUT, lambda invocation: blocking(self._turn, invocation, on=True)
        ):
            pass  # The operator tries until dialling is on again.
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
            pacer.tick(invocation.clock.now() + TICK_TIMEOUT - SPARE, campaigns)

        await self._invoke("Pacer", TICK_TIMEOUT, lambda invocation: blocking(tick, invocation))

    async def _settle(self) -> None:
        def settle(invocation: Invocation) -> None:
            sleeper = Sleeper(self.services, invocation.clock, self._sleeper_dice.random)
            queue = CallQueue(self._faulty_sqs(), self.queue, invocation.clock.now, self._pause)
            settler = Settler(self.services, invocation.clock, FakeMetrics(), map, sleeper, queue)
            campaigns = with_work(self.services.progress, invocation.clock.now(), self._shards)
            settler.settle(invocation.clock.now() + TICK_TIMEOUT - SPARE, campaigns)

        await self._invoke("Settler", TICK_TIMEOUT, lambda invocation: blocking(settle, invocation))

    def _deliver(self) -> None:
        received = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=1).get("Messages", [])
        kept = [message for message in received if not self.faults.happens(self.faults.odds.lost)]
        for message in kept:
            if self.faults.happens(self.faults.odds.doubled):  # it comes a second time
                delay = self.dice.choice([0, 1, 30, 600])
                self.sqs.send_message(QueueUrl=self.queue, MessageBody=message["Body"], DelaySeconds=delay)
        deliveries = [Delivery(message["MessageId"], message["Body"]) for message in kept]
        if received:
            self._dialling += 1
            self._begin(partial(self._dial, received, deliveries))

    async def _dial(self, received: list[dict[str, Any]], deliveries: list[Delivery]) -> None:
        """Invoke the dialer, then delete the messages or leave them in the queue, as the event source does."""
        if lag := self._pollers.lag():
            await self.clock.sleep(lag)
        received_messages = [messages.from_message(delivery.body) for delivery in deliveries]
        slices = [message for message in received_messages if isinstance(message, messages.Slice)]
        self.story.largest_slice = max(self.story.largest_slice, sum(len(slice_.dials) for slice_ in slices))
        for slice_ in slices:
            for one in slice_.dials:
                self.story.due.setdefault((one.key.call_id, one.attempt), []).append(one.due)

        async def dial(invocation: Invocation) -> list[str]:
            queue = CallQueue(self._faulty_sqs(), self.queue, invocation.clock.now, self._pause)
            dialer = compose_dialer(
                stores=self.services,
                switch=self.switch,
                refiller=Refiller(
                    stores=self.services,
                    switch=self.switch,
                    queue=queue,
                    clock=invocation.clock,
                    limits=self.story.limits,
                    calls_per_partition=self.story.calls_per_partition,
                ),
                dead_letters=DeadLetters(self._faulty_sqs(), self.dead),
                start_url_client=self.tenant,
                result_url_client=self.tenant,
                clock=invocation.clock,
                metrics=FakeMetrics(),
                run_blocking=blocking,
                public_url="http://callpacer.example",
                random_fraction=self.dice.random,
            )
            return await dialer.handle_batch(deliveries, invocation.clock.now() + DIALER_LIFE)

        again = await self._invoke("Dialer", DIALER_LIFE, dial)
        self._dialling -= 1
        self._sent.set()
        if again is None:  # all of its messages come again
            self.story.of_dead_dialers |= {key.call_id for slice_ in slices for key in _keys(slice_)}
            return
        kept = {delivery.id for delivery in deliveries}
        for message in received:
            if message["MessageId"] not in kept or message["MessageId"] not in again:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    async def _invoke(
        self, name: str, lasts: timedelta, function: Callable[[Invocation], Coroutine[Any, Any, R]]
    ) -> R | None:
        """What the function returns; None if it dies, takes too long, or fails because a request to AWS failed."""
        ahead = timedelta(seconds=self.dice.uniform(-1, 1) * self.faults.odds.skew)
        invocation = Invocation(name, SkewedClock(self.clock, ahead))
        before = INVOCATION.set(invocation)
        try:
            async with asyncio.timeout(lasts.total_seconds()):
                return await asyncio.create_task(function(invocation))
        except TimeoutError:
            self.story.timeouts += 1
        except (Crash, ExceptionGroup, CallpacerError, PynamoDBException, BotoCoreError, ClientError):
            pass
        finally:
            INVOCATION.reset(before)
            # When one of its tasks dies, all of them do.
            invocation.is_dead = True
            left = [task for task in invocation.tasks if not task.done()]
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return None

    # the API

    async def _call_api(
        self, endpoint: Endpoint, identifier: str | None = None, key: str | None = None, /, **fields: Any
    ) -> Answer | None:
        def ask(invocation: Invocation) -> Answer:
            services = Services.over(self.database, invocation.clock)
            return answer(lambda: services, _http_request(endpoint, identifier, key, fields), endpoint)

        return await self._invoke("APIHandler", REQUEST_TIMEOUT, lambda invocation: blocking(ask, invocation))

    async def _post_event(self, path: str, query: dict[str, list[str]], form: dict[str, str]) -> Answer | None:
        """What a provider posts: a form, without a token."""

        def ask(invocation: Invocation) -> Answer:
            services = Services.over(self.database, invocation.clock)
            request = HttpRequest("POST", EVENTS_PATH, {}, query, urlencode(form).encode(), path.split("/")[-2])
            return answer(lambda: services, request, events_api.receive)

        return await self._invoke("APIHandler", REQUEST_TIMEOUT, lambda invocation: blocking(ask, invocation))

    def _request_undisturbed(self, endpoint: Endpoint, identifier: str | None = None, **fields: Any) -> Answer:
        """A request of the simulation's own, without faults or interruptions."""
        return answer(lambda: self.services, _http_request(endpoint, identifier, None, fields), endpoint)

    async def _take_snapshot(self) -> None:
        """Record the campaign and its calls as the API shows them at one moment."""
        campaign = self._request_undisturbed(campaigns_api.show, "1")
        if campaign.status == 404:
            self.story.final = {}
            return
        self.story.final = json.loads(campaign.body)
        self.story.calls = json.loads(self._request_undisturbed(calls_api.page, "1").body)
        states = Counter(call["state"] for call in self.story.calls)
        self.story.progress_and_states.append(
            (self.story.final["progress"], {"total": len(self.story.calls), **states})
        )
        shown = {(call["call_id"], call["revision"]) for call in self.story.calls if call["report"] == "delivered"}
        self.story.report_snapshots.append((shown, self.tenant.acknowledged))

    def _tail(self) -> int:
        assert INVOCATION.get(None) is None
        found = self.services.campaigns.find(CampaignKey(ACCOUNT, 1))
        return found.tail if found else 0

    def _faulty_sqs(self) -> FaultySQS:
        return FaultySQS(self.sqs, self.faults, self._sent.set)

    def _pause(self, seconds: float) -> None:
        if INVOCATION.get(None) is None:
            return  # A request of the simulation's own isn't interrupted.
        wait(self.clock.sleep(seconds))


def _task(loop: asyncio.AbstractEventLoop, main: Any, **options: Any) -> asyncio.Task[Any]:
    """A new task, which its invocation knows."""
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


def _keys(slice_: messages.Slice) -> list[CallKey]:
    return [*(dial.key for dial in slice_.dials), *(report.key for report in slice_.reports)]
