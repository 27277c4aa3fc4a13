"""The metrics and log lines of calling. They add up, and show no whole number and no token."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign
from chalicelib.domain.outcome import Answered, NotSent, RequestResult, Unknown
from chalicelib.runtime.logs import JsonLines
from chalicelib.runtime.metrics import Metric
from tests.support.campaigns import numbers, prepare_running
from tests.support.examples import CAMPAIGN
from tests.support.http import TOKEN
from tests.support.world import EIGHT, World


def test_every_outcome_is_counted_once(world: World) -> None:
    answers: Iterator[RequestResult] = iter(
        [Answered(200, {}, b""), Answered(404, {}, b""), Unknown("timeout"), NotSent("dns")]
    )
    world.tenant.on_call = lambda _: next(answers, Answered(200, {}, b""))
    prepare_running(world, numbers(6))
    world.run(minutes=3)
    counted = world.metrics.counted
    outcomes = (Metric.COMPLETED, Metric.FAILED, Metric.UNCERTAIN)
    assert [counted[metric] for metric in outcomes] == [4, 1, 1]
    assert counted[Metric.DEFERRED] == 1
    assert counted[Metric.REPORTS_DELIVERED] == 6


def test_a_call_that_is_on_time_has_no_lag(world: World) -> None:
    prepare_running(world, numbers(30))
    world.run(minutes=2)
    lags = world.metrics.measured[Metric.PACE_LAG]
    assert len(lags) == 30
    # The first call is held until the window is open by every clock.
    assert lags == [0.5, *[0.0] * 29]


def test_each_tick_is_counted_and_timed(world: World) -> None:
    prepare_running(world, numbers(1))
    world.run(minutes=3)
    assert world.metrics.counted[Metric.TICKS] == 3
    assert world.metrics.measured[Metric.TICK_DURATION] == [0.0] * 3


def test_the_settlers_ticks_are_counted_separately(world: World) -> None:
    prepare_running(world, numbers(1))
    world.settle()
    assert (world.metrics.counted[Metric.TICKS], world.metrics.counted[Metric.SETTLER_TICKS]) == (0, 1)
    assert world.metrics.measured[Metric.SETTLER_TICK_DURATION] == [0.0]


def prepare_two_campaigns_of_which_one_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The campaign of globex can't be read."""
    for account in ("acme", "globex"):
        prepare_running(world, numbers(1), account=account)
    find = world.services.campaigns.find

    def find_only_acme(key: CampaignKey) -> Campaign | None:
        if key.account == "globex":
            raise RuntimeError("an item that can't be read")
        return find(key)

    monkeypatch.setattr(world.services.campaigns, "find", find_only_acme)


def test_a_campaign_that_fails_is_named_and_its_tick_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prepare_two_campaigns_of_which_one_fails(world, monkeypatch)
    with pytest.raises(ExceptionGroup, match="some campaigns were not paced"):
        world.tick()
    assert len(world.sqs.messages) == 1
    assert world.metrics.counted[Metric.TICKS] == len(world.metrics.measured[Metric.TICK_DURATION]) == 1
    with pytest.raises(ExceptionGroup, match="some campaigns were not settled"):
        world.settle()
    assert world.metrics.counted[Metric.SETTLER_TICKS] == 1
    assert world.metrics.blamed == [CampaignKey("globex", 1)] * 2
    errors = [json.loads(JsonLines().format(one)) for one in caplog.records if one.levelname == "ERROR"]
    assert [line["campaign"] for line in errors] == ["globex/1", "globex/1"]
    assert all("an item that can't be read" in line["exception"] for line in errors)


def test_a_tick_that_runs_out_of_time_is_counted(world: World) -> None:
    world.pacer.tick(EIGHT, [CAMPAIGN])
    world.settler.settle(EIGHT, [CAMPAIGN])
    assert world.metrics.counted[Metric.OUT_OF_TIME] == 2


def test_the_settler_counts_waiting_numbers_and_reports(world: World) -> None:
    world.tenant.on_call = lambda form: Answered(503 if form["attempt"] == "1" else 200, {}, b"")
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    prepare_running(world, numbers(2), max_retries=1)
    world.run(minutes=1)
    assert world.metrics.counted[Metric.NUMBERS_WAITING] == 2
    world.run(minutes=4)
    assert world.metrics.counted[Metric.REPORTS_PENDING] > 0


def test_a_claim_without_an_outcome_is_counted_as_uncertain(world: World) -> None:
    prepare_running(world, numbers(1))
    world.tick()
    world.services.calls.claim(CAMPAIGN.call(0), numbers(1)[0], 1, EIGHT)
    world.clock.turn_to(EIGHT + timedelta(minutes=10))
    world.settle()
    assert world.metrics.counted[Metric.UNCERTAIN] == 1


def test_no_log_line_has_a_whole_number_or_a_token(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    entries = numbers(20)
    answers: list[RequestResult] = [Answered(200, {}, b""), Answered(404, {}, b""), Unknown("timeout"), NotSent("dns")]
    world.tenant.on_call = lambda form: answers[int(form["call_id"]) % len(answers)]
    world.tenant.on_report = lambda _: Answered(500, {}, b"")
    world.services.tokens.create("acme", TOKEN, EIGHT)
    prepare_running(world, entries, max_retries=1)
    world.run(minutes=10)
    lines = [JsonLines().format(record) for record in caplog.records]
    assert len(lines) > 40
    for line in lines:
        assert not any(entry.destination.removeprefix("tel:+") in line for entry in entries), line
        assert TOKEN not in line
    assert any('"number": "\\u20260003"' in line for line in lines)
