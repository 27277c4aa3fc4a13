"""How an invocation uses its time, and when Lambda ends it."""

from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from chalice.app import BaseLambdaEvent

#: The time from a tick's deadline to its time-out, in which it finishes the batch that it has begun.
SPARE = timedelta(seconds=15)
#: How many campaigns a tick works on at once.
THREADS = 8


class Context(Protocol):
    """The second argument of a Lambda handler."""

    @property
    def invoked_function_arn(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


def invocation_deadline(event: BaseLambdaEvent) -> datetime:
    """When Lambda ends the invocation, whatever it is doing."""
    context = cast(Context, event.context)  # chalice's own type for it is a mapping, which it isn't
    return datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
