"""Operations at the same time, in the order that is most likely to break a promise.

In each test one operation runs during another, right before or after a call to storage or the queue.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from pynamodb.exceptions import UpdateError

from chalicelib.domain import campaign as transitions
from chalicelib.domain.call import ReportState, State
from chalicelib.domain.models import Counts, Plan, Status, Window
from chalicelib.domain.outcome import Answered, NotSent
from chalicelib.domain.retries import UNSENT_GAPS
from chalicelib.domain.slicing import Limits
from chalicelib.errors import Busy
from chalicelib.gateway.clients import LastLook
from tests.support.campaigns import MINUTE, campaign, numbers, prepare, prepare_running, start, stop
from tests.support.examples import CAMPAIGN, recorded
from tests.support.interruptions import after_first_call, before_first_call
from tests.support.world import EIGHT, FakeTenant, World

FIRST = CAMPAIGN.call(0)


def die(*_: object, **__: object) -> None:
    raise RuntimeError("killed")


def calls_between(world: World, since: datetime, until: datetime) -> int:
    return sum(since <= call.at < until for call in world.tenant.calls)


def stop_with_numbers_deferred(world: World) -> None:
    """Start, dispatch the first minute's numbers, and stop before they are dialled."""
    start(world)
    world.tick()
    messages = world.sqs.take(EIGHT + 2 * MINUTE)
    stop(world)
    for message in messages:
        world.clock.turn_to(message.visible_at)
        world.dial([message.body])
    assert world.tenant.calls == []


def change_windows(world: World, windows: tuple[Window, ...], meanwhile: Callable[[], object]) -> None:
    """Change the campaign's windows. `meanwhile` runs between the read and the write."""
    pending = [meanwhile]

    def revise(plan: Plan) -> Plan:
        if pending:
            pending.pop()()
        return replace(plan, windows=windows)

    world.services.campaigns.change(CAMPAIGN, revise, world.clock.now())


def test_a_report_delivered_twice_does_not_stop_later_attempts(world: World) -> None:
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(1))
    world.run(minutes=1)
    (message,) = world.dispatch()
    world.dial([message.body])
    world.clock.turn_to(world.clock.now() + timedelta(seconds=3))
    world.dial([message.body])  # the same message again
    world.clock.turn_to(world.clock.now() + timedelta(hours=1))
    world.tenant.on_report = lambda _: Answered(200, {}, b"")
    world.run(minutes=3)
    assert recorded(world.services.calls, FIRST).report is ReportState.DELIVERED


def test_numbers_uploaded_during_a_start_are_called(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, [])
    before_first_call(monkeypatch, world.services.log, "stage", lambda: start(world))
    world.services.campaigns.append(CAMPAIGN, numbers(5), None, world.clock.now())
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_windows_changed_during_a_start_are_paced(world: World) -> None:
    prepare(world, numbers(5))
    change_windows(world, (Window(1, 480, 600), Window(1, 600, 660)), meanwhile=lambda: start(world))
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_windows_changed_during_a_tick_do_not_double_the_pace(world: World) -> None:
    prepare_running(world, numbers(400))
    change_windows(world, (Window(1, 480, 600),), meanwhile=world.tick)
    world.run(minutes=1)
    # A message is visible a second before its call is due, so the last call may be in the next minute.
    assert 0 < calls_between(world, EIGHT, EIGHT + MINUTE) <= 60
    assert len({call.at for call in world.tenant.calls}) == len(world.tenant.calls)


def test_an_upload_during_a_tick_does_not_double_the_pace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(60))
    stop_with_numbers_deferred(world)
    begin = EIGHT + 3 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    before_first_call(monkeypatch, world.services.log, "stage", world.tick)
    world.services.campaigns.append(CAMPAIGN, numbers(200, 100), None, world.clock.now())
    world.run(minutes=1)
    assert 0 < calls_between(world, begin, begin + MINUTE) <= 60


def test_overlapping_ticks_do_not_double_the_pace(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(200), amount=20)
    stop_with_numbers_deferred(world)
    begin = EIGHT + 4 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    after_first_call(monkeypatch, world.services.campaigns, "find", world.tick)
    world.tick()
    world.drain(begin + MINUTE)
    assert 0 < calls_between(world, begin, begin + MINUTE) <= 20


def test_a_tick_that_dies_after_sending_costs_slots_and_no_numbers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(60), amount=20, period=2)
    stop_with_numbers_deferred(world)
    begin = EIGHT + 4 * MINUTE
    world.clock.turn_to(begin)
    start(world)
    after_first_call(monkeypatch, world.sqs, "send_message_batch", die)
    with pytest.raises(ExceptionGroup):
        world.tick()
    world.run(minutes=2)
    assert 0 < calls_between(world, begin, begin + 2 * MINUTE) <= 20
    world.run(minutes=30)
    assert len(world.tenant.calls) == len(set(world.tenant.called)) == 60


def test_a_tick_that_cannot_reserve_slots_sends_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(world, numbers(5))

    def busy(*_: object) -> None:
        raise Busy("throttled")

    with monkeypatch.context() as patch:
        patch.setattr(world.progress, "reserve", busy)
        with pytest.raises(ExceptionGroup):
            world.tick()
    assert world.sqs.messages == []
    world.run(minutes=2)
    assert len(world.tenant.calls) == 5


def test_a_task_of_an_older_attempt_does_not_replace_a_newer_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(world, numbers(1), max_retries=3)
    stop_with_numbers_deferred(world)
    world.tenant.on_call = lambda _: Answered(500, {}, b"")
    world.clock.turn_to(EIGHT + 3 * MINUTE)
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + 5 * MINUTE)
    world.clock.turn_to(message.visible_at)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "delete_lease", die)
        world.dial([message.body])  # the dialer makes the first attempt and dies
    world.clock.turn_to(EIGHT + 6 * MINUTE)
    world.tick()
    stop(world)
    world.drain(EIGHT + 8 * MINUTE)  # the second attempt is refused
    world.clock.turn_to(EIGHT + 25 * MINUTE)
    world.settle()
    start(world)
    world.run(minutes=30)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "2", "3", "4"]
    assert campaign(world).counts == Counts(failed=1)


def test_a_campaign_keeps_its_work_flag_while_its_last_number_is_dispatched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(1))
    stop_with_numbers_deferred(world)
    world.settle()
    world.clock.turn_to(EIGHT + 2 * MINUTE)
    start(world)
    world.clock.turn_to(EIGHT + 3 * MINUTE)
    world.settle()
    after_first_call(monkeypatch, world.services.tasks, "any_in_progress", world.tick)
    world.settle()
    (message,) = world.sqs.take(EIGHT + 9 * MINUTE)
    world.clock.turn_to(world.clock.now() + MINUTE)
    world.dial([message.body])  # too late, so the number waits again
    world.run(minutes=10)
    assert len(world.tenant.calls) == 1


def test_a_call_of_a_stopped_campaign_becomes_uncertain_when_pacer_and_dialer_die(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pacer = world.pacer_with(limits=Limits(most=1, most_slow=1))
    prepare_running(world, numbers(3))
    with monkeypatch.context() as patch:
        patch.setattr(world.progress, "advance_head", die)
        with pytest.raises(ExceptionGroup):
            world.tick()
        (message, *_) = world.sqs.take(EIGHT + MINUTE)
        world.clock.turn_to(message.visible_at)
        patch.setattr(world.services.calls, "finish", die)
        assert world.dial([message.body]) == ["0"]
    stop(world)
    world.run(minutes=15)
    assert recorded(world.services.calls, FIRST).state is State.UNCERTAIN
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]
    assert campaign(world).counts == Counts(uncertain=1)
    start(world)
    world.run(minutes=5)
    assert campaign(world).counts == Counts(completed=2, uncertain=1)


def test_an_outcome_is_recorded_after_a_timeout_of_the_database(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def time_out() -> None:
        raise UpdateError("no answer", cause=ReadTimeoutError(endpoint_url="here"))

    prepare_running(world, numbers(1))
    before_first_call(monkeypatch, world.services.calls, "finish", time_out)
    world.run(minutes=1)
    assert recorded(world.services.calls, FIRST).state is State.COMPLETED


@pytest.mark.parametrize(
    "unreadable", ['{"dial": {"account": "a", "campaign_id": Infinity, "sequence": 1, "slip": null}}', "[" * 100_000]
)
def test_an_unreadable_message_does_not_stop_the_calls_of_its_batch(world: World, unreadable: str) -> None:
    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
    assert world.dial([message.body, unreadable]) == []
    assert len(world.tenant.calls) == len(world.dead_letters.messages) == 1


def test_a_server_that_is_slow_to_connect_is_called(world: World) -> None:
    class SlowTenant(FakeTenant):
        async def place_call(self, *args: Any, last_look: LastLook) -> Any:
            await self.clock.sleep(4)
            return await super().place_call(*args, last_look=last_look)

    tenant = SlowTenant(world.clock)
    world.dialer = world.dialer_over(tenant)
    prepare_running(world, numbers(1))
    world.run(minutes=2)
    assert len(tenant.calls) == 1


def test_a_campaign_stopped_during_a_slow_read_is_not_called(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
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
    assert recorded(world.services.calls, FIRST).reason in ("unsure", "stopped", "late")


def test_a_delivered_report_stays_delivered(world: World) -> None:
    prepare_running(world, numbers(1))
    world.run(minutes=1)
    world.services.call_reports.report_ended(recorded(world.services.calls, FIRST), ReportState.GIVEN_UP, 1, "http_410")
    assert recorded(world.services.calls, FIRST).report is ReportState.DELIVERED


def test_a_campaign_that_is_started_while_it_is_deleted_calls_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_running(world, numbers(3))
    stop(world)
    after_first_call(monkeypatch, transitions, "deleted", lambda: start(world))
    world.services.campaigns.delete(CAMPAIGN, world.clock.now())
    assert (campaign(world).deleted, campaign(world).status) == (True, Status.STOPPED)
    world.run(minutes=3)
    assert world.tenant.calls == []


def test_a_retry_keeps_its_gap_though_the_dialer_dies_before_it_deletes_the_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tenant.on_call = lambda _: Answered(486, {}, b"")
    prepare_running(world, numbers(1), max_retries=3)
    world.services.campaigns.change(CAMPAIGN, lambda plan: replace(plan, retry_interval=3600), EIGHT)
    world.run(minutes=1)
    world.clock.turn_to(EIGHT + 62 * MINUTE)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "delete_lease", die)
        (message,) = world.dispatch()
        world.clock.turn_to(message.visible_at)
        assert world.dial([message.body]) == ["0"]
    assert len(world.tenant.calls) == 2
    world.run(minutes=50)
    assert len(world.tenant.calls) == 2
    world.run(minutes=15)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "2", "3"]


def test_a_call_that_was_not_sent_keeps_its_gap_though_the_dialer_dies_before_it_deletes_the_lease(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.tenant.on_call = lambda _: NotSent("refused")
    prepare_running(world, numbers(1))
    world.run(minutes=1)
    with monkeypatch.context() as patch:
        patch.setattr(world.services.tasks, "delete_lease", die)
        (message,) = world.dispatch()
        world.clock.turn_to(message.visible_at)
        assert world.dial([message.body]) == ["0"]
    world.run(minutes=25)
    calls = [call.at for call in world.tenant.calls]
    gaps = [(after - before).total_seconds() for before, after in pairwise(calls)]
    assert len(gaps) == len(UNSENT_GAPS)
    assert all(gap >= least for gap, least in zip(gaps, UNSENT_GAPS, strict=True)), gaps
    assert campaign(world).counts == Counts(failed=1)
