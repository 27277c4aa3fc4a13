"""Whatever two accounts do, neither sees or changes anything of the other's; and each is answered as if it were alone.

Told over a real database, for it is storage that must keep accounts apart. A failure ends with the story that leads to
it, cut down to the steps that matter.
"""

import os
import sys
import time
from math import ceil
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from chalicelib.api.routes import ENDPOINTS
from chalicelib.api.services import Services
from chalicelib.storage.database import Database
from infra.local.emulator import Emulator
from tests.support.account_mistakes import EVERY_MISTAKE, PLAIN_MISTAKES, Mistake
from tests.support.accounts_model import AccountModel
from tests.support.databases import with_tables
from tests.support.two_accounts import BEGIN, Tally, TwoAccounts
from tests.support.world import HandClock

#: How many steps `make isolation` asks for: new stories each time, in which all is looked at after each step.
ASKED_FOR = int(os.environ.get("ISOLATION_STEPS", "0"))
#: how many are told before it is said how far they are
STORIES_AT_ONCE = 20
#: Otherwise: always the same stories, in which the single things are looked at by turns.
STORIES, TURNS = 4, 8
STEPS_OF_A_STORY = 50
#: steps in which each account must have been answered 200 by every endpoint
ENOUGH_FOR_ALL = 10_000
#: in how many stories a mistake must be noticed
NOTICED_WITHIN = 100

ALL = {(method, path) for path, endpoints in ENDPOINTS.items() for method in endpoints}
PROFILE = settings(
    stateful_step_count=STEPS_OF_A_STORY,
    database=None,
    deadline=None,
    print_blob=False,
    # a step is a dozen requests, each of them several to another process
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def database(emulator: Emulator) -> Database:
    return with_tables(emulator.client("dynamodb"))


def tell(database: Database, profile: settings, turns: int, tally: Tally) -> None:
    """Each story begins at the same time, and with accounts of its own."""

    def story() -> TwoAccounts:
        clock = HandClock(BEGIN)
        return TwoAccounts(Services.over(database, clock), clock, tally, turns)

    run_state_machine_as_test(cast(type[TwoAccounts], story), settings=profile)  # any maker will do


def test_the_model_knows_every_endpoint() -> None:
    assert AccountModel().endpoints.keys() == ALL


def test_each_account_is_as_if_alone(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    tally, begin = Tally(), time.monotonic()
    if not ASKED_FOR:
        tell(database, settings(PROFILE, max_examples=STORIES, derandomize=True), TURNS, tally)
        assert tally.steps >= STORIES * STEPS_OF_A_STORY / 2
    while tally.steps < ASKED_FOR:
        stories = min(STORIES_AT_ONCE, ceil((ASKED_FOR - tally.steps) / STEPS_OF_A_STORY))
        try:
            tell(database, settings(PROFILE, max_examples=stories), 1, tally)
        finally:
            say(capsys, f"{tally.steps} steps, {tally.requests} requests, {time.monotonic() - begin:.0f} s")
    if ASKED_FOR >= ENOUGH_FOR_ALL:
        for who in (0, 1):
            assert {
                (method, path) for one, method, path, status in tally.answered if (one, status) == (who, 200)
            } == ALL


@pytest.mark.parametrize("mistake", EVERY_MISTAKE if ASKED_FOR else PLAIN_MISTAKES)
def test_a_mistake_is_noticed(
    database: Database, mistake: Mistake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake(monkeypatch)
    tally = Tally()
    profile = settings(PROFILE, max_examples=NOTICED_WITHIN, phases=[Phase.generate], derandomize=not ASKED_FOR)
    with pytest.raises(AssertionError):
        tell(database, profile, TURNS, tally)
    if ASKED_FOR:
        say(capsys, f"{mistake.__name__}: noticed after {tally.steps} steps")


def say(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{line}\n")
