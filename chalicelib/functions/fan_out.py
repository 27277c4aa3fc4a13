"""Fan-out: a function that has more work than it has time for invokes itself again, for some of the shards."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, cast

from botocore.session import get_session
from chalice.app import CloudWatchEvent

from chalicelib.functions.invocation import Context
from chalicelib.storage.campaign_items import SHARDS

_SHARDS = "shards"
_PART = "part"


class Lambda(Protocol):
    """What is used of a Lambda client."""

    def invoke(self, **request: Any) -> Any: ...


@cache
def _connect() -> Lambda:
    """Created lazily; rarely needed."""
    from botocore.config import Config

    # The function's own work waits for the answer. A lost answer does no harm: the shards are worked on twice.
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 1})
    return cast(Lambda, get_session().create_client("lambda", config=config))


def shards_of(event: CloudWatchEvent) -> Sequence[int]:
    """All shards, if the rule invoked the function."""
    return cast(Sequence[int], event.detail.get(_SHARDS, range(SHARDS)))


def part_of(event: CloudWatchEvent) -> float:
    """How much of the deployment's dialers these shards may use, from 0 to 1."""
    return float(event.detail.get(_PART, 1.0))


def fan_out(
    event: CloudWatchEvent, shards: Sequence[int], part: float, connect: Callable[[], Lambda] = _connect
) -> None:
    """Invoke the function again, for these shards and this part of the dialers. Returns when Lambda has the event."""
    context = cast(Context, event.context)  # chalice's own type for it is a mapping, which it isn't
    connect().invoke(
        FunctionName=context.invoked_function_arn,
        InvocationType="Event",
        Payload=json.dumps({**event.to_dict(), "detail": {_SHARDS: list(shards), _PART: part}}),
    )
