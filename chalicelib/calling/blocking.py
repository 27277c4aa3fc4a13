"""Blocking calls to storage, made without holding up the calls under way."""

import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from chalicelib.runtime.clock import Clock

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds between the tries of one function.
PAUSES = (0.2, 0.5, 1.0)


class RunBlocking(Protocol):
    """Runs a function that blocks, without blocking the calls under way."""

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]: ...


async def retry_blocking(
    run_blocking: RunBlocking, clock: Clock, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Retry the function after any error: an outcome can't be observed again. Raises the error of the last try."""
    for pause in PAUSES:
        try:
            return await run_blocking(function, *args, **kwargs)
        except Exception as error:  # the last try raises it
            logger.warning("a write failed, and is retried: %r", error)
            await clock.sleep(pause)
    return await run_blocking(function, *args, **kwargs)
