"""Campaigns on the whole local deployment, by HTTP, with the packaged functions, their rules and their queue.

They run at the same time, each in an account of its own. The tests read the records at the end. In a sample they have
fewer numbers, and call for half a minute instead of three.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.lateness import lags_in
from chalicelib.domain.pacing import MISFIRE_GRACE
from infra.local.deployment import LocalDeployment
from tests.support.caller import Caller, wait
from tests.support.tenant import Tenant, serve

#: seconds a campaign may take here: three minutes of calling, a minute until the first tick and one to settle
PATIENCE = 420

pytestmark = pytest.mark.timeout(PATIENCE + 60)

#: a heading, a quoted field with a comma, a blank line, and fields with spaces
FIRST_LINES = (
    "phone_number,reference",
    '"(222) 333-0000","quoted, with a comma"',
    "",
    "+12223330001 ; ani=7778889999 , spaced",
)


def csv_line(index: int) -> str:
    forms = (
        f"tel:+1222333{index:04d};ani=7778889999,ref {index}",
        f"222333{index:04d},ref {index}",
        f'"1222333{index:04d}","ref {index}"',
        f"tel:+1222333{index:04d}; ani=7778889999",
    )
    return forms[index % 4]


def csv(count: int) -> str:
    return "".join(f"{line}\r\n" for line in (*FIRST_LINES, *map(csv_line, range(2, count))))


def expected(count: int) -> list[str]:
    """The numbers of `csv(count)` in their normal form."""
    with_ani = [index == 1 or (index > 1 and index % 4 in (0, 3)) for index in range(count)]
    return [f"tel:+1222333{index:04d}" + ";ani=7778889999" * ani for index, ani in enumerate(with_ani)]


@dataclass
class Story:
    """The record of a campaign."""

    tenant: Tenant
    count: int
    #: the campaign and its calls, as the API shows them at the end
    shown: Any
    calls: Any
    #: Unix seconds: when the first start was requested
    started: float
    #: Unix seconds: when the stop was answered, and when the next start was requested
    stopped: float = 0.0
    restarted: float = 0.0
    #: the progress right before the next start
    progress_while_stopped: Any = None


def _straight_through(caller: Caller, count: int) -> Story:
    with serve() as tenant:
        campaign = caller.campaign(tenant, csv(count), per_minute=60)
        started = time.time()
        caller.ask("start", campaign)
        shown = caller.run_to_the_end(campaign, PATIENCE)
        return Story(tenant, count, shown, caller.calls(campaign), started)


def _with_a_stop_in_the_middle(caller: Caller, count: int) -> Story:
    with serve() as tenant:
        campaign = caller.campaign(tenant, csv(count), per_minute=90)
        started = time.time()
        caller.ask("start", campaign)
        wait(lambda: len(tenant.calls) >= count // 3, PATIENCE)
        caller.ask("stop", campaign)
        stopped = time.time()
        time.sleep(20)  # calls of the next minute are in the queue
        progress_while_stopped = caller.show(campaign)["progress"]
        restarted = time.time()
        caller.ask("start", campaign)
        shown = caller.run_to_the_end(campaign, PATIENCE)
        calls = caller.calls(campaign)
        return Story(tenant, count, shown, calls, started, stopped, restarted, progress_while_stopped)


@pytest.fixture(scope="module")
def stories(
    deployment: LocalDeployment, tmp_path_factory: pytest.TempPathFactory, whole: bool
) -> Iterator[dict[str, Story]]:
    def run(name: str, story: Callable[[Caller, int], Story], count: int, url: str) -> Story:
        token, _ = deployment.open_account(f"story-{name}")
        return story(Caller(url, token, tmp_path_factory.mktemp(name)), count)

    straight, stopped = (150, 90) if whole else (30, 30)
    with ThreadPoolExecutor(3) as threads:
        running = {
            "straight": threads.submit(run, "straight", _straight_through, straight, deployment.url),
            "stopped": threads.submit(run, "stopped", _with_a_stop_in_the_middle, stopped, deployment.url),
            "deployed": threads.submit(run, "deployed", _straight_through, 20, deployment.gateway_url),
        }
        yield {name: story.result() for name, story in running.items()}


@pytest.fixture
def straight(stories: dict[str, Story]) -> Story:
    return stories["straight"]


@pytest.fixture
def stopped(stories: dict[str, Story]) -> Story:
    return stories["stopped"]


@pytest.fixture
def deployed(stories: dict[str, Story]) -> Story:
    """The customer's requests go through the deployment's gateway to the deployed function."""
    return stories["deployed"]


def test_a_campaign_created_at_the_gateway_runs_to_its_end(deployed: Story) -> None:
    assert sorted(deployed.tenant.numbers_called()) == sorted(expected(deployed.count))
    assert (deployed.shown["status"], deployed.shown["progress"]["completed"]) == ("completed", deployed.count)
    assert [call["report"] for call in deployed.calls] == ["delivered"] * deployed.count


def test_a_calls_record_is_kept_for_four_hundred_days(deployment: LocalDeployment, deployed: Story) -> None:
    items = [item for item in deployment.database().calls.scan() if item.call.startswith("story-deployed/")]
    assert len(items) == deployed.count
    # A TTL has whole seconds.
    assert {round((item.expires_at - item.last_attempt_at) / timedelta(days=1), 3) for item in items} == {400.0}


def test_each_number_of_the_file_is_called_exactly_once(straight: Story) -> None:
    assert sorted(straight.tenant.numbers_called()) == sorted(expected(straight.count))


@pytest.mark.parametrize("seconds", [1, 2, 5, 10, 30])
def test_calls_start_at_twice_the_pace_at_most(deployment: LocalDeployment, straight: Story, seconds: int) -> None:
    """By the dialer's clock: on a busy machine, this test's server reads several requests at once.

    Slots are made up for at two a second. What starts in some seconds was due in these, or before them by no more than
    a call was late, which is the misfire grace at most. If none is late by half a second, none has more than three.
    """
    starts = sorted(call.signed for call in straight.tenant.calls)
    lags = lags_in(deployment.functions_log.read_text().splitlines())
    latest = min(max(lags), MISFIRE_GRACE.total_seconds())
    most = math.floor(2 * (seconds + latest)) + 1
    assert all(sum(begin <= start < begin + seconds for start in starts) <= most for begin in starts)
    assert starts[-1] - starts[0] <= straight.count + 60


def test_slots_before_the_start_are_not_made_up_for(straight: Story) -> None:
    starts = sorted(call.at for call in straight.tenant.calls)
    assert all(at >= straight.started + second for second, at in enumerate(starts))


def test_no_minute_has_more_than_its_sixty_calls(straight: Story) -> None:
    minutes = Counter(int(call.at // 60) for call in straight.tenant.calls)
    assert max(minutes.values()) <= 60


def test_each_outcome_is_reported_once_with_all_its_fields(straight: Story) -> None:
    reports = {report.form["call_id"]: report.form for report in straight.tenant.reports}
    assert len(straight.tenant.reports) == len(reports) == straight.count
    for call in straight.tenant.calls:
        report = reports[call.form["call_id"]]
        assert report.pop("last_attempt_timestamp").isdigit()
        assert report == {
            "phone_number": call.form["phone_number"],
            "message_reference": call.form["message_reference"],
            "call_id": call.form["call_id"],
            "campaign_id": call.form["campaign_id"],
            "result": "completed",
            "reason": "http_200",
            "callee_type": "unknown",
            "attempts": "1",
            "duration": "0",
        }


def test_references_arrive_as_they_were_uploaded(straight: Story) -> None:
    references = {call.form["phone_number"]: call.form["message_reference"] for call in straight.tenant.calls}
    assert references["tel:+12223330000"] == "quoted, with a comma"
    assert references["tel:+12223330001;ani=7778889999"] == "spaced"
    assert references["tel:+12223330006"] == "ref 6"


def test_a_finished_campaign_is_shown_as_completed(straight: Story) -> None:
    assert straight.shown["status"] == "completed"
    assert straight.shown["progress"] == {
        "total": straight.count,
        "queued": 0,
        "dialling": 0,
        "in_progress": 0,
        "deferred": 0,
        "completed": straight.count,
        "failed": 0,
        "uncertain": 0,
        "canceled": 0,
    }
    assert [(call["state"], call["report"]) for call in straight.calls] == [("completed", "delivered")] * straight.count
    assert [call["phone_number"] for call in straight.calls] == expected(straight.count)


def test_no_call_starts_later_than_two_seconds_after_the_stop(stopped: Story) -> None:
    late = [call for call in stopped.tenant.calls if stopped.stopped + 2 < call.at < stopped.restarted]
    assert late == []


def test_a_stopped_campaign_loses_no_number(stopped: Story) -> None:
    progress = dict(stopped.progress_while_stopped)
    assert progress.pop("total") == sum(progress.values()) == stopped.count
    assert progress["completed"] < stopped.count


def test_after_the_next_start_the_other_numbers_are_called_and_none_twice(stopped: Story) -> None:
    assert sorted(stopped.tenant.numbers_called()) == sorted(expected(stopped.count))
    assert stopped.shown["progress"]["completed"] == stopped.count
