"""All promises are kept under many faults at once, and the checker notices each safeguard that is removed.

A failure names its seed. `Simulation(seed).run()` repeats the story. A whole run has the stories of seeds 0 to 299, and
a crash at each second boundary of the short stories of seeds 0 to 19. A sample has seeds 0 to 79, and 0 and 1.
`make simulate` runs more stories, and crashes at every boundary.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import chain

import pytest

from tests.fake_aws.clock import BEGIN
from tests.simulation.checker import faults
from tests.simulation.controls import CONTROLS, Control
from tests.simulation.simulation import Simulation
from tests.simulation.story import Story
from tests.support.sampling import sampled_seeds

#: Stories of a whole run, and of a sample, in pieces that workers can share.
SEEDS, SAMPLE, PIECE = 300, 80, 10
#: In how many of them a missing safeguard must be noticed.
NOTICED_WITHIN = 2000
#: Short stories in which a function dies once, at each boundary in turn: of a whole run, and of a sample.
SHORT_STORIES, SHORT_SAMPLE = 20, 2
#: Of so many boundaries one is crossed with a crash. Which one of them it is differs from seed to seed.
STRIDE = 2
#: in how many pieces the crashes of a seed are, so that a piece takes seconds on a slow machine, too
CRASH_PIECES = 4
NEVER = -1


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The functions' logs are full of warnings."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", sampled_seeds(range(0, SEEDS, PIECE), SAMPLE))
def test_every_promise_is_kept_with_any_faults(first: int) -> None:
    broken = {seed: found for seed in range(first, first + PIECE) if (found := faults(Simulation(seed).run()))}
    assert broken == {}


@pytest.mark.parametrize("piece", range(CRASH_PIECES))
@pytest.mark.parametrize("seed", sampled_seeds(range(SHORT_STORIES), SHORT_SAMPLE))
def test_a_crash_at_any_boundary_breaks_no_promise(seed: int, piece: int) -> None:
    boundaries = Simulation(seed, crash_at=NEVER).run().faults.boundaries
    assert boundaries > 20
    broken = {}
    for crash_at in range(seed % STRIDE + piece * STRIDE, boundaries, CRASH_PIECES * STRIDE):
        story = Simulation(seed, crash_at=crash_at).run()
        assert story.faults.crashes == 1
        if found := faults(story):
            broken[crash_at] = found
    assert broken == {}


def _unreachable_for(hours: int) -> Story:
    simulation = Simulation(2, crash_at=NEVER)
    simulation.tenant.unreachable_until = BEGIN + timedelta(hours=hours)
    return simulation.run()


def test_every_report_arrives_after_result_url_was_down_for_a_day() -> None:
    story = _unreachable_for(hours=24)
    assert faults(story) == []
    assert {(call["report"], call["report_error"]) for call in story.calls} == {("delivered", None)}
    assert {call["report_attempts"] for call in story.calls} <= {9, 10}


def test_a_report_is_given_up_after_ten_attempts_with_the_reason() -> None:
    story = _unreachable_for(hours=48)
    shown = {(call["report"], call["report_attempts"], call["report_error"]) for call in story.calls}
    assert shown == {("given_up", 10, "refused")}
    assert story.final["status"] == "completed"


def _story_in_a_process(hash_seed: int) -> str:
    """What a process prints about a story that reads 120 records at once, if it hashes text with this seed."""
    command = [sys.executable, "-m", "tests.simulation", "--first", "6", "--seeds", "1", "--crashes", "0"]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    ran = subprocess.run([*command, "--controls", "0"], env=environment, capture_output=True, text=True, check=True)
    return next(line for line in ran.stdout.splitlines() if line.startswith("stories: 1 stories"))


@pytest.mark.parametrize("seed", range(3))
def test_a_seed_always_makes_the_same_story(seed: int) -> None:
    first, second = Simulation(seed).run(), Simulation(seed).run()
    assert first.tenant.calls == second.tenant.calls != []
    assert first.tenant.reports == second.tenant.reports
    assert first.faults.boundaries == second.faults.boundaries


def test_a_seed_makes_the_same_story_in_every_process() -> None:
    assert _story_in_a_process(hash_seed=1) == _story_in_a_process(hash_seed=2)


@pytest.mark.timeout(900)  # if the story of `seen_in` has changed, other stories are checked
@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.missing)
def test_the_checker_notices_that_a_safeguard_is_removed(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    control.apply(monkeypatch.setattr)
    seeds = chain([control.seen_in], range(NOTICED_WITHIN))
    assert any(faults(Simulation(seed).run()) for seed in seeds)
