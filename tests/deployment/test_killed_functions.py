"""A campaign whose functions are all killed in the middle of their work, as `kill -9` does.

It runs on a deployment of its own. Its functions are killed twice, each time with calls in progress: after a pacer has
dispatched numbers and before it moves the head, and when the dialers have just started to call again. The emulator
starts the functions again, as AWS does. The tests read the records at the end.

A sample leaves this out, because a lost number is only found after five minutes.
"""

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.keys import CampaignKey
from chalicelib.domain.models import Campaign
from chalicelib.storage.stores import Stores
from infra.local.deployment import STAGE, LocalDeployment
from infra.local.emulator import plain_environment
from tests.support.caller import Caller, wait
from tests.support.processes import alive, kill
from tests.support.sampling import whole_only
from tests.support.tenant import Tenant, serve
from tests.support.ticks import TICK

#: Seconds until all is settled. Usually it takes seven or eight minutes, since a lost number is found after five. But
#: if a killed pacer has leased numbers that came back, the lease expires after a quarter of an hour.
PATIENCE = 1200

COUNT = 300
PER_MINUTE = 90

pytestmark = [pytest.mark.timeout(PATIENCE + 300), pytest.mark.xdist_group("killed"), pytest.mark.waits, whole_only]


@dataclass
class Story:
    """The record of the campaign."""

    tenant: Tenant
    #: the campaign and its calls, as the API shows them at the end
    shown: Any
    calls: Any
    #: how many numbers the killed pacer had dispatched without moving the head
    dispatched: int
    #: the emulator's log of its functions
    log: str


class Internals:
    """The campaign in storage, and the functions' processes."""

    def __init__(self, deployment: LocalDeployment, account: str, identifier: int) -> None:
        self._deployment = deployment
        self._key = CampaignKey(account, identifier)
        stores = Stores.of(deployment.database())
        self._campaigns, self._tasks = stores.campaigns, stores.tasks
        self._lambda = deployment.client("lambda")

    def campaign(self) -> Campaign:
        return self._campaigns.get(self._key)

    def functions(self, name: str = "") -> list[int]:
        """The processes of all functions, or of one. Each has a directory of its own with the function's name."""
        return alive(str(self._deployment.directory), f"ministack-lambda-callpacer-{STAGE}-{name}")

    def has_returned_numbers(self) -> bool:
        return any(True for _ in self._tasks.returned_dials(self._key))

    def invoke(self, name: str) -> None:
        """Invoke a function between two ticks, as if a rule fired twice. So the test needn't wait a minute."""
        self._lambda.invoke(FunctionName=f"callpacer-{STAGE}-{name}", InvocationType="Event", Payload=json.dumps(TICK))

    def kill_functions(self) -> None:
        kill(self.functions())


def _run_story(deployment: LocalDeployment, directory: Path) -> Story:
    account = "killed"
    token, _ = deployment.open_account(account)
    caller = Caller(deployment.url, token, directory)
    with serve(seconds_per_call=2) as tenant:
        campaign = caller.campaign(tenant, "".join(f"+1222333{n:04d}\n" for n in range(COUNT)), PER_MINUTE)
        internals = Internals(deployment, account, campaign)
        # The settler's process starts before many others do.
        internals.invoke("settler")
        caller.ask("start", campaign)
        internals.invoke("pacer")
        wait(lambda: internals.campaign().head > 0, patience=60)
        # It observes the head. Numbers before it are lost unless they are claimed within five minutes.
        internals.invoke("settler")
        wait(lambda: len(tenant.calls) >= PER_MINUTE // 3, patience=120)
        # A pacer that dies with them leaves a lease, which expires after a quarter of an hour.
        wait(lambda: not internals.has_returned_numbers(), patience=180)
        dispatched = _run_dying_pacer(deployment, internals)
        internals.kill_functions()
        killed = time.time()
        wait(lambda: sum(call.at > killed for call in tenant.under_way.copy()) >= 2, patience=120, pause=0.05)
        internals.kill_functions()
        shown = caller.run_to_the_end(campaign, PATIENCE, pause=2)
        return Story(tenant, shown, caller.calls(campaign), dispatched, deployment.functions_log.read_text())


def _run_dying_pacer(deployment: LocalDeployment, internals: Internals) -> int:
    """A pacer dispatches numbers and dies before it moves the head. Returns how many it dispatched.

    It is not the emulator's pacer: that is between the two steps for some hundredths of a second only, which a test
    can miss.
    """
    environment = plain_environment() | {"AWS_ENDPOINT_URL": deployment.endpoint} | deployment.environment
    for _ in range(10):
        before = internals.campaign()
        command = [sys.executable, "-m", "tests.support.dying_pacer"]
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        if ended.returncode == -signal.SIGKILL and internals.campaign().head == before.head:
            return int(ended.stdout)
        time.sleep(10)  # until there are new slots, or the emulator's own pacer is done
    raise AssertionError("there was nothing to dispatch")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with LocalDeployment(tmp_path_factory.mktemp("killed")) as deployment:
        yield _run_story(deployment, tmp_path_factory.mktemp("caller"))


def test_dialers_died_during_calls(story: Story) -> None:
    assert re.search(r"-dialer Worker process died", story.log)
    assert len(story.tenant.cut_off) >= 2


def test_a_pacer_died_after_dispatching_and_before_moving_the_head(story: Story) -> None:
    assert story.dispatched >= 1


def test_no_number_is_called_twice(story: Story) -> None:
    assert max(Counter(story.tenant.numbers_called()).values()) == 1


def test_each_number_was_called_or_is_uncertain(story: Story) -> None:
    called = {call.form["call_id"] for call in story.tenant.calls}
    assert len(story.calls) == COUNT
    for call in story.calls:
        if call["state"] == "completed":
            assert str(call["call_id"]) in called
        else:
            assert (call["state"], call["reason"]) == ("uncertain", "no_outcome")


def test_a_call_that_was_cut_off_is_uncertain(story: Story) -> None:
    states = {str(call["call_id"]): call["state"] for call in story.calls}
    assert {states[call.form["call_id"]] for call in story.tenant.cut_off} == {"uncertain"}


def test_each_outcome_is_reported_and_always_with_the_same_id(story: Story) -> None:
    reported = {(report.form["call_id"], report.form["result"], report.webhook_id) for report in story.tenant.reports}
    assert reported == {(str(call["call_id"]), call["state"], f"report_{call['call_id']}") for call in story.calls}
    assert {call["report"] for call in story.calls} == {"delivered"}


def test_the_campaign_is_completed_and_all_its_numbers_are_counted(story: Story) -> None:
    states = Counter(call["state"] for call in story.calls)
    assert story.shown["status"] == "completed"
    assert story.shown["progress"] == {
        "total": COUNT,
        "queued": 0,
        "dialling": 0,
        "in_progress": 0,
        "deferred": 0,
        "completed": states["completed"],
        "failed": 0,
        "uncertain": states["uncertain"],
        "canceled": 0,
    }
