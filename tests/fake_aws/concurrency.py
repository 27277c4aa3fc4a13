"""How many invocations of a function Lambda's event source runs at the same time, for a standard queue.

It begins with five. While messages are left it adds up to 300 a minute, and it never runs more than
`MaximumConcurrency`. With that setting it doesn't fall below five again.
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
"""

from collections.abc import Callable
from datetime import datetime

#: how many invocations may run at first, and how many more in each second at most
FIRST, MOST_MORE = 5, 300 / 60
#: seconds; a longer time without a question is one in which no message was left
_LONGEST_WAIT = 1.0


class Concurrency:
    def __init__(self, now: Callable[[], datetime], *, first: int = FIRST, more: float = MOST_MORE) -> None:
        """It begins with `first` invocations, and adds `more` in each second."""
        self._now = now
        self._allowed = float(first)
        self._more = more
        self._asked_at = now()

    def admits(self, running: int, most: int) -> bool:
        """True if one more invocation may start. Ask this while a message is visible: only then the number grows."""
        now = self._now()
        waited = min(_LONGEST_WAIT, (now - self._asked_at).total_seconds())
        self._asked_at = now
        if running >= int(self._allowed):
            self._allowed += waited * self._more
        return running < min(int(self._allowed), most)
