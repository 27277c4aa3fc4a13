"""Waiting for AWS: for how long at most, and how long between two requests."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import ClientError

R = TypeVar("R")


class WaitedInVain(Exception):
    """Something took longer than it may; the message is for the operator."""


@dataclass(frozen=True)
class Waiting:
    """A clock and a pause. Both count seconds."""

    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def until(self, done: Callable[[], bool], *, what: str, at_most: float, between: float) -> None:
        """Call `done` again and again until it is true. Raises WaitedInVain when `what` takes too long."""
        deadline = self.now() + at_most
        while not done():
            if self.now() >= deadline:
                raise WaitedInVain(f"{what} isn't done after {at_most:.0f} s")
            self.pause(between)

    def retry(self, ask: Callable[[], R], errors: Collection[str], *, at_most: float, between: float) -> R:
        """Ask again while AWS answers with one of these errors. Raises the last of them when time is up."""
        deadline = self.now() + at_most
        while True:
            try:
                return ask()
            except ClientError as error:
                if error.response["Error"]["Code"] not in errors or self.now() >= deadline:
                    raise
            self.pause(between)
