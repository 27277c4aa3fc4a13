"""The promises, under all that can go wrong at once; and that a safeguard taken away is missed.

A failure names its seed; `Simulation(seed).run()` tells the same story again.
"""

import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chalicelib.domain.call import Claim
from chalicelib.domain.models import CallKey, Entry
from chalicelib.storage.calls import Calls
from tests.simulation.checker import faults
from tests.simulation.simulation import Simulation

#: Stories told at each run of the tests, in pieces that workers can share.
SEEDS, PIECE = 240, 12
#: In how many stories a missing safeguard must be noticed.
NOTICED_WITHIN = 40


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


def test_a_crash_at_any_one_boundary_breaks_no_promise() -> None:
    boundaries = Simulation(7, minutes=3, crash_at=10**9).run().faults.boundaries
    assert boundaries > 200
    for crash_at in range(0, boundaries, boundaries // 12):
        story = Simulation(7, minutes=3, crash_at=crash_at).run()
        assert story.faults.crashes == 1
        assert faults(story) == []


def test_the_same_seed_tells_the_same_story() -> None:
    first, second = Simulation(3).run(), Simulation(3).run()
    assert first.tenant.calls == second.tenant.calls
    assert first.faults.boundaries == second.faults.boundaries


def _claims_for_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Calls.claim

    def generous(self: Calls, key: CallKey, entry: Entry, attempt: int, now: Any) -> Claim | None:
        return claim(self, key, entry, attempt, now) or Claim(key, entry, attempt, 0, False, "anybody")

    monkeypatch.setattr(Calls, "claim", generous)


def _looks_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.dialer.refusal", lambda *_, **__: None)


def _never_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.settler.Settler._defer_lost", lambda *_: False)


@pytest.mark.parametrize("take_away", [_claims_for_everybody, _looks_away, _never_sweeps])
def test_a_safeguard_taken_away_is_missed(
    take_away: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch)
    assert any(faults(Simulation(seed).run()) for seed in range(NOTICED_WITHIN))
