"""The promises, under all that can go wrong at once; and that a safeguard taken away is missed.

A failure names its seed; `Simulation(seed).run()` tells the same story again.
"""

import logging
from collections.abc import Iterator
from itertools import chain

import pytest

from tests.simulation.checker import faults
from tests.simulation.controls import CONTROLS, Control
from tests.simulation.simulation import Simulation

#: Stories told at each run of the tests, in pieces that workers can share.
SEEDS, PIECE = 1000, 20
#: In how many of them a missing safeguard must be noticed.
NOTICED_WITHIN = 2000
#: Short stories in which a function dies once, at each boundary in turn.
SHORT_STORIES = 20
NEVER = -1


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The functions say a lot about all that goes wrong."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SEEDS, PIECE))
def test_every_promise_is_kept_whatever_goes_wrong(first: int) -> None:
    broken = {seed: found for seed in range(first, first + PIECE) if (found := faults(Simulation(seed).run()))}
    assert broken == {}


@pytest.mark.parametrize("seed", range(SHORT_STORIES))
def test_a_crash_at_any_one_boundary_breaks_no_promise(seed: int) -> None:
    boundaries = Simulation(seed, crash_at=NEVER).run().faults.boundaries
    assert boundaries > 20
    broken = {}
    for crash_at in range(boundaries):
        story = Simulation(seed, crash_at=crash_at).run()
        assert story.faults.crashes == 1
        if found := faults(story):
            broken[crash_at] = found
    assert broken == {}


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = Simulation(3).run(), Simulation(3).run()
    assert first.tenant.calls == second.tenant.calls != []
    assert first.tenant.reports == second.tenant.reports
    assert first.faults.boundaries == second.faults.boundaries


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.missing)
def test_a_safeguard_taken_away_is_missed(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    control.apply(monkeypatch.setattr)
    seeds = chain([control.seen_in], range(NOTICED_WITHIN))
    assert any(faults(Simulation(seed).run()) for seed in seeds)
