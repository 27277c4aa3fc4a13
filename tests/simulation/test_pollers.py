"""What the fault simulation's pollers do is drawn for each seed."""

from tests.simulation.pollers import LONGEST_LAGS, Pollers
from tests.support.world import HandClock


def test_some_seeds_receive_messages_at_once_and_some_two_seconds_late() -> None:
    lags = {Pollers.drawn(seed, HandClock().now).longest_lag for seed in range(100)}
    assert lags == set(LONGEST_LAGS) >= {0, 2}


def test_a_lag_is_drawn_for_each_message() -> None:
    pollers = next(one for one in (Pollers.drawn(seed, HandClock().now) for seed in range(100)) if one.longest_lag == 2)
    lags = [pollers.lag() for _ in range(100)]
    assert 0 <= min(lags) < 0.2 < 1.8 < max(lags) <= 2


def test_prompt_pollers_never_lag() -> None:
    assert Pollers.prompt(HandClock().now).lag() == 0
