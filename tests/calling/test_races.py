"""What happens at once, in the order in which it does the most harm.

Each test lets something happen in the middle of something else, by a hand-made storage or queue that does it there.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import UpdateError

from chalicelib.domain.call import Call, ReportState, State
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Counts, Plan, Window
from chalicelib.domain.outcome import Answered
from chalicelib.domain.slicing import Limits
from chalicelib.errors import Busy
from chalicelib.gateway.clients import LastLook
from tests.support.campaigns import MINUTE, campaign, numbers, prepare, start, stop
from tests.support.world import EIGHT, FakeTenant, World

FIRST = CallKey("acme", 1, 0)


def recorded(world: World, key: CallKey = FIRST) -> Call:
    call = world.services.calls.get(key)
    assert call is not None
    return call


def once(before: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, but the first time something happens before it."""
    pending = [before]

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if pending:
            pending.pop()()
        return function(*args, **kwargs)

    return wrapped


def failing(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def calls_between(world: World, since: datetime, until: datetime) -> int:
    return sum(since <= call.at < until for call in world.tenant.calls)


def stop_with_numbers_deferred(world: World) -> None:
    """Start, hand over the first minute's numbers, stop before they are dialled."""
    start(world)
    world.tick()
    messages = world.sqs.take(EIGHT + 2 * MINUTE)
    stop(world)
    for message in messages:
        world.clock.turn_to(message.visible_at)
        world.dial([message.body])
    assert world.tenant.calls == []


def test_two_reports_of_one_call_do_not_stand_in_each_others_way(world: World) -> None:
    prepare(world, numbers(1))
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    start(world)
    world.run(minutes=1)
    world.tick()
    (message,) = world.sqs.take(world.clock.now() + MINUTE)
    world.dial([message.body])
    world.clock.turn_to(world.clock.now() + timedelta(seconds=3))
    world.dial([message.body])  # delivered twice
    world.clock.turn_to(world.clock.now() + timedelta(hours=1))
    world.tenant.on_report = lambda _: Answered(200, {}, b"")
    world.run(minutes=3)
    assert recorded(world).report is ReportState.DELIVERED


def test_numbers_uploaded_in_the_moment_of_the_start_are_called(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, [])
    stage = world.services.log.stage
    monkeypatch.setattr(world.services.log, "stage", once(lambda: start(world), stage))
    world.services.campaigns.append(CampaignKey("acme", 1), numbers(5), None, world.clock.now())
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_windows_changed_in_the_moment_of_the_start_are_paced(world: World) -> None:
    prepare(world, numbers(5))
    pending = [lambda: start(world)]

    def revise(plan: Plan) -> Plan:
        if pending:
            pending.pop()()
        return replace(plan, windows=(Window(1, 480, 600), Window(1, 600, 660)))

    world.services.campaigns.change(CampaignKey("acme", 1), revise, world.clock.now())
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_windows_changed_in_the_middle_of_a_tick_do_not_double_the_pace(world: World) -> None:
    prepare(world, numbers(400))
    start(world)
    pending = [world.tick]

    def revise(plan: Plan) -> Plan:
        if pending:
            pending.pop()()
        return replace(plan, windows=(Window(1, 480, 600),))

    world.services.campaigns.change(CampaignKey("acme", 1), revise, world.clock.now())
    world.run(minutes=1)
    # A message is there a second before its call is due, so the last may be the next minute's.
    assert 0 < calls_between(world, EIGHT, EIGHT + MINUTE) <= 60
    assert len({call.at for call in world.tenant.calls}) == len(world.tenant.calls)


def test_an_upload_in_the_middle_of_a_tick_does_not_double_the_pace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(60))
    stop_with_numbers_deferred(world)
    begin = EIGHT + 3 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    stage = world.services.log.stage
    monkeypatch.setattr(world.services.log, "stage", once(world.tick, stage))
    world.services.campaigns.append(CampaignKey("acme", 1), numbers(200, 100), None, world.clock.now())
    world.run(minutes=1)
    assert 0 < calls_between(world, begin, begin + MINUTE) <= 60


def test_overlapping_ticks_do_not_double_the_pace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(200), amount=20)
    stop_with_numbers_deferred(world)
    begin = EIGHT + 4 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    find = world.services.campaigns.find
    seen = []

    def then_another_tick(*key: Any) -> Any:
        found = find(*key)
        seen.append(found)
        if len(seen) == 1:
            world.tick()
        return found

    monkeypatch.setattr(world.services.campaigns, "find", then_another_tick)
    world.tick()
    monkeypatch.undo()
    world.drain(begin + MINUTE)
    assert 0 < calls_between(world, begin, begin + MINUTE) <= 20


def test_a_tick_that_dies_after_sending_costs_slots_not_numbers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(60), amount=20, period=2)
    stop_with_numbers_deferred(world)
    begin = EIGHT + 4 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    send = world.sqs.send_message_batch

    def then_die(**request: Any) -> None:
        send(**request)
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(world.sqs, "send_message_batch", then_die)
        with pytest.raises(ExceptionGroup):
            world.tick()
    world.run(minutes=2)
    assert 0 < calls_between(world, begin, begin + 2 * MINUTE) <= 20
    world.run(minutes=30)
    assert len(world.tenant.calls) == len(set(world.tenant.called)) == 60


def test_a_slot_is_lost_if_it_could_not_be_reserved_for_sure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(5))
    start(world)

    def busy(*_: object) -> None:
        raise Busy("throttled")

    with monkeypatch.context() as patch:
        patch.setattr(world.progress, "reserve", busy)
        with pytest.raises(ExceptionGroup):
            world.tick()
    assert world.sqs.messages == []
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_a_slip_of_an_older_attempt_does_not_take_the_place_of_a_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(1), max_retries=3)
    stop_with_numbers_deferred(world)
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    world.clock.turn_to(EIGHT + 3 * MINUTE)
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + 5 * MINUTE)
    world.clock.turn_to(message.visible_at)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "delete_lease", failing)
        world.dial([message.body])  # the first attempt is made, then the dialer dies
    world.clock.turn_to(EIGHT + 6 * MINUTE)
    world.tick()
    stop(world)
    world.drain(EIGHT + 8 * MINUTE)  # the second is refused
    world.clock.turn_to(EIGHT + 25 * MINUTE)
    world.settle()
    start(world)
    world.run(minutes=30)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "2", "3", "4"]
    assert campaign(world).counts == Counts(failed=1)


def test_a_campaign_does_not_rest_while_its_last_number_is_handed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(1))
    stop_with_numbers_deferred(world)
    world.settle()
    world.clock.turn_to(EIGHT + 2 * MINUTE)
    start(world)
    world.clock.turn_to(EIGHT + 3 * MINUTE)
    world.settle()
    look = world.services.tasks.any_in_progress

    def then_a_tick(*key: Any, spread: int) -> bool:
        found = look(*key, spread=spread)
        world.tick()
        return found

    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "any_in_progress", then_a_tick)
        world.settle()
    (message,) = world.sqs.take(EIGHT + 9 * MINUTE)
    world.clock.turn_to(world.clock.now() + MINUTE)
    world.dial([message.body])  # too late, so it waits again
    world.run(minutes=10)
    assert len(world.tenant.calls) == 1


def test_a_call_whose_pacer_and_dialer_died_is_uncertain_though_the_campaign_is_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(3))
    world.pacer = world.pacer_with(Limits(most=1, most_slow=1))
    start(world)
    with monkeypatch.context() as patch:
        patch.setattr(world.progress, "advance_head", failing)
        with pytest.raises(ExceptionGroup):
            world.tick()
        (message, *_) = world.sqs.take(EIGHT + MINUTE)
        world.clock.turn_to(message.visible_at)
        patch.setattr(world.services.calls, "finish", failing)
        assert world.dial([message.body]) == ["0"]
    stop(world)
    world.run(minutes=15)
    assert recorded(world).state is State.UNCERTAIN
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]
    assert campaign(world).counts == Counts(uncertain=1)
    start(world)
    world.run(minutes=5)
    assert campaign(world).counts == Counts(completed=2, uncertain=1)


def test_an_outcome_is_recorded_though_the_database_does_not_answer_at_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(1))
    start(world)

    def timeout() -> None:
        raise UpdateError("no answer", cause=ReadTimeoutError(endpoint_url="here"))

    monkeypatch.setattr(world.services.calls, "finish", once(timeout, world.services.calls.finish))
    world.run(minutes=1)
    assert recorded(world).state is State.COMPLETED


@pytest.mark.parametrize(
    "rubbish", ['{"dial": {"account": "a", "campaign_id": Infinity, "sequence": 1, "slip": null}}', "[" * 100_000]
)
def test_a_message_from_elsewhere_does_not_cut_off_the_calls_beside_it(world: World, rubbish: str) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    assert world.dial([message.body, rubbish]) == []
    assert len(world.tenant.calls) == len(world.dead.messages) == 1


def test_a_server_that_is_slow_to_connect_is_called_all_the_same(world: World) -> None:
    class Distant(FakeTenant):
        async def place_call(self, *args: Any, last_look: LastLook) -> Any:
            await self.clock.sleep(4)
            return await super().place_call(*args, last_look=last_look)

    prepare(world, numbers(1))
    tenant = Distant(world.clock)
    world.dialer = world.dialer_over(tenant)
    start(world)
    world.run(minutes=2)
    assert len(tenant.calls) == 1


def test_a_campaign_stopped_while_it_was_read_slowly_is_not_called(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    get = world.services.schedules.get
    stopped: list[datetime] = []

    def slowly(*key: Any) -> Any:
        if not stopped:
            stop(world)
            stopped.append(world.clock.now())
        world.clock.turn_to(world.clock.now() + timedelta(seconds=1.9))
        return get(*key)

    monkeypatch.setattr(world.services.schedules, "get", slowly)
    world.dial([message.body])
    assert world.tenant.calls == []
    assert recorded(world).reason in ("unsure", "stopped", "late")


def test_a_delivered_report_stays_delivered(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.run(minutes=1)
    world.services.calls.report_ended(FIRST, ReportState.GIVEN_UP, 1, "http_410")
    assert recorded(world).report is ReportState.DELIVERED
