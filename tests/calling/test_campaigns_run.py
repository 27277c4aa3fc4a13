"""What becomes of a campaign's numbers, from the upload to the last report."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import pytest

from chalicelib.calling.dialer import Delivery
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.models import Counts, Entry, Plan
from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.domain.slicing import Limits
from chalicelib.gateway.clients import LastLook
from tests.support.campaigns import MINUTE, campaign, destinations, numbers, prepare, start, stop
from tests.support.databases import with_work
from tests.support.world import EIGHT, FakeTenant, World

#: all calls of a tick in one message
ONE_SLICE = Limits(span=timedelta(hours=1), most=1000)


def test_every_number_is_called_once_in_the_order_of_the_upload(world: World) -> None:
    entries = numbers(150)
    prepare(world, entries)
    start(world)
    world.run(minutes=4)
    assert world.tenant.called == destinations(entries)
    assert campaign(world).counts == Counts(completed=150)


def test_calls_are_a_second_apart_at_sixty_a_minute(world: World) -> None:
    prepare(world, numbers(150))
    start(world)
    world.run(minutes=4)
    starts = [call.at for call in world.tenant.calls]
    # The first, a second after the opening, is held back for clocks that differ.
    assert starts == [EIGHT + timedelta(seconds=second) for second in (1.5, *range(2, 151))]


def test_the_first_slices_are_delivered_ahead_and_those_after_them_ever_less(world: World) -> None:
    """A dialer must be woken for the first; waiting for the others would only cost."""
    prepare(world, numbers(150))
    start(world)
    world.tick()
    ahead = {}
    for message in world.sqs.messages:
        due = datetime.fromisoformat(json.loads(message.body)["dials"][0]["due"])
        ahead[(due - EIGHT).total_seconds()] = (due - message.visible_at).total_seconds()
    assert [ahead[second] for second in (1, 5, 9, 13)] == [1, 5, 7, 3]
    assert all(0 <= spare <= 1.5 for second, spare in ahead.items() if second > 16)


def test_the_calls_of_four_seconds_are_one_message(world: World) -> None:
    prepare(world, numbers(150))
    start(world)
    world.tick()
    seconds = [
        [(datetime.fromisoformat(dial["due"]) - EIGHT).total_seconds() for dial in json.loads(message.body)["dials"]]
        for message in world.sqs.messages
    ]
    assert seconds[:2] == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert sum(map(len, seconds)) == 75


def test_a_created_campaign_calls_nobody(world: World) -> None:
    prepare(world, numbers(5))
    world.run(minutes=2)
    assert world.tenant.calls == []


def test_the_call_is_told_what_it_is(world: World) -> None:
    prepare(world, [Entry("tel:+12223334444;ani=7778889999", "march")])
    start(world)
    world.run(minutes=2)
    (call,) = world.tenant.calls
    assert call.url == "http://tenant.example/start"
    assert call.form == {
        "phone_number": "tel:+12223334444;ani=7778889999",
        "message_reference": "march",
        "call_id": str(2**32),
        "campaign_id": "1",
        "ani": "7778889999",
        "attempt": "1",
    }
    assert call.headers["Idempotency-Key"] == f"{2**32}-1"
    assert call.headers["webhook-id"] == f"dial_{2**32}_1"


def test_the_outcome_is_reported(world: World) -> None:
    prepare(world, [Entry("tel:+12223334444", "march")])
    world.tenant.on_call = lambda _: Answered(200, {}, b'{"callee_type": "voice", "duration": 17}')
    start(world)
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
    prepare(world, numbers(1))
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    assert world.dial([message.body, message.body]) == []
    assert world.dial([message.body]) == []
    assert len(world.tenant.calls) == 1


def test_numbers_added_while_it_runs_come_last(world: World) -> None:
    prepare(world, numbers(30))
    start(world)
    world.run(minutes=1)
    world.services.campaigns.append(CampaignKey("acme", 1), numbers(30, first=30), None, world.clock.now())
    world.run(minutes=2)
    assert world.tenant.called == destinations(numbers(60))


def test_an_empty_queue_leaves_no_slots_to_be_made_up(world: World) -> None:
    prepare(world, numbers(1), period=60, amount=60)
    start(world)
    world.run(minutes=30)
    world.services.campaigns.append(CampaignKey("acme", 1), numbers(10, first=1), None, world.clock.now())
    world.tick()
    assert len(world.handed_over) == 1  # the next minute's


def test_a_stopped_campaign_keeps_its_queue(world: World) -> None:
    entries = numbers(200)
    prepare(world, entries)
    start(world)
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


def test_a_number_handed_over_before_a_restart_is_not_dialled_by_it(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    stop(world)
    start(world)
    world.drain(EIGHT + MINUTE)
    assert world.tenant.calls == []
    world.run(minutes=2)
    assert len(world.tenant.calls) == 1


def test_a_number_whose_period_is_over_waits_for_the_next(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    world.clock.turn_to(EIGHT + MINUTE)
    world.dial([message.body])
    assert world.tenant.calls == []
    world.run(minutes=1)
    assert len(world.tenant.calls) == 1


def test_no_call_starts_once_the_window_is_about_to_close(world: World) -> None:
    closing = EIGHT + timedelta(hours=3)
    prepare(world, numbers(1), amount=600)
    world.clock.turn_to(closing - timedelta(seconds=10))
    start(world)
    world.tick()
    (message,) = world.sqs.take(closing)
    world.clock.turn_to(closing - timedelta(seconds=0.4))
    world.dial([message.body])
    assert world.tenant.calls == []


def test_a_function_about_to_end_starts_no_call(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    world.dial([message.body], time_left=timedelta(seconds=20))
    assert world.tenant.calls == []
    world.run(minutes=1)
    assert len(world.tenant.calls) == 1


def test_a_deleted_campaign_calls_nobody(world: World) -> None:
    prepare(world, numbers(5))
    start(world)
    world.tick()
    world.services.campaigns.delete(CampaignKey("acme", 1), world.clock.now())
    world.run(minutes=2)
    assert world.tenant.calls == []


def test_a_new_start_url_holds_for_numbers_handed_over_already(world: World) -> None:
    prepare(world, numbers(1))
    start(world)
    world.tick()
    world.services.campaigns.change(
        CampaignKey("acme", 1), lambda plan: _with_start_url(plan, "http://new.example/"), EIGHT
    )
    world.drain(EIGHT + MINUTE)
    assert [call.url for call in world.tenant.calls] == ["http://new.example/"]


def _with_start_url(plan: Plan, url: str) -> Plan:
    return Plan(plan.start_date, plan.end_date, plan.schedule_id, plan.windows, url, plan.result_url)


def test_what_was_surely_not_sent_is_dialled_later(world: World) -> None:
    prepare(world, numbers(1))
    answers = iter([NotSent("refused"), NotSent("dns")])
    world.tenant.on_call = lambda _: next(answers, Answered(200, {}, b""))
    start(world)
    world.run(minutes=6)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "1", "1"]
    assert campaign(world).counts == Counts(completed=1)


def test_what_is_never_sent_has_failed_after_the_sixth_time(world: World) -> None:
    prepare(world, numbers(1))
    world.tenant.on_call = lambda _: NotSent("refused")
    start(world)
    world.run(minutes=40)
    assert len(world.tenant.calls) == 6
    assert campaign(world).counts == Counts(failed=1)
    assert [report.form["reason"] for report in world.tenant.reports] == ["refused"]


def test_a_call_nobody_knows_of_is_uncertain_and_never_made_again(world: World) -> None:
    prepare(world, numbers(1), max_retries=5)
    world.tenant.on_call = lambda _: Unknown("timeout")
    start(world)
    world.run(minutes=10)
    assert len(world.tenant.calls) == 1
    assert campaign(world).counts == Counts(uncertain=1)
    assert [report.form["result"] for report in world.tenant.reports] == ["uncertain"]


def test_a_failed_call_is_made_again_only_if_the_campaign_asks(world: World) -> None:
    prepare(world, numbers(1))
    world.tenant.on_call = lambda _: Answered(404, {}, b"")
    start(world)
    world.run(minutes=5)
    assert len(world.tenant.calls) == 1
    assert [report.form["reason"] for report in world.tenant.reports] == ["http_404"]


def test_a_failed_call_is_made_again_after_the_interval_and_reported_once(world: World) -> None:
    prepare(world, numbers(1), max_retries=2)
    world.tenant.on_call = lambda _: Answered(503, {}, b"")
    start(world)
    world.run(minutes=10)
    assert [call.form["attempt"] for call in world.tenant.calls] == ["1", "2", "3"]
    assert all(
        b.at - a.at >= timedelta(seconds=120) for a, b in zip(world.tenant.calls, world.tenant.calls[1:], strict=False)
    )
    assert [report.form["attempts"] for report in world.tenant.reports] == ["3"]


def test_a_report_that_fails_is_sent_again_with_the_same_ids_and_no_second_dial(world: World) -> None:
    prepare(world, numbers(1))
    answers: Iterator[RequestResult] = iter([Answered(500, {}, b""), Unknown("timeout"), NotSent("refused")])
    world.tenant.on_report = lambda _: next(answers, Answered(204, {}, b""))
    start(world)
    world.run(minutes=15)
    assert len(world.tenant.calls) == 1
    assert len(world.tenant.reports) == 4
    assert len({report.headers["webhook-id"] for report in world.tenant.reports}) == 1
    assert len({json.dumps(report.form) for report in world.tenant.reports}) == 1


def test_a_receiver_that_is_gone_is_told_no_more(world: World) -> None:
    prepare(world, numbers(1))
    world.tenant.on_report = lambda _: Answered(410, {}, b"")
    start(world)
    world.run(minutes=5)
    assert len(world.tenant.reports) == 1


def test_without_a_result_url_nothing_is_reported(world: World) -> None:
    prepare(world, numbers(3), result_url=None)
    start(world)
    world.run(minutes=2)
    assert world.tenant.reports == []
    assert campaign(world).counts == Counts(completed=3)


def test_a_stopped_campaign_still_reports(world: World) -> None:
    prepare(world, numbers(1))
    answers = iter([Answered(500, {}, b"")])
    world.tenant.on_report = lambda _: next(answers, Answered(200, {}, b""))
    start(world)
    world.tick()
    world.drain(EIGHT + MINUTE)
    stop(world)
    world.run(minutes=3)
    assert len(world.tenant.reports) == 2


def test_entries_that_the_queue_refuses_are_offered_again(world: World) -> None:
    prepare(world, numbers(20))
    start(world)
    world.sqs.refuses = 3
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(20))


def test_what_could_not_be_sent_is_not_passed(world: World) -> None:
    prepare(world, numbers(20))
    start(world)
    world.sqs.refuses = 1000
    world.tick()
    assert campaign(world).head == 0
    world.sqs.refuses = 0
    world.run(minutes=3)
    assert sorted(world.tenant.called) == destinations(numbers(20))


def test_a_message_that_cannot_be_read_goes_to_the_dead_letters(world: World) -> None:
    assert world.dial(["rubbish", '{"dial": {}}', '{"fax": {}}', "[]", '{"report": {"account": 1}}']) == []
    assert len(world.dead.messages) == 5


def test_a_message_of_a_newer_version_is_left_in_the_queue(world: World) -> None:
    assert world.dial(['{"version": 3, "account": "acme"}']) == ["0"]
    assert world.dead.messages == []


def test_one_call_that_fails_does_not_hold_up_the_rest_of_its_slice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(world, numbers(3))
    world.pacer = world.pacer_with(ONE_SLICE)
    start(world)
    world.tick()
    (message,) = world.sqs.take(EIGHT + MINUTE)
    claim = world.services.calls.claim

    def failing(key, *others):  # type: ignore[no-untyped-def] # claim's own signature
        if key.sequence == 1:
            raise RuntimeError("a disk on fire")
        return claim(key, *others)

    monkeypatch.setattr(world.services.calls, "claim", failing)
    assert world.dial([message.body]) == ["0"]
    assert len(world.tenant.calls) == 2
    monkeypatch.undo()
    assert world.dial([message.body]) == []
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(3))


class TestSlicesThatComeTooLate:
    """They are returned whole, and take other slots."""

    def late(self, world: World, calls: int = 40) -> list[str]:
        prepare(world, numbers(calls))
        start(world)
        world.tick()
        world.clock.turn_to(EIGHT + timedelta(seconds=80))
        return [message.body for message in world.sqs.take(world.clock.now())]

    def test_none_of_their_numbers_is_claimed(self, world: World) -> None:
        assert world.dial(self.late(world)) == []
        assert list(world.services.calls.between(CampaignKey("acme", 1), 0, 40)) == []
        assert world.services.tasks.returned_sequences(CampaignKey("acme", 1)) == set(range(40))

    def test_they_cost_one_write_each(self, world: World) -> None:
        bodies = self.late(world)
        world.dial(bodies)
        assert len(list(world.services.tasks.returned_slices(CampaignKey("acme", 1)))) == len(bodies) == 10

    def test_their_numbers_come_before_the_others_and_in_their_order(self, world: World) -> None:
        world.dial(self.late(world, calls=100))
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(100))
        assert campaign(world).counts == Counts(completed=100)
        assert world.services.tasks.returned_sequences(CampaignKey("acme", 1)) == set()

    def test_half_of_one_may_be_handed_over_again(self, world: World) -> None:
        world.pacer = world.pacer_with(ONE_SLICE)
        (body,) = self.late(world, calls=20)
        assert world.dial([body]) == []
        world.services.profiles.change("acme", 1, {"amount_per_period": 6})
        world.tick()
        assert [one["sequence"] for one in world.handed_over] == list(range(5))
        assert world.services.tasks.returned_sequences(CampaignKey("acme", 1)) == set(range(20))
        (left,) = world.services.tasks.returned_slices(CampaignKey("acme", 1))
        assert [one.key.sequence for one in left.tasks] == list(range(5, 20))
        world.services.profiles.change("acme", 1, {"amount_per_period": 60})
        world.run(minutes=6)
        assert sorted(world.tenant.called) == destinations(numbers(20))

    def test_what_another_has_claimed_is_not_returned(self, world: World) -> None:
        world.pacer = world.pacer_with(ONE_SLICE)
        (body,) = self.late(world, calls=3)
        entries = numbers(3)
        world.services.calls.claim(CallKey("acme", 1, 1), entries[1], 1, world.clock.now())
        world.dial([body])
        assert world.services.tasks.returned_sequences(CampaignKey("acme", 1)) == {0, 2}

    def test_they_are_not_taken_for_lost(self, world: World) -> None:
        world.dial(self.late(world))
        world.switch.turn(on=False, now=world.clock.now())
        for _ in range(12):
            world.clock.turn_to(world.clock.now() + MINUTE)
            world.settle()
        assert list(world.services.calls.between(CampaignKey("acme", 1), 0, 40)) == []
        world.switch.turn(on=True, now=world.clock.now())
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(40))

    def test_a_stopped_campaign_needs_no_more_looks_for_them(self, world: World) -> None:
        world.dial(self.late(world))
        stop(world)
        for _ in range(3):
            world.settle()
        assert with_work(world.progress, EIGHT + timedelta(days=365)) == []
        start(world)
        world.run(minutes=6)
        assert world.tenant.called == destinations(numbers(40))


def test_an_amount_of_eleven_digits_costs_a_tick_no_more_than_a_small_one(world: World) -> None:
    """Though it is far more than the dialers can do, so only a part of its slots is used."""
    prepare(world, numbers(500), amount=99_999_999_999)
    start(world)
    world.tick()
    dues = [datetime.fromisoformat(one["due"]) for one in world.handed_over]
    assert len(dues) == 500
    assert max(dues) > min(dues)
    world.run(minutes=2)
    assert sorted(world.tenant.called) == destinations(numbers(500))


def test_a_slow_call_does_not_hold_up_the_others_of_its_batch(world: World) -> None:
    class Slow(FakeTenant):
        """Answers the first call when all the others are answered and reported."""

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

    prepare(world, numbers(3))
    world.tenant = Slow(world.clock)
    dialer = world.dialer_over(world.tenant)
    start(world)
    world.tick()
    bodies = [message.body for message in world.sqs.take(EIGHT + MINUTE)]
    deliveries = [Delivery(str(place), body) for place, body in enumerate(bodies)]
    assert world.clock.run(dialer.handle_batch(deliveries, EIGHT + timedelta(seconds=90))) == []
    assert [report.form["call_id"] for report in world.tenant.reports] == [
        str(2**32 + 1),
        str(2**32 + 2),
        str(2**32),
    ]


def test_nothing_of_a_finished_campaign_is_left_to_do(world: World) -> None:
    prepare(world, numbers(3))
    start(world)
    world.run(minutes=3)
    assert with_work(world.progress, EIGHT + timedelta(days=365)) == []
