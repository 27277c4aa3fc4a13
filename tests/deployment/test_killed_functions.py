"""A campaign whose functions are killed, all of them, in the middle of their work, as `kill -9` does.

It runs on a stack of its own, and is killed twice, each time with calls under way: when the pacer has handed numbers
over and not passed them, and when the dialers have just come to work again. The emulator starts the functions anew, as
AWS would. The tests look at what was left in the end.

A sample has nothing of it: a lost number is missed after five minutes, and no sooner.
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

#: Seconds until all is settled. Usually it takes seven or eight minutes, since a number that was lost is missed after
#: five. But where dialers start so slowly that the first numbers are deferred, the pacer that is killed has handed over
#: those, and they are missed after a quarter of an hour.
PATIENCE = 1200

COUNT = 300
PER_MINUTE = 90

pytestmark = [pytest.mark.timeout(PATIENCE + 300), pytest.mark.xdist_group("killed"), whole_only]


@dataclass
class Story:
    """What became of the campaign."""

    tenant: Tenant
    #: as the API tells it at the end
    shown: Any
    calls: Any
    #: how many numbers the pacer had handed over that was killed, of those that it had not passed
    handed_over: int
    #: what the emulator wrote down of its functions
    log: str


class Backstage:
    """The campaign as only those see it who run callpacer."""

    def __init__(self, stack: LocalDeployment, account: str, identifier: int) -> None:
        self._stack = stack
        self._key = CampaignKey(account, identifier)
        self._campaigns = Stores.of(stack.database()).campaigns
        self._lambda = stack.client("lambda")

    def campaign(self) -> Campaign:
        return self._campaigns.get(self._key)

    def functions(self, name: str = "") -> list[int]:
        """The processes of all functions, or of one of them. Each has a directory of its own, which tells its name."""
        return alive(str(self._stack.directory), f"ministack-lambda-callpacer-{STAGE}-{name}")

    def wake(self, name: str) -> None:
        """Out of turn, as a rule may do that fires twice; so the test needn't wait for a minute each time."""
        self._lambda.invoke(FunctionName=f"callpacer-{STAGE}-{name}", InvocationType="Event", Payload=json.dumps(TICK))

    def kill_functions(self) -> None:
        kill(self.functions())


def _tell(stack: LocalDeployment, directory: Path) -> Story:
    account = "killed"
    token, _ = stack.open_account(account)
    caller = Caller(stack.url, token, directory)
    with serve(seconds_per_call=2) as tenant:
        campaign = caller.campaign(tenant, "".join(f"+1222333{n:04d}\n" for n in range(COUNT)), PER_MINUTE)
        backstage = Backstage(stack, account, campaign)
        backstage.wake("settler")  # it has its process then, before there are many to be started
        caller.ask("start", campaign)
        backstage.wake("pacer")
        wait(lambda: backstage.campaign().head > 0, patience=60)
        backstage.wake("settler")  # what it finds handed over now, and misses in five minutes, is lost
        wait(lambda: len(tenant.calls) >= PER_MINUTE // 3, patience=120)
        handed_over = _let_a_pacer_die(stack, backstage)
        backstage.kill_functions()
        killed = time.time()
        wait(lambda: sum(call.at > killed for call in tenant.under_way.copy()) >= 2, patience=120, pause=0.05)
        backstage.kill_functions()
        shown = caller.run_to_the_end(campaign, PATIENCE, pause=2)
        return Story(tenant, shown, caller.calls(campaign), handed_over, stack.functions_log.read_text())


def _let_a_pacer_die(stack: LocalDeployment, backstage: Backstage) -> int:
    """It has handed numbers over and passed none of them. Answers how many it had handed over.

    A pacer of the test's own, beside the emulator's: theirs is at it for some hundredths of a second, which a test can
    miss.
    """
    environment = plain_environment() | {"AWS_ENDPOINT_URL": stack.endpoint} | stack.environment
    for _ in range(10):
        before = backstage.campaign()
        command = [sys.executable, "-m", "tests.support.dying_pacer"]
        ended = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
        if ended.returncode == -signal.SIGKILL and backstage.campaign().head == before.head:
            return int(ended.stdout)
        time.sleep(10)  # for slots that aren't handed over yet, or until the emulator's own pacer is done
    raise AssertionError("there was nothing to hand over")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with LocalDeployment(tmp_path_factory.mktemp("killed")) as stack:
        yield _tell(stack, tmp_path_factory.mktemp("caller"))


def test_dialers_died_while_their_calls_were_under_way(story: Story) -> None:
    assert re.search(r"-dialer Worker process died", story.log)
    assert len(story.tenant.cut_off) >= 2


def test_the_pacer_died_between_handing_numbers_over_and_passing_them(story: Story) -> None:
    assert story.handed_over >= 1


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


def test_each_outcome_is_reported_and_always_by_the_same_id(story: Story) -> None:
    reported = {(report.form["call_id"], report.form["result"], report.webhook_id) for report in story.tenant.reports}
    assert reported == {(str(call["call_id"]), call["state"], f"report_{call['call_id']}") for call in story.calls}
    assert {call["report"] for call in story.calls} == {"delivered"}


def test_the_campaign_is_completed_and_all_of_its_numbers_are_counted(story: Story) -> None:
    states = Counter(call["state"] for call in story.calls)
    assert story.shown["status"] == "completed"
    assert story.shown["progress"] == {
        "total": COUNT,
        "queued": 0,
        "dialling": 0,
        "deferred": 0,
        "completed": states["completed"],
        "failed": 0,
        "uncertain": states["uncertain"],
    }
