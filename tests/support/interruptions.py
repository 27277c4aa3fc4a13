"""Something that happens in the middle of something else: before or after the first call of a method."""

from collections.abc import Callable
from typing import Any

import pytest

#: what happens; it may raise
Action = Callable[[], object]


def nothing() -> None:
    """No action."""


def before_first_call(patch: pytest.MonkeyPatch, owner: object, method: str, action: Action) -> None:
    """The first caller of the method gets its answer after `action`."""
    _interrupt(patch, owner, method, before=action, after=nothing)


def after_first_call(patch: pytest.MonkeyPatch, owner: object, method: str, action: Action) -> None:
    """The first caller of the method gets an answer from before `action`."""
    _interrupt(patch, owner, method, before=nothing, after=action)


def _interrupt(patch: pytest.MonkeyPatch, owner: object, method: str, *, before: Action, after: Action) -> None:
    original = getattr(owner, method)
    pending = [(before, after)]

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        first, last = pending.pop() if pending else (nothing, nothing)
        first()
        answer = original(*args, **kwargs)
        last()
        return answer

    patch.setattr(owner, method, interrupted)
