"""That result_url took an outcome at once is noted for many calls together: one write, and not one for each."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.domain.call import ReportState
from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Counts
from chalicelib.domain.outcome import Answered
from chalicelib.domain.slicing import Limits
from tests.support.campaigns import MINUTE, campaign, numbers, prepare, start
from tests.support.customer import Customer
from tests.support.world import World

#: each call in a message
BY_ITSELF = Limits(most=1, most_slow=1)
#: a batch of so many
CALLS = 5


def dial_at_once(world: World) -> None:
    """Hand over what is due, and deliver it in one batch."""
    world.pacer = world.pacer_with(BY_ITSELF)
    world.tick()
    messages = world.sqs.take(world.clock.now() + MINUTE)
    world.clock.turn_to(messages[-1].visible_at)
    assert world.dial([message.body for message in messages]) == []


def begin(world: World) -> None:
    """Make all the calls of a new campaign in one batch."""
    prepare(world, numbers(CALLS))
    start(world)
    dial_at_once(world)


def recorded(world: World) -> list[ReportState]:
    """What the calls' own records say, in the order of the queue."""
    calls = sorted(world.services.calls.between(CampaignKey("acme", 1), 0, CALLS), key=lambda call: call.key.sequence)
    return [call.report for call in calls]


def listed(customer: Customer) -> list[tuple[str | None, int]]:
    """What the API says of the calls' reports."""
    calls = customer.get("/api/campaigns/1/calls").json
    return [(call["report"], call["report_attempts"]) for call in calls]


@pytest.fixture
def customer(world: World) -> Customer:
    return Customer(world.services)


def test_who_was_told_at_once_is_noted_together(world: World, customer: Customer) -> None:
    begin(world)
    (note,) = world.services.tasks.acknowledgements(CampaignKey("acme", 1))
    assert note.sequences == set(range(CALLS))
    assert recorded(world) == [ReportState.PENDING] * CALLS
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_the_note_is_forgotten_when_its_numbers_are_counted(world: World, customer: Customer) -> None:
    begin(world)
    world.settle()
    assert campaign(world).counts == Counts(completed=CALLS)
    assert world.services.tasks.acknowledgements(CampaignKey("acme", 1)) == []
    assert listed(customer) == [("delivered", 1)] * CALLS
    assert customer.get("/api/campaigns/1").json["status"] == "completed"
    world.run(minutes=10)
    assert len(world.tenant.reports) == CALLS


def test_a_note_is_kept_as_long_as_one_of_its_numbers_is_not_counted(world: World, customer: Customer) -> None:
    prepare(world, numbers(CALLS))
    start(world)
    world.pacer = world.pacer_with(BY_ITSELF)
    world.tick()
    first, *others = world.sqs.take(world.clock.now() + MINUTE)
    world.clock.turn_to(others[-1].visible_at)
    world.dial([message.body for message in others])
    world.settle()
    assert campaign(world).settled == 0
    assert len(world.services.tasks.acknowledgements(CampaignKey("acme", 1))) == 1
    assert listed(customer) == [(None, 0), *[("delivered", 1)] * (CALLS - 1)]
    world.dial([first.body])
    world.run(minutes=2)
    assert campaign(world).settled == CALLS
    assert world.services.tasks.acknowledgements(CampaignKey("acme", 1)) == []


def test_a_lost_note_costs_a_second_report_with_the_same_ids(world: World, customer: Customer) -> None:
    begin(world)
    world.services.tasks.delete_acknowledgements(
        CampaignKey("acme", 1), world.services.tasks.acknowledgements(CampaignKey("acme", 1))
    )
    assert listed(customer) == [("pending", 0)] * CALLS
    world.run(minutes=6)
    assert len(world.tenant.calls) == CALLS
    heard = [(report.form["call_id"], report.headers["webhook-id"]) for report in world.tenant.reports]
    assert sorted(heard) == sorted(2 * list(set(heard)))
    assert len(heard) == 2 * CALLS
    assert listed(customer) == [("delivered", 1)] * CALLS
    assert campaign(world).counts == Counts(completed=CALLS)


def test_a_few_are_recorded_each_by_itself(world: World, customer: Customer) -> None:
    prepare(world, numbers(CALLS))
    world.tenant.on_report = lambda form: Answered(200 if int(form["call_id"]) % 4 == 1 else 500, {}, b"")
    start(world)
    dial_at_once(world)
    assert world.services.tasks.acknowledgements(CampaignKey("acme", 1)) == []
    assert recorded(world).count(ReportState.DELIVERED) == 1
    assert recorded(world).count(ReportState.DEFERRED) == CALLS - 1
    assert sorted(set(listed(customer))) == [("deferred", 1), ("delivered", 1)]


def test_a_number_that_was_passed_over_is_recorded_by_itself(world: World, customer: Customer) -> None:
    prepare(world, numbers(CALLS), max_retries=1)
    world.tenant.on_call = lambda form: Answered(200 if form["attempt"] == "2" else 486, {}, b"")
    start(world)
    dial_at_once(world)
    world.settle()
    assert campaign(world).settled == CALLS
    world.clock.turn_to(world.clock.now() + timedelta(minutes=4))
    dial_at_once(world)
    assert recorded(world) == [ReportState.DELIVERED] * CALLS
    assert world.services.tasks.acknowledgements(CampaignKey("acme", 1)) == []
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_each_campaign_has_a_note_of_its_own(world: World) -> None:
    prepare(world, numbers(CALLS), amount=600)
    prepare(world, numbers(CALLS), amount=600, account="globex")
    start(world)
    world.services.campaigns.start(CampaignKey("globex", 1), None, world.clock.now())
    dial_at_once(world)
    (ours,), (theirs,) = (
        world.services.tasks.acknowledgements(CampaignKey(account, 1)) for account in ("acme", "globex")
    )
    assert ours.sequences == theirs.sequences == set(range(CALLS))


def test_a_note_that_cannot_be_written_harms_nothing_but_costs_a_second_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ConnectionError

    prepare(world, numbers(CALLS))
    start(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "add_acknowledgement", fail)
        dial_at_once(world)
    world.run(minutes=6)
    assert len(world.tenant.calls) == CALLS
    assert len(world.tenant.reports) == 2 * CALLS
    assert campaign(world).counts == Counts(completed=CALLS)


def test_a_settler_that_comes_second_does_not_miss_the_notes_that_the_first_forgot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world)
    world.clock.turn_to(world.clock.now() + timedelta(minutes=3))
    tasks = world.services.tasks
    told = tasks.acknowledgements

    def meanwhile(*which: Any) -> Any:
        monkeypatch.undo()
        world.settle()
        return told(*which)

    monkeypatch.setattr(tasks, "acknowledgements", meanwhile)
    world.settle()
    assert not any(tasks.due_reports(CampaignKey("acme", 1), world.clock.now(), spread=1))
    assert campaign(world).counts == Counts(completed=CALLS)


def test_what_is_noted_while_the_settler_reads_the_notes_is_not_told_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world)
    tasks = world.services.tasks
    (note,) = tasks.acknowledgements(CampaignKey("acme", 1))
    tasks.delete_acknowledgements(CampaignKey("acme", 1), [note])
    ended = world.clock.now()
    told = tasks.acknowledgements

    def meanwhile(*which: Any) -> Any:
        monkeypatch.undo()
        found = told(*which)
        tasks.add_acknowledgement(CampaignKey("acme", 1), note.sequences, world.clock.now(), "late")
        world.clock.turn_to(ended + timedelta(seconds=130))
        return found

    world.clock.turn_to(ended + timedelta(seconds=110))
    monkeypatch.setattr(tasks, "acknowledgements", meanwhile)
    world.settle()
    assert recorded(world) == [ReportState.PENDING] * CALLS
    world.settle()
    assert campaign(world).counts == Counts(completed=CALLS)


@pytest.mark.parametrize("late", [2, 3])
def test_a_note_that_reaches_beyond_what_is_counted_is_kept(world: World, late: int) -> None:
    prepare(world, numbers(CALLS))
    start(world)
    world.pacer = world.pacer_with(BY_ITSELF)
    world.tick()
    messages = world.sqs.take(world.clock.now() + MINUTE)
    world.clock.turn_to(messages[-1].visible_at)
    world.dial([message.body for place, message in enumerate(messages) if place != late])
    tasks = world.services.tasks
    tasks.add_acknowledgement(CampaignKey("acme", 1), [late], world.clock.now(), "whose record isn't there yet")
    world.settle()
    assert campaign(world).settled == late
    assert len(tasks.acknowledgements(CampaignKey("acme", 1))) == 2


def test_three_are_noted_together_and_two_are_not(world: World) -> None:
    prepare(world, numbers(CALLS))
    start(world)
    world.pacer = world.pacer_with(BY_ITSELF)
    world.tick()
    bodies = [message.body for message in world.sqs.take(world.clock.now() + MINUTE)]
    world.dial(bodies[:3])
    world.dial(bodies[3:])
    (note,) = world.services.tasks.acknowledgements(CampaignKey("acme", 1))
    assert note.sequences == {0, 1, 2}
    assert recorded(world) == [ReportState.PENDING] * 3 + [ReportState.DELIVERED] * 2


@pytest.mark.parametrize("written", [True, False])
def test_a_note_that_fails_is_tried_again_and_is_one_note(
    world: World, monkeypatch: pytest.MonkeyPatch, written: bool
) -> None:
    prepare(world, numbers(CALLS))
    start(world)
    add_told = world.services.tasks.add_acknowledgement
    tries: list[object] = []

    def unheard(*which: Any) -> None:
        tries.append(which)
        if written or len(tries) > 1:
            add_told(*which)
        if len(tries) == 1:
            raise ConnectionError

    monkeypatch.setattr(world.services.tasks, "add_acknowledgement", unheard)
    dial_at_once(world)
    assert len(world.services.tasks.acknowledgements(CampaignKey("acme", 1))) == 1


def test_a_note_that_comes_when_all_is_over_keeps_nothing_from_being_completed(
    world: World, customer: Customer
) -> None:
    begin(world)
    world.run(minutes=1)
    world.services.tasks.add_acknowledgement(CampaignKey("acme", 1), range(CALLS), world.clock.now(), "late")
    world.run(minutes=1)
    assert customer.get("/api/campaigns/1").json["status"] == "completed"
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_who_looks_while_the_notes_are_forgotten_sees_that_all_were_told(
    world: World, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(world)
    told = world.services.tasks.acknowledgements

    def meanwhile(*which: Any) -> Any:
        monkeypatch.undo()
        world.settle()
        return told(*which)

    monkeypatch.setattr(world.services.tasks, "acknowledgements", meanwhile)
    assert listed(customer) == [("delivered", 1)] * CALLS


def test_a_dialer_that_dies_before_its_note_has_each_told_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class LightsOut(BaseException):
        """Not an error: the end."""

    def die(*_: Any) -> None:
        raise LightsOut

    prepare(world, numbers(CALLS))
    start(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "add_acknowledgement", die)
        with pytest.raises(LightsOut):
            dial_at_once(world)
    world.run(minutes=6)
    assert len(world.tenant.calls) == CALLS
    assert len(world.tenant.reports) == 2 * CALLS
