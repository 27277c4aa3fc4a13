"""What the pollers of the event source do to a slice: it comes late, and at first few slices are worked on at a time.

With one message for each invocation and no batching window, it makes no difference which poller receives which message.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from tests.fake_aws.concurrency import MOST_MORE, Concurrency

#: seconds from a message's visibility until its function runs, at most
LONGEST_LAGS = (0.3, 1.0, 0.0, 2.0, 0.0)
#: how many more invocations may run in each second, while messages are left
GROWTHS = (MOST_MORE, MOST_MORE / 10)


@dataclass
class Pollers:
    dice: random.Random
    concurrency: Concurrency
    #: seconds
    longest_lag: float = 0.0

    @classmethod
    def drawn(cls, seed: int, now: Callable[[], datetime]) -> Self:
        """They have a generator of their own, so that they don't change the rest of a seed's story."""
        dice = random.Random(f"pollers {seed}")  # noqa: S311 # no secret
        longest_lag = dice.choice(LONGEST_LAGS)
        return cls(dice, Concurrency(now, more=dice.choice(GROWTHS)), longest_lag)

    @classmethod
    def prompt(cls, now: Callable[[], datetime]) -> Self:
        """They deliver each message at once."""
        return cls(random.Random(0), Concurrency(now))  # noqa: S311 # no secret

    def lag(self) -> float:
        """Seconds until the function runs on the next message."""
        return self.dice.uniform(0, self.longest_lag)
