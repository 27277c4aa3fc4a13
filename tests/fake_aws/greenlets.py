"""Runs blocking code in one thread, interleaved at its requests to AWS.

On AWS pacer, settler, API and storage block, each in a process or a thread of its own. Here each runs in a greenlet.
Where it waits, the event loop switches to other tasks, and resumes it later. So whatever happens at the same time is
interleaved request by request, in an order that a seed decides.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
R = TypeVar("R")


async def blocking(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run the function in a greenlet, and return its result. What it passes to `wait` is awaited here."""
    worker = greenlet(lambda: function(*args, **kwargs))
    # The function runs in the context of the task that awaits it.
    worker.gr_context = getcurrent().gr_context
    step = worker.switch
    arguments: tuple[Any, ...] = ()
    while True:
        result = step(*arguments)
        if worker.dead:
            return result  # type: ignore[no-any-return] # a greenlet's result has no type
        try:
            await result
        except BaseException as error:
            step, arguments = worker.throw, (error,)
        else:
            step, arguments = worker.switch, ()


def wait(awaitable: Awaitable[None]) -> None:
    """Let other tasks run until the awaitable is done. Only within `blocking`."""
    parent = getcurrent().parent
    if parent is None:
        raise RuntimeError("`wait` is called outside of `blocking`")
    parent.switch(awaitable)
