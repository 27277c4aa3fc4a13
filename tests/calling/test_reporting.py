"""The acknowledgements of many first reports are recorded together, in one write."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.call import ReportState
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Answered
from chalicelib.domain.slicing import Limits
from chalicelib.domain.tasks import Acknowledgement
from tests.support.campaigns import campaign, numbers, prepare_running
from tests.support.customer import Customer
from tests.support.examples import CAMPAIGN
from tests.support.interruptions import after_first_call, before_first_call
from tests.support.world import World

#: each call in a message of its own
ONE_CALL_A_MESSAGE = Limits(most=1, most_slow=1)
#: how many calls a batch has
CALLS = 5


def dispatch(world: World) -> list[str]:
    """Dispatch the calls that are due, each in a message of its own, and advance the clock until all are visible."""
    world.pacer = world.pacer_with(limits=ONE_CALL_A_MESSAGE)
    messages = world.dispatch()
    world.clock.turn_to(messages[-1].visible_at)
    return [message.body for message in messages]


def dial_in_one_batch(world: World) -> None:
    """Dispatch the calls that are due, and deliver them in one batch."""
    assert world.dial(dispatch(world)) == []


def call_all(world: World) -> None:
    """Make all the calls of a new campaign in one batch."""
    prepare_running(world, numbers(CALLS))
    dial_in_one_batch(world)


def recorded(world: World) -> list[ReportState]:
    """The report states in the calls' own records, in the order of the queue."""
    calls = sorted(world.services.calls.between(CAMPAIGN, 0, CALLS), key=lambda call: call.key.sequence)
    return [call.report for call in calls]


def acknowledgements(world: World, account: str = "acme") -> list[Acknowledgement]:
    return world.services.tasks.acknowledgements(CampaignKey(account, 1))


def listed(customer: Customer) -> list[tuple[str | None, int]]:
    """The report states and attempts that the API shows."""
    calls = customer.get("/api/campaigns/1/calls").json
    return [(call["report"], call["report_attempts"]) for call in calls]


@pytest.fixture
def customer(world: World) -> Customer:
    return Customer(world.services)


def test_the_acknowledgements_of_a_batch_are_recorded_together(world: World, customer: Customer) -> None:
    call_all(world)
    (acknowledgement,) = acknowledgements(world)
    assert acknowledgement.sequences == set(range(CALLS))
    assert recorded(world) == [ReportState.PENDING] * CALLS
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_an_acknowledgement_is_deleted_when_its_calls_are_counted(world: World, customer: Customer) -> None:
    call_all(world)
    world.settle()
    assert campaign(world).counts == Counts(completed=CALLS)
    assert acknowledgements(world) == []
    assert listed(customer) == [("delivered", 1)] * CALLS
    assert customer.get("/api/campaigns/1").json["status"] == "completed"
    world.run(minutes=10)
    assert len(world.tenant.reports) == CALLS


def test_an_acknowledgement_is_kept_until_all_its_calls_are_counted(world: World, customer: Customer) -> None:
    prepare_running(world, numbers(CALLS))
    first, *others = dispatch(world)
    world.dial(others)
    world.settle()
    assert campaign(world).settled == 0
    assert len(acknowledgements(world)) == 1
    assert listed(customer) == [(None, 0), *[("delivered", 1)] * (CALLS - 1)]
    world.dial([first])
    world.run(minutes=2)
    assert campaign(world).settled == CALLS
    assert acknowledgements(world) == []


def test_a_report_without_an_acknowledgement_is_sent_again(world: World, customer: Customer) -> None:
    call_all(world)
    world.services.tasks.delete_acknowledgements(CAMPAIGN, acknowledgements(world))
    assert listed(customer) == [("pending", 0)] * CALLS
    world.run(minutes=6)
    assert len(world.tenant.calls) == CALLS
    ids = [(report.form["call_id"], report.headers["webhook-id"]) for report in world.tenant.reports]
    assert sorted(ids) == sorted(2 * list(set(ids)))
    assert len(ids) == 2 * CALLS
    assert listed(customer) == [("delivered", 1)] * CALLS
    assert campaign(world).counts == Counts(completed=CALLS)


def test_a_group_that_is_too_small_is_recorded_call_by_call(world: World, customer: Customer) -> None:
    world.tenant.on_report = lambda form: Answered(200 if int(form["call_id"]) % 4 == 1 else 500, {}, b"")
    call_all(world)
    assert acknowledgements(world) == []
    assert recorded(world).count(ReportState.DELIVERED) == 1
    assert recorded(world).count(ReportState.DEFERRED) == CALLS - 1
    assert sorted(set(listed(customer))) == [("deferred", 1), ("delivered", 1)]


def test_the_report_of_a_skipped_number_is_recorded_with_its_call(world: World, customer: Customer) -> None:
    world.tenant.on_call = lambda form: Answered(200 if form["attempt"] == "2" else 486, {}, b"")
    prepare_running(world, numbers(CALLS), max_retries=1)
    dial_in_one_batch(world)
    world.settle()
    assert campaign(world).settled == CALLS
    world.clock.turn_to(world.clock.now() + timedelta(minutes=4))
    dial_in_one_batch(world)
    assert recorded(world) == [ReportState.DELIVERED] * CALLS
    assert acknowledgements(world) == []
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_each_campaign_has_its_own_acknowledgements(world: World) -> None:
    for account in ("acme", "globex"):
        prepare_running(world, numbers(CALLS), amount=600, account=account)
    dial_in_one_batch(world)
    (ours,), (theirs,) = (acknowledgements(world, account) for account in ("acme", "globex"))
    assert ours.sequences == theirs.sequences == set(range(CALLS))


class Killed(BaseException):
    """The dialer dies. No handler of errors sees it."""


@pytest.mark.parametrize("error", [ConnectionError, Killed])
def test_an_acknowledgement_that_is_not_written_costs_a_second_report(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    def fail(*_: Any) -> None:
        raise error

    prepare_running(world, numbers(CALLS))
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "add_acknowledgement", fail)
        if error is Killed:
            with pytest.raises(Killed):
                dial_in_one_batch(world)
        else:
            dial_in_one_batch(world)
    world.run(minutes=6)
    assert len(world.tenant.calls) == CALLS
    assert len(world.tenant.reports) == 2 * CALLS
    assert campaign(world).counts == Counts(completed=CALLS)


def test_a_settler_sends_no_report_again_after_another_one_has_deleted_the_acknowledgements(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(world)
    world.clock.turn_to(world.clock.now() + timedelta(minutes=3))
    before_first_call(monkeypatch, world.services.tasks, "acknowledgements", world.settle)
    world.settle()
    assert not any(world.services.tasks.due_reports(CAMPAIGN, world.clock.now(), spread=1))
    assert campaign(world).counts == Counts(completed=CALLS)


def test_an_acknowledgement_written_while_the_settler_reads_prevents_a_second_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(world)
    tasks = world.services.tasks
    (acknowledgement,) = acknowledgements(world)
    tasks.delete_acknowledgements(CAMPAIGN, [acknowledgement])
    ended = world.clock.now()

    def write_late() -> None:
        tasks.add_acknowledgement(CAMPAIGN, acknowledgement.sequences, world.clock.now(), "late")
        world.clock.turn_to(ended + timedelta(seconds=130))

    world.clock.turn_to(ended + timedelta(seconds=110))
    after_first_call(monkeypatch, tasks, "acknowledgements", write_late)
    world.settle()
    assert recorded(world) == [ReportState.PENDING] * CALLS
    world.settle()
    assert campaign(world).counts == Counts(completed=CALLS)


@pytest.mark.parametrize("late", [2, 3])
def test_an_acknowledgement_of_calls_that_are_not_counted_yet_is_kept(world: World, late: int) -> None:
    prepare_running(world, numbers(CALLS))
    world.dial([body for sequence, body in enumerate(dispatch(world)) if sequence != late])
    world.services.tasks.add_acknowledgement(CAMPAIGN, [late], world.clock.now(), "of a call without a record")
    world.settle()
    assert campaign(world).settled == late
    assert len(acknowledgements(world)) == 2


def test_three_calls_are_recorded_together_and_two_are_not(world: World) -> None:
    prepare_running(world, numbers(CALLS))
    bodies = dispatch(world)
    world.dial(bodies[:3])
    world.dial(bodies[3:])
    (acknowledgement,) = acknowledgements(world)
    assert acknowledgement.sequences == {0, 1, 2}
    assert recorded(world) == [ReportState.PENDING] * 3 + [ReportState.DELIVERED] * 2


@pytest.mark.parametrize("interrupt", [before_first_call, after_first_call], ids=["not written", "written"])
def test_an_acknowledgement_that_fails_is_tried_again_and_written_once(
    world: World, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[..., None]
) -> None:
    def fail() -> None:
        raise ConnectionError

    prepare_running(world, numbers(CALLS))
    interrupt(monkeypatch, world.services.tasks, "add_acknowledgement", fail)
    dial_in_one_batch(world)
    assert len(acknowledgements(world)) == 1


def test_an_acknowledgement_after_the_last_count_leaves_the_campaign_completed(
    world: World, customer: Customer
) -> None:
    call_all(world)
    world.run(minutes=1)
    world.services.tasks.add_acknowledgement(CAMPAIGN, range(CALLS), world.clock.now(), "late")
    world.run(minutes=1)
    assert customer.get("/api/campaigns/1").json["status"] == "completed"
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_reports_are_listed_as_delivered_while_acknowledgements_are_deleted(
    world: World, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_all(world)
    before_first_call(monkeypatch, world.services.tasks, "acknowledgements", world.settle)
    assert listed(customer) == [("delivered", 1)] * CALLS
