"""Runs everything that the functions do, and records which permissions of AWS each of them needs."""

import json
import logging
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from chalicelib.api.services import Services
from chalicelib.domain.call import RecordedEvent, ReportState
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import Answered, Outcome, RequestResult, Result
from chalicelib.domain.providers import EventStatus
from chalicelib.functions.fan_out import fan_out
from chalicelib.storage.campaigns import Campaigns
from chalicelib.storage.database import Database
from chalicelib.storage.log import Staged
from tests.fake_aws.clock import BEGIN
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.simulation.simulation import Simulation
from tests.support.campaigns import MINUTE, prepare, start
from tests.support.customer import Customer
from tests.support.databases import create_tables
from tests.support.events import post_event
from tests.support.examples import CAMPAIGN
from tests.support.permissions import Permission, asked_of_dynamodb, asked_of_lambda, asked_of_sqs
from tests.support.tasks import waiting
from tests.support.ticks import tick_of
from tests.support.world import DIALER_LIFE, HandClock, World

#: How many stories of the simulation run: a few at least, and more until each line that needs a permission has run.
FEWEST, MOST = 4, 20
#: too many for one chunk
MANY = [f"+1222{index:07}, {'x' * 200}" for index in range(700)]
#: too many for a segment, and few enough for one chunk
FOR_ONE_CHUNK = 200


@dataclass
class Record:
    #: the permissions that each function needed, by its name in the template
    asked: defaultdict[str, set[Permission]] = field(default_factory=lambda: defaultdict(set))
    #: the lines that have run, by the file
    lines: defaultdict[Path, set[int]] = field(default_factory=lambda: defaultdict(set))
    #: the function that is running; None while the test prepares something
    function: str | None = None

    def left_out(self, asking: Mapping[Path, set[int]]) -> list[tuple[Path, int]]:
        """Which of these lines haven't run."""
        return [(path, line) for path, lines in asking.items() for line in sorted(lines - self.lines[path])]

    @contextmanager
    def of(self, function: str) -> Iterator[None]:
        self.function = function
        yield
        self.function = None

    def add(self, needed: Iterator[Permission]) -> None:
        if self.function is not None:
            self.asked[self.function].update(needed)


class RecordedDynamoDB:
    def __init__(self, record: Record) -> None:
        self._record = record
        self._client = SimulatedDynamoDB()

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        self._record.add(asked_of_dynamodb(operation_name, api_params))
        return self._client._make_api_call(operation_name, api_params)


class RecordedLambda:
    def __init__(self, record: Record) -> None:
        self._record = record

    def invoke(self, **request: Any) -> None:
        self._record.add(asked_of_lambda("Invoke", request))


class RecordedWorld(World):
    def __init__(self, record: Record) -> None:
        self.database = _database(record)
        super().__init__(self.database, HandClock())
        self._record = record
        self.sqs.listen = self.dead_letters.listen = self._record_request

    def _record_request(self, operation: str, request: Mapping[str, Any]) -> None:
        self._record.add(asked_of_sqs(operation, request))

    def tick(self) -> None:
        with self._record.of("Pacer"):
            super().tick()

    def settle(self) -> None:
        with self._record.of("Settler"):
            super().settle()

    def dial(self, bodies: Sequence[str], time_left: timedelta = DIALER_LIFE) -> list[str]:
        with self._record.of("Dialer"):
            return super().dial(bodies, time_left)


class DiesUnsealed(Campaigns):
    """An API that dies as soon as it has accepted an upload."""

    def _seal(self, staged: Staged | None) -> None:
        pass


def everything(asking: Mapping[Path, set[int]]) -> Record:
    """The record of all that functions do. Stories run until each of these lines, by the file, has run."""
    record = Record()
    with _tracing(record, asking), _quiet():
        _all_requests_of_a_customer(record)
        _unsealed_uploads(record)
        _lost_messages(record)
        _faults_of_the_queue(record)
        _refills(record)
        _lasting_calls(record)
        _canceled_numbers(record)
        _fan_out(record)
        _unsent_reports(record)
        _a_report_answered_with_410(record)
        _lost_reports(record)
        _a_retry_whose_report_is_lost(record)
        _reports_of_attempts(record)
        _numbers_with_times(record)
        _first_numbers(record)
        _a_number_that_cannot_be_passed(record)
        for seed in range(MOST):
            if seed >= FEWEST and not record.left_out(asking):
                break
            for function, asked in Simulation(seed).run().faults.asked.items():
                record.asked[function] |= asked
    return record


def _all_requests_of_a_customer(record: Record) -> None:
    customer = Customer(Services.over(_database(record), HandClock()))
    with record.of("APIHandler"):
        for kind, fields in (
            ("schedules", {"days": ["mon"]}),
            ("profiles", {"period": 1, "amount_per_period": 1, "time_between_periods": 0}),
        ):
            for nickname in ("first", "second"):
                _ask(customer, "POST", f"/api/{kind}", 200, key=f"{kind} {nickname}", nickname=nickname, **fields)
            _ask(customer, "POST", f"/api/{kind}", 200, key=f"{kind} first", nickname="first", **fields)
            _ask(customer, "POST", f"/api/{kind}", 422, key=f"{kind} taken", nickname="first", **fields)
            _ask(customer, "PATCH", f"/api/{kind}/2", 200, nickname="third", **fields)
        plan = {"start_date": "2026-01-05", "end_date": "2026-01-09", "start_url": "http://tenant.example/"}
        window = {"start_time": "08:00", "end_time": "11:00"}
        _ask(
            customer,
            "POST",
            "/api/campaigns",
            200,
            key="campaign",
            schedule="first",
            profiles=[{"profile": "first", **window}],
            phone_numbers=MANY,
            **plan,
        )
        for _ in range(2):
            _ask(customer, "POST", "/api/campaigns/add-calls", 200, key="calls", campaign_id=1, phone_numbers=MANY)
        for numbers in (MANY[:FOR_ONE_CHUNK], ["+12223334444"]):
            _ask(customer, "POST", "/api/campaigns/add-calls", 200, campaign_id=1, phone_numbers=numbers)
        _ask(customer, "PATCH", "/api/campaigns/1", 200, schedule="2", profiles=[{"profile": "2", **window}])
        _ask(customer, "PUT", "/api/campaigns", 200)
        shown = customer.get("/api/campaigns/1")
        assert customer.ask("PATCH", "/api/campaigns/1", shown.text.encode()).status == 200
        _ask(customer, "POST", "/api/campaigns/add-calls", 200, campaign_id=1, phone_numbers=MANY[:1], dry_run=True)
        for is_dry_run in (True, False):
            new: dict[str, Any] = {"phone_numbers": [*MANY[:1], "+12223335555"], "unique": "campaign"}
            _ask(customer, "POST", "/api/campaigns/add-calls", 200, campaign_id=1, dry_run=is_dry_run, **new)
        for turn in ("start", "start", "stop"):
            _ask(customer, "POST", f"/api/campaigns/{turn}", 200, campaign_id=1)
            _ask(customer, "POST", f"/api/campaigns/{turn}", 404, key=turn, campaign_id=2)
        _ask(customer, "GET", "/api/campaigns/1/calls", 200)
        _ask(customer, "GET", "/api/campaigns/1/calls?phone_number=2223334444&state=failed", 200)
        _ask(customer, "GET", f"/api/calls/{2**32}", 200)
        _ask(customer, "POST", f"/api/calls/{2**32}/events", 404, CallStatus="completed")
        _ask(customer, "GET", "/api/campaigns/1/forecast", 200)
        for kind in ("schedules", "profiles", "campaigns"):
            _ask(customer, "GET", f"/api/{kind}", 200)
            _ask(customer, "GET", f"/api/{kind}/1", 200)
        for kind in ("schedules", "profiles"):
            _ask(customer, "DELETE", f"/api/{kind}/2", 409)
            _ask(customer, "DELETE", f"/api/{kind}/1", 200)
        _ask(customer, "DELETE", "/api/campaigns/1", 200)


def _ask(customer: Customer, method: str, path: str, status: int, *, key: str | None = None, **fields: Any) -> None:
    reply = customer.ask(
        method, path, json.dumps(fields).encode() if fields else b"", {} if key is None else {"Idempotency-Key": key}
    )
    assert reply.status == status, f"{method} {path}: {reply.text}"


def _unsealed_uploads(record: Record) -> None:
    """The settler seals them. The pacer reads on from one segment to the next."""
    world = RecordedWorld(record)
    prepare(world, [])
    for _ in range(2):
        entries = [Entry.from_line(line) for line in MANY]
        stores = world.services
        unsealed = DiesUnsealed(world.database, log=stores.log, schedules=stores.schedules, profiles=stores.profiles)
        unsealed.append(CampaignKey("acme", 1), entries, None, world.clock.now())
    start(world)
    world.settle()
    for _ in range(15):
        world.tick()
        world.clock.turn_to(world.clock.now() + MINUTE)


def _lost_messages(record: Record) -> None:
    """Their numbers are read again from a chunk."""
    world = RecordedWorld(record)
    prepare(world, [Entry.from_line(line) for line in MANY[:FOR_ONE_CHUNK]])
    start(world)
    world.tick()
    world.sqs.messages.clear()
    for _ in range(7):
        world.settle()
        world.clock.turn_to(world.clock.now() + MINUTE)
    assert waiting(world.services.tasks, CampaignKey("acme", 1), spread=1)[0] == 0


def _faults_of_the_queue(record: Record) -> None:
    """A message can't be read, and a deferred number can't be dispatched."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")])
    start(world)
    world.tick()
    (message,) = world.sqs.take(world.clock.now() + MINUTE)
    assert world.dial([message.body, "?"], time_left=timedelta(seconds=20)) == []
    assert len(world.dead_letters.messages) == 1
    assert waiting(world.services.tasks, CampaignKey("acme", 1), spread=1) == [0]
    world.clock.turn_to(world.clock.now() + MINUTE)
    world.sqs.refuses = 4
    world.tick()
    assert (world.sqs.refuses, world.sqs.messages) == (0, [])


def _refills(record: Record) -> None:
    """Numbers of a chunk, and tasks, go out on the lines of a campaign."""
    world = RecordedWorld(record)
    prepare(world, [Entry.from_line(line) for line in MANY[:FOR_ONE_CHUNK]], max_concurrent_calls=2, max_retries=1)
    world.tenant.on_call = lambda _: Answered(486, {}, b"")
    start(world)
    world.run(minutes=4)
    assert len(world.tenant.calls) > FEWEST
    assert {call.form["attempt"] for call in world.tenant.calls} == {"1", "2"}


def _lasting_calls(record: Record) -> None:
    """Events end calls, put off retries, end a retry that the settler has skipped, and correct what timed out."""
    world = RecordedWorld(record)
    entries = [Entry(f"tel:+1222333{number:04}") for number in range(4)]
    prepare(world, entries, max_retries=1, call_timeout=60)
    world.tenant.on_call = lambda form: Answered(202 if form["attempt"] == "1" else 486, {}, b"")
    start(world)
    world.run(minutes=1)

    def post(index: int, status: str) -> None:
        with record.of("APIHandler"):
            assert post_event(world.services, world.tenant.calls[index].form["status_url"], status=status).status == 200

    post(0, "ringing")
    post(0, "completed")
    post(1, "busy")
    world.run(minutes=6)
    post(2, "completed")  # too late, so this is a correction
    calls, skipped = world.services.calls, CampaignKey("acme", 1).call(9)
    calls.defer_lost(skipped, entries[3], spread=1)
    calls.claim(skipped, entries[3], 1, world.clock.now())
    dialling = calls.get(skipped)
    assert dialling is not None
    with record.of("APIHandler"):
        event = RecordedEvent(world.clock.now(), 1, EventStatus.BUSY)
        outcome = Outcome(Result.FAILED, "busy")
        world.services.call_events.end(dialling, event, outcome, ReportState.PENDING, spread=1)
    world.run(minutes=2)


def _canceled_numbers(record: Record) -> None:
    """By id, number and reference; also a retry that was skipped, and a number whose record expires before its turn."""
    world = RecordedWorld(record)
    prepare(world, [Entry(f"tel:+1222333{number:04}", f"ref {number}") for number in range(4)], amount=1, max_retries=1)
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    start(world)
    world.run(minutes=1)
    acme = Customer(world.services, "acme")
    first = CampaignKey("acme", 1).call(0).call_id
    with record.of("APIHandler"):
        for named in ({"call_ids": [first]}, {"phone_numbers": ["2223330001"]}, {"message_reference": "ref 2"}):
            fields = json.dumps({"campaign_id": 1, **named}).encode()
            assert (
                acme.ask("POST", "/api/campaigns/cancel-calls", fields, {"Idempotency-Key": next(iter(named))}).status
                == 200
            )
    world.database.calls("acme/1/2").delete()
    world.run(minutes=10)
    assert {call.form["phone_number"] for call in world.tenant.calls} == {"tel:+12223330000", "tel:+12223330003"}


def _numbers_with_times(record: Record) -> None:
    """Some are early, and others expire: in the log, or on their way to the dialer."""
    world = RecordedWorld(record)
    late, soon = BEGIN + timedelta(seconds=90), BEGIN + timedelta(seconds=25)
    early = [Entry(f"tel:+1222333{number:04}", "early", not_before=late) for number in range(2)]
    brief = [Entry(f"tel:+1222444{number:04}", "brief", expires=soon) for number in range(4)]
    prepare(world, [*early[:1], Entry("tel:+12223334444", "plain"), *early[1:], *brief], amount=2, max_retries=1)
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    start(world)
    world.run(minutes=10)
    assert {call.form["message_reference"] for call in world.tenant.calls} == {"early", "plain"}
    # A pacer passes a number, and dies before it records that.
    world.services.campaigns.append(CAMPAIGN, brief[:1], None, world.clock.now())
    campaign = world.services.campaigns.get(CAMPAIGN)
    assert world.services.progress.advance_head(campaign, campaign.tail)
    world.run(minutes=10)
    assert world.services.campaigns.get(CAMPAIGN).counts.failed == 8


def _a_number_that_cannot_be_passed(record: Record) -> None:
    """The pacer fails to record it, and moves the head past what it has sent."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444"), Entry("tel:+12223335555", expires=BEGIN)])
    start(world)

    def fail(*_: object) -> None:
        raise ConnectionError

    with pytest.MonkeyPatch.context() as patch, suppress(ExceptionGroup):
        patch.setattr(world.services.passed, "record", fail)
        world.tick()
    assert world.services.campaigns.get(CAMPAIGN).head == 1


def _first_numbers(record: Record) -> None:
    """An upload of several chunks that a request begins to move to the front, and that the settler goes on with."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")], amount=3)
    start(world)
    acme = Customer(world.services, "acme")
    with record.of("APIHandler"):
        for number in range(2):
            fields = {"campaign_id": 1, "phone_numbers": [f"222333000{number}"], "first": True}
            assert acme.ask("POST", "/api/campaigns/add-calls", json.dumps(fields).encode(), {}).status == 200
    late = [Entry(f"tel:+1222555{number:04}", "a reference of some length" * 6) for number in range(500)]
    world.services.campaigns.append(CAMPAIGN, late, None, world.clock.now(), first=True)
    world.run(minutes=2)
    assert len(world.tenant.calls) > 2


def _fan_out(record: Record) -> None:
    """A function invokes itself again for work that is too much for one invocation."""
    for function in ("Pacer", "Settler"):
        with record.of(function):
            fan_out(tick_of(function.lower()), [0], 1.0, connect=lambda: RecordedLambda(record))


def _unsent_reports(record: Record) -> None:
    """A dialer has no time left for a report. When it is due again, the campaign has no result_url any more."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")])

    def slow(_: Mapping[str, str]) -> RequestResult:
        world.clock.turn_to(world.clock.now() + timedelta(seconds=80))
        return Answered(200, {}, b"")

    world.tenant.on_call = slow
    start(world)
    world.run(minutes=1)
    world.services.campaigns.change(
        CampaignKey("acme", 1), lambda plan: replace(plan, result_url=None), world.clock.now()
    )
    world.run(minutes=1)
    assert world.tenant.reports == []


def _a_report_answered_with_410(record: Record) -> None:
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")])
    world.tenant.on_report = lambda _: Answered(410, {}, b"")
    start(world)
    world.run(minutes=1)
    assert len(world.tenant.reports) == 1


def _lost_reports(record: Record) -> None:
    """A report is lost because its dialer dies, and then because the message is lost that asks for it again."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")])

    def lost(_: Mapping[str, str]) -> RequestResult:
        raise ConnectionError

    world.tenant.on_report = lost
    start(world)
    world.tick()
    (message,) = world.sqs.take(world.clock.now() + MINUTE)
    assert world.dial([message.body]) == ["0"]
    for _ in range(2):
        world.clock.turn_to(world.clock.now() + timedelta(minutes=20))
        world.settle()
        world.tick()
        assert len(world.sqs.take(world.clock.now())) == 1


def _reports_of_attempts(record: Record) -> None:
    """The report of an attempt fails, comes when there is no time for it, and is sent at last."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")], max_retries=1, attempt_reports=True)
    world.tenant.on_call = lambda _: Answered(486, {}, b"")
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    start(world)
    world.run(minutes=1)
    (message,) = (one for one in world.dispatch() if "ended" in one.body)
    world.dial([message.body], timedelta(seconds=1))
    world.tenant.on_report = lambda _: Answered(200, {}, b"")
    world.run(minutes=6)
    assert len(world.tenant.reports) == 3


def _a_retry_whose_report_is_lost(record: Record) -> None:
    """Its dialer dies after the settler has skipped the number."""
    world = RecordedWorld(record)
    prepare(world, [Entry("tel:+12223334444")], max_retries=1)
    world.tenant.on_call = lambda form: Answered(503 if form["attempt"] == "1" else 200, {}, b"")

    def lost(_: Mapping[str, str]) -> RequestResult:
        raise ConnectionError

    world.tenant.on_report = lost
    start(world)
    world.run(minutes=1)
    world.clock.turn_to(world.clock.now() + timedelta(minutes=5))
    world.tick()
    (message,) = world.sqs.take(world.clock.now() + MINUTE)
    world.clock.turn_to(message.visible_at)
    assert world.dial([message.body]) == ["0"]
    world.clock.turn_to(world.clock.now() + timedelta(minutes=5))
    world.settle()
    assert len(list(world.services.tasks.due_reports(CampaignKey("acme", 1), world.clock.now(), spread=1))) == 1


def _database(record: Record) -> Database:
    database = Database("recorded", RecordedDynamoDB(record))
    create_tables(database)
    return database


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the functions' logs, which are full of warnings."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


@contextmanager
def _tracing(record: Record, code: Iterable[Path]) -> Iterator[None]:
    names = {str(path): path for path in code}

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        path = names.get(frame.f_code.co_filename)
        if path is None:
            return None
        if event == "line":
            record.lines[path].add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
