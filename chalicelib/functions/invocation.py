"""When the function under way is ended by Lambda, whatever it is doing."""

from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from chalice.app import BaseLambdaEvent


class Context(Protocol):
    """What Lambda hands to a handler beside the event."""

    @property
    def invoked_function_arn(self) -> str: ...

    def get_remaining_time_in_millis(self) -> int: ...


def ends_at(event: BaseLambdaEvent) -> datetime:
    context = cast(Context, event.context)  # chalice's own type for it is a mapping, which it isn't
    return datetime.now(UTC) + timedelta(milliseconds=context.get_remaining_time_in_millis())
