"""A campaign's numbers, from the upload to the last report."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.domain.call import Claim
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Counts, Entry
from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.domain.slicing import Limits
from chalicelib.gateway.clients import LastLook
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, prepare_running, start, stop
from tests.support.databases import with_work
from tests.support.examples import CAMPAIGN
from tests.support.world import EIGHT, FakeTenant, World

#: all calls of a tick in one message
ONE_SLICE = Limits(span=timedelta(hours=1), most=1000)


def test_every_number_is_called_once_in_the_order_of_the_upload(world: World) -> None:
    entries = numbers(150)
    prepare_running(world, entries)
    world.run(minutes=4)
    assert world.tenant.called == destinations(entries)
    assert campaign(world).counts == Counts(completed=150)


def test_calls_are_a_second_apart_at_sixty_a_minute(world: World) -> None:
    prepare_running(world, numbers(150))
    world.run(minutes=4)
    starts = [call.at for call in world.tenant.calls]
    # The first call is due a second after the opening. It is delayed, since clocks differ.
    assert starts == [EIGHT + timedelta(seconds=second) for second in (1.5, *range(2, 151))]


def test_only_the_first_slices_of_a_tick_are_delivered_long_before_they_are_due(world: World) -> None:
    """A dialer may have to start for the first slices. For later ones, a dialer that waits only costs."""
    prepare_running(world, numbers(150))
    world.tick()
    ahead = {}
    for message in world.sqs.messages:
        due = datetime.fromisoformat(json.loads(message.body)["dials"][0]["due"])
        ahead[(due - EIGHT).total_seconds()] = (due - message.visible_at).total_seconds()
    assert [ahead[second] for second in (1, 5, 9, 13)] == [1, 5, 7, 3]
    assert all(0 <= spare <= 1.5 for second, spare in ahead.items() if second > 16)


def test_the_calls_of_four_seconds_are_one_message(world: World) -> None:
    prepare_running(world, numbers(150))
    world.tick()
    seconds = [
        [(datetime.fromisoformat(dial["due"]) - EIGHT).total_seconds() for dial in json.loads(message.body)["dials"]]
        for message in world.sqs.messages
    ]
    assert seconds[:2] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert sum(map(len, seconds)) == 75


def test_a_campaign_that_is_not_started_makes_no_call(world: World) -> None:
    prepare(world, numbers(5))
    world.run(minutes=2)
    assert world.tenant.calls == []


def test_start_url_gets_the_calls_fields_and_ids(world: World) -> None:
    prepare_running(world, [Entry("tel:+12223334444;ani=7778889999", "march")])
    world.run(minutes=2)
    (call,) = world.tenant.calls
    assert call.url == "http://tenant.example/start"
    status_url = urlsplit(call.form.pop("status_url"))
    assert call.form == {
        "phone_number": "tel:+12223334444;ani=7778889999",
        "message_reference": "march",
        "call_id": str(2**32),
        "campaign_id": "1",
        "ani": "7778889999",
        "attempt": "1",
    }
    assert (status_url.netloc, status_url.path) == ("callpacer.example", f"/api/calls/{2**32}/events")
    assert set(parse_qs(status_url.query)) == {"account", "attempt", "signature"}
    assert call.headers["Idempotency-Key"] == f"{2**32}-1"
    assert call.headers["webhook-id"] == f"dial_{2**32}_1"


def test_result_url_gets_the_outcomes_fields(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(200, {}, b'{"callee_type": "voice", "duration": 17}')
    prepare_running(world, [Entry("tel:+12223334444", "march")])
    world.run(minutes=2)
    (report,) = world.tenant.reports
    assert report.url == "http://tenant.example/result"
    assert report.form == {
        "phone_number": "tel:+12223334444",
        "message_reference": "march",
        "call_id": str(2**32),
        "campaign_id": "1",
        "result": "completed",
        "reason": "http_200",
        "callee_type": "voice",
        "attempts": "1",
        "last_attempt_timestamp": str(int(EIGHT.timestamp()) + 1),
        "duration": "17",
    }


def test_a_message_delivered_twice_is_dialled_once(world: World) -> None:
    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
    assert world.dial([message.body, message.body]) == []
    assert world.dial([message.body]) == []
    assert len(world.tenant.calls) == 1


def test_numbers_added_to_a_running_campaign_are_called_last(world: World) -> None:
    prepare_running(world, numbers(30))
    world.run(minutes=1)
    world.services.campaigns.append(CAMPAIGN, numbers(30, first=30), None, world.clock.now())
    world.run(minutes=2)
    assert world.tenant.called == destinations(numbers(60))


def test_slots_of_an_empty_queue_are_not_made_up_for(world: World) -> None:
    prepare_running(world, numbers(1), period=60, amount=60)
    world.run(minutes=30)
    world.services.campaigns.append(CAMPAIGN, numbers(10, first=1), None, world.clock.now())
    world.tick()
    assert len(world.dispatched) == 1  # the next minute's


def test_a_stopped_campaign_keeps_its_queue(world: World) -> None:
    entries = numbers(200)
    prepare_running(world, entries)
    world.tick()
    world.drain(EIGHT + timedelta(seconds=20))
    called = len(world.tenant.calls)
    stop(world)
    world.run(minutes=3)
    assert 15 < called == len(world.tenant.calls)
    start(world)
    world.run(minutes=4)
    assert world.tenant.called == destinations(entries)
    assert campaign(world).counts == Counts(completed=200)


def test_a_call_dispatched_before_a_restart_is_not_made(world: World) -> None:
    prepare_running(world, numbers(1))
    world.tick()
    stop(world)
    start(world)
    world.drain(EIGHT + MINUTE)
    assert world.tenant.calls == []
    world.run(minutes=2)
    assert len(world.tenant.calls) == 1


def test_a_call_whose_period_is_over_is_made_in_the_next(world: World) -> None:
    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
    world.clock.turn_to(EIGHT + MINUTE)
    world.dial([message.body])
    assert world.tenant.calls == []
    world.run(minutes=1)
    assert len(world.tenant.calls) == 1


def test_no_call_starts_once_the_window_is_about_to_close(world: World) -> None:
    closing = EIGHT + timedelta(hours=3)
    world.clock.turn_to(closing - timedelta(seconds=10))
    prepare_running(world, numbers(1), amount=600)
    world.tick()
    (message,) = world.sqs.take(closing)
    world.clock.turn_to(closing - timedelta(seconds=0.4))
    world.dial([message.body])
    assert world.tenant.calls == []


def test_a_function_about_to_end_starts_no_call(world: World) -> None:
    prepare_running(world, numbers(1))
    (message,) = world.dispatch()
    world.dial([message.body], time_left=timedelta(seconds=20))
    assert world.tenant.calls == []
    world.run(minutes=1)
    assert len(world.tenant.calls) == 1


def test_a_deleted_campaign_makes_no_call(world: World) -> None:
    prepare_running(world, numbers(5))
    world.tick()
    world.services.campaigns.delete(CAMPAIGN, world.clock.now())
    world.run(minutes=2)
    assert world.tenant.calls == []


def test_calls_that_are_already_dispatched_go_to_a_new_start_url(world: World) -> None:
    prepare_running(world, numbers(1))
    world.tick()
    world.services.campaigns.change(CAMPAIGN, lambda plan: replace(plan, start_url="http://new.example/"), EIGHT)
    world.drain(EIGHT + MINUTE)
    assert [call.url for call in world.tenant.calls] == ["http://new.example/"]


def test_a_call_that_was_surely_not_sent_is_made_later(world: World) -> None:
    answers = iter([NotSent("refused"), NotSent("dns")])
    world.tenant.on_call = lambda _: next(answers, Answered(200, {}, b""))
    prepare_running(world, numbers(1))
    world.run(minutes=6)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "1", "1"]
    assert campaign(world).counts == Counts(completed=1)


def test_a_call_that_is_not_sent_six_times_has_failed(world: World) -> None:
    world.tenant.on_call = lambda _: NotSent("refused")
    prepare_running(world, numbers(1))
    world.run(minutes=40)
    assert len(world.tenant.calls) == 6
    assert campaign(world).counts == Counts(failed=1)
    assert [report.form["reason"] for report in world.tenant.reports] == ["refused"]


def test_an_uncertain_call_is_never_made_again(world: World) -> None:
    world.tenant.on_call = lambda _: Unknown("timeout")
    prepare_running(world, numbers(1), max_retries=5)
    world.run(minutes=10)
    assert len(world.tenant.calls) == 1
    assert campaign(world).counts == Counts(uncertain=1)
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]


def test_a_failed_call_is_not_made_again_without_max_retries(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(404, {}, b"")
    prepare_running(world, numbers(1))
    world.run(minutes=5)
    assert len(world.tenant.calls) == 1
    assert [report.form["reason"] for report in world.tenant.reports] == ["http_404"]


def test_a_failed_call_is_made_again_after_the_interval_and_reported_once(world: World) -> None:
    world.tenant.on_call = lambda _: Answered(503, {}, b"")
    prepare_running(world, numbers(1), max_retries=2)
    world.run(minutes=10)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "2", "3"]
    assert all(
        b.at - a.at >= timedelta(seconds=120) for a, b in zip(world.tenant.calls, world.tenant.calls[1:], strict=False)
    )
    assert [report.form["attempts"] for report in world.tenant.reports] == ["3"]


def test_a_report_that_fails_is_sent_again_with_the_same_ids_and_no_second_call(world: World) -> None:
    answers: Iterator[RequestResult] = iter([Answered(500, {}, b""), Unknown("timeout"), NotSent("refused")])
    world.tenant.on_report = lambda _: next(answers, Answered(204, {}, b""))
    prepare_running(world, numbers(1))
    world.run(minutes=15)
    assert len(world.tenant.calls) == 1
    assert len(world.tenant.reports) == 4
    assert len({report.headers["webhook-id"] for report in world.tenant.reports}) == 1
    assert len({json.dumps(report.form) for report in world.tenant.reports}) == 1


def test_a_report_answered_with_410_is_not_sent_again(world: World) -> None:
    world.tenant.on_report = lambda _: Answered(410, {}, b"")
    prepare_running(world, numbers(1))
    world.run(minutes=5)
    assert len(world.tenant.reports) == 1


def test_without_a_result_url_nothing_is_reported(world: World) -> None:
    prepare_running(world, numbers(3), result_url=None)
    world.run(minutes=2)
    assert world.tenant.reports == []
    assert campaign(world).counts == Counts(completed=3)


def test_a_stopped_campaign_still_reports(world: World) -> None:
    answers = iter([Answered(500, {}, b"")])
    world.tenant.on_report = lambda _: next(answers, Answered(200, {}, b""))
    prepare_running(world, numbers(1))
    world.tick()
    world.drain(EIGHT + MINUTE)
    stop(world)
    world.run(minutes=3)
    assert len(world.tenant.reports) == 2


def test_messages_that_the_queue_refuses_are_sent_again(world: World) -> None:
    prepare_running(world, numbers(20))
    world.sqs.refuses = 3
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(20))


def test_the_head_does_not_move_past_numbers_that_were_not_sent(world: World) -> None:
    prepare_running(world, numbers(20))
    world.sqs.refuses = 1000
    world.tick()
    assert campaign(world).head == 0
    world.sqs.refuses = 0
    world.run(minutes=3)
    assert sorted(world.tenant.called) == destinations(numbers(20))


def test_an_unreadable_message_is_dead_lettered(world: World) -> None:
    assert world.dial(["rubbish", '{"dial": {}}', '{"fax": {}}', "[]", '{"report": {"account": 1}}']) == []
    assert len(world.dead_letters.messages) == 5


def test_a_message_of_a_newer_version_is_left_in_the_queue(world: World) -> None:
    assert world.dial(['{"version": 5, "account": "acme"}']) == ["0"]
    assert world.dead_letters.messages == []


def test_a_call_that_fails_does_not_hold_up_the_rest_of_its_slice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pacer = world.pacer_with(limits=ONE_SLICE)
    prepare_running(world, numbers(3))
    (message,) = world.dispatch()
    claim = world.services.calls.claim

    def fail_for_one(key: CallKey, *others: Any) -> Claim | None:
        if key.sequence == 1:
            raise RuntimeError("claim failed")
        return claim(key, *others)

    with monkeypatch.context() as patch:
        patch.setattr(world.services.calls, "claim", fail_for_one)
        assert world.dial([message.body]) == ["0"]
    assert len(world.tenant.calls) == 2
    assert world.dial([message.body]) == []
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(3))


class TestSlicesThatComeTooLate:
    """Slices that come too late are returned whole, and their calls take other slots."""

    def late_slices(self, world: World, calls: int = 40) -> list[str]:
        prepare_running(world, numbers(calls))
        world.tick()
        world.clock.turn_to(EIGHT + timedelta(seconds=80))
        return [message.body for message in world.sqs.take(world.clock.now())]

    def test_none_of_their_numbers_is_claimed(self, world: World) -> None:
        assert world.dial(self.late_slices(world)) == []
        assert list(world.services.calls.between(CAMPAIGN, 0, 40)) == []
        assert world.services.tasks.returned_sequences(CAMPAIGN) == set(range(40))

    def test_returning_a_slice_takes_one_write(self, world: World) -> None:
        bodies = self.late_slices(world)
        world.dial(bodies)
        assert len(list(world.services.tasks.returned_slices(CAMPAIGN))) == len(bodies) == 10

    def test_their_numbers_are_called_next_in_order(self, world: World) -> None:
        world.dial(self.late_slices(world, calls=100))
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(100))
        assert campaign(world).counts == Counts(completed=100)
        assert world.services.tasks.returned_sequences(CAMPAIGN) == set()

    def test_a_part_of_a_returned_slice_may_be_dispatched_again(self, world: World) -> None:
        world.pacer = world.pacer_with(limits=ONE_SLICE)
        (body,) = self.late_slices(world, calls=20)
        assert world.dial([body]) == []
        world.services.profiles.change("acme", 1, {"amount_per_period": 6})
        world.tick()
        assert [one["sequence"] for one in world.dispatched] == list(range(5))
        assert world.services.tasks.returned_sequences(CAMPAIGN) == set(range(20))
        (rest,) = world.services.tasks.returned_slices(CAMPAIGN)
        assert [one.key.sequence for one in rest.tasks] == list(range(5, 20))
        world.services.profiles.change("acme", 1, {"amount_per_period": 60})
        world.run(minutes=6)
        assert sorted(world.tenant.called) == destinations(numbers(20))

    def test_a_number_that_another_dialer_has_claimed_is_not_returned(self, world: World) -> None:
        world.pacer = world.pacer_with(limits=ONE_SLICE)
        (body,) = self.late_slices(world, calls=3)
        entries = numbers(3)
        world.services.calls.claim(CAMPAIGN.call(1), entries[1], 1, world.clock.now())
        world.dial([body])
        assert world.services.tasks.returned_sequences(CAMPAIGN) == {0, 2}

    def test_their_numbers_do_not_count_as_lost(self, world: World) -> None:
        world.dial(self.late_slices(world))
        world.switch.turn(on=False, now=world.clock.now())
        for _ in range(12):
            world.clock.turn_to(world.clock.now() + MINUTE)
            world.settle()
        assert list(world.services.calls.between(CAMPAIGN, 0, 40)) == []
        world.switch.turn(on=True, now=world.clock.now())
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(40))

    def test_a_stopped_campaign_with_returned_slices_has_no_work(self, world: World) -> None:
        world.dial(self.late_slices(world))
        stop(world)
        for _ in range(3):
            world.settle()
        assert with_work(world.progress, EIGHT + timedelta(days=365)) == []
        start(world)
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(40))


def test_an_amount_of_eleven_digits_does_not_slow_a_tick_down(world: World) -> None:
    """It is far more than the dialers can do, so only a part of its slots is used."""
    prepare_running(world, numbers(500), amount=99_999_999_999)
    world.tick()
    dues = [datetime.fromisoformat(one["due"]) for one in world.dispatched]
    assert len(dues) == 500
    assert max(dues) > min(dues)
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(500))


def test_a_slow_call_does_not_hold_up_the_others_of_its_batch(world: World) -> None:
    class SlowTenant(FakeTenant):
        """Answers the first call after all the others are answered and reported."""

        others_reported = asyncio.Event()

        async def place_call(
            self, url: str, body: bytes, headers: Mapping[str, str], *, last_look: LastLook
        ) -> RequestResult:
            request_result = await super().place_call(url, body, headers, last_look=last_look)
            if b"2220000000" in body:
                await self.others_reported.wait()
            return request_result

        async def report(self, url: str, body: bytes, headers: Mapping[str, str]) -> RequestResult:
            request_result = await super().report(url, body, headers)
            if len(self.reports) == 2:
                self.others_reported.set()
            return request_result

    tenant = SlowTenant(world.clock)
    world.dialer = world.dialer_over(tenant)
    prepare_running(world, numbers(3))
    assert world.dial([message.body for message in world.dispatch()]) == []
    assert [report.form["call_id"] for report in tenant.reports] == [str(2**32 + n) for n in (1, 2, 0)]


def test_a_finished_campaign_has_no_work(world: World) -> None:
    prepare_running(world, numbers(3))
    world.run(minutes=3)
    assert with_work(world.progress, EIGHT + timedelta(days=365)) == []
