"""Blocking code that others may get ahead of wherever it asks AWS for something.

Pacer, settler, API and storage block, each in a process or a thread of its own. Here each runs in a greenlet: where it
waits, it is left standing, the event loop turns to others, and later it goes on from there. So everything that happens
at the same time is mixed request by request, in one thread and in an order that a seed decides.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar

from greenlet import getcurrent, greenlet

P = ParamSpec("P")
R = TypeVar("R")


async def blocking(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function answers; whatever it hands to `wait` is awaited here, and may be cancelled here."""
    worker = greenlet(lambda: function(*args, **kwargs))
    # It goes on in the context of the task that awaits it.
    worker.gr_context = getcurrent().gr_context
    step = worker.switch
    arguments: tuple[Any, ...] = ()
    while True:
        said = step(*arguments)
        if worker.dead:
            return said  # type: ignore[no-any-return] # a greenlet doesn't say what it answers
        try:
            await said
        except BaseException as error:
            step, arguments = worker.throw, (error,)
        else:
            step, arguments = worker.switch, ()


def wait(for_what: Awaitable[None]) -> None:
    """Let others go ahead until it has come. Only within `blocking`."""
    around = getcurrent().parent
    if around is None:
        raise RuntimeError("nobody is there to wait")
    around.switch(for_what)
