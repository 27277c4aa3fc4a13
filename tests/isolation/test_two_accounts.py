"""Neither of two accounts reads or changes anything of the other's. Each gets the answers that it would get alone.

This is shown over a real database, since storage must keep accounts apart. A failure shows the story that leads to it,
without the steps that don't matter.
"""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from math import ceil
from random import Random, SystemRandom

import pytest

from chalicelib.storage.database import Database
from infra.local.emulator import Emulator
from tests.fake_aws.dynamodb import SimulatedDynamoDB
from tests.support.account_mistakes import MISTAKES, Mistake
from tests.support.databases import with_tables
from tests.support.two_accounts import ALL, Story

NewDatabase = Callable[[], Database]

#: How many steps `make isolation` asks for, in new stories each time. Otherwise the stories are always the same.
ASKED_FOR = int(os.environ.get("ISOLATION_STEPS", "0"))
STORIES, STEPS_OF_A_STORY = 4, 50
#: after how many stories `make isolation` prints a line
STORIES_AT_ONCE = 20
#: after how many steps each account must have had an answer of 200 from every endpoint
ENOUGH_FOR_ALL = 10_000
#: in how many stories a mistake must be noticed
NOTICED_WITHIN = 100

#: A story that fails is repeated many times to shorten it.
pytestmark = pytest.mark.timeout(14_400 if ASKED_FOR else 900)


@pytest.fixture
def new_database(emulator: Emulator) -> NewDatabase:
    return lambda: with_tables(emulator.client("dynamodb"))


def simulated_database() -> Database:
    """Mistakes are in the code above a database, so a faster one notices them, too."""
    return with_tables(SimulatedDynamoDB())


def steps_of(story: int) -> list[int]:
    random = SystemRandom() if ASKED_FOR else Random(story)  # noqa: S311 # no secret
    return [random.getrandbits(32) for _ in range(STEPS_OF_A_STORY)]


def shortened(steps: list[int], new_database: NewDatabase) -> str:
    """The difference, in a story without the steps that don't matter."""
    difference, size = "it doesn't differ again", len(steps)
    while size:
        for place in range(len(steps) - size, -1, -size):
            fewer = steps[:place] + steps[place + size :]
            found = Story(new_database(), fewer).difference(new_database)
            if found is not None:
                steps, difference = fewer, found
        size //= 2
    return difference


def test_each_account_gets_the_answers_that_it_gets_alone(
    new_database: NewDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    answered: Counter[tuple[int, tuple[str, str], int]] = Counter()
    begin, stories = time.monotonic(), ceil(ASKED_FOR / STEPS_OF_A_STORY) or STORIES
    for number in range(1, stories + 1):
        steps = steps_of(number)
        story = Story(new_database(), steps)
        assert story.difference(new_database) is None, shortened(steps, new_database)
        answered.update((step.who, step.endpoint, step.reply.status) for step in story.steps)
        if ASKED_FOR and (number % STORIES_AT_ONCE == 0 or number == stories):
            asked = f"{number * STEPS_OF_A_STORY} steps, {answered.total()} requests"
            print_line(capsys, f"{asked}, {time.monotonic() - begin:.0f} s")
    succeeded = [{endpoint for one, endpoint, status in answered if (one, status) == (who, 200)} for who in (0, 1)]
    if not ASKED_FOR:
        assert succeeded[0] | succeeded[1] == {*ALL}
    if ASKED_FOR >= ENOUGH_FOR_ALL:
        assert succeeded[0] == succeeded[1] == {*ALL}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_noticed(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake(monkeypatch)
    for number in range(1, NOTICED_WITHIN + 1):
        if Story(simulated_database(), steps_of(number)).difference(simulated_database) is not None:
            if ASKED_FOR:
                print_line(capsys, f"{mistake.__name__}: noticed in story {number}")
            return
    pytest.fail(f"not noticed in {NOTICED_WITHIN} stories")


def print_line(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{line}\n")
