"""How many invocations the simulated event source runs at the same time, as AWS documents it."""

from tests.fake_aws.concurrency import FIRST, Concurrency
from tests.support.world import HandClock


def test_five_invocations_run_at_first() -> None:
    concurrency = Concurrency(HandClock().now)
    assert [concurrency.admits(running, most=50) for running in range(7)] == [True] * FIRST + [False] * 2


def test_five_more_may_run_after_each_second_in_which_messages_are_left() -> None:
    clock = HandClock()
    concurrency = Concurrency(clock.now)
    assert not concurrency.admits(FIRST, most=50)
    clock.advance(1)
    assert concurrency.admits(FIRST, most=50)
    assert concurrency.admits(FIRST + 4, most=50)
    assert not concurrency.admits(FIRST + 5, most=50)


def test_the_number_does_not_grow_while_no_message_is_left() -> None:
    clock = HandClock()
    concurrency = Concurrency(clock.now)
    clock.advance(60)
    assert not concurrency.admits(FIRST + 5, most=50)


def test_no_more_run_than_the_maximum() -> None:
    clock = HandClock()
    concurrency = Concurrency(clock.now)
    for _ in range(60):
        clock.advance(1)
        concurrency.admits(50, most=6)
    assert concurrency.admits(5, most=6)
    assert not concurrency.admits(6, most=6)
