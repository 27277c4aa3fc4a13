"""What goes wrong between a function and AWS, by the throw of a seeded die."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


class Crash(BaseException):
    """The function is gone, in the middle of whatever it did: no handler of errors catches it."""


@dataclass
class Faults:
    """The odds at each boundary, and what came of them. Nothing goes wrong while it is off."""

    dice: random.Random
    #: the odds at each request
    crash: float = 0.004
    throttle: float = 0.01
    lost_answer: float = 0.01
    meanwhile: float = 0.02
    on: bool = False
    #: crash at this boundary, counted from 0, and at no other
    crash_at: int | None = None
    boundaries: int = 0
    crashes: int = 0
    #: what may happen in the middle of something else
    others: list[Callable[[], None]] = field(default_factory=list)
    _within: bool = False

    def before(self) -> None:
        """A request is about to be sent: by now it may be too late for it, or others may be first."""
        self._boundary()
        if self.on and not self._within and self.others and self.dice.random() < self.meanwhile:
            with self._something_else():
                self.dice.choice(self.others)()

    def after(self) -> None:
        """The answer is there; whoever asked may not be."""
        self._boundary()

    def throttled(self) -> bool:
        return self.on and self.dice.random() < self.throttle

    def answer_is_lost(self) -> bool:
        return self.on and self.dice.random() < self.lost_answer

    def _boundary(self) -> None:
        if not self.on:
            return
        self.boundaries += 1
        by_plan = self.crash_at is not None and self.boundaries - 1 == self.crash_at
        if by_plan or (self.crash_at is None and self.dice.random() < self.crash):
            self.crashes += 1
            raise Crash

    @contextmanager
    def _something_else(self) -> Iterator[None]:
        """What happens meanwhile may crash for itself, and not be interrupted itself."""
        self._within = True
        try:
            yield
        except Crash:
            pass
        finally:
            self._within = False


class FaultyDynamoDB:
    """A client that does what the SDK does: it asks again when no answer comes, with the same request."""

    def __init__(self, client: Any, faults: Faults) -> None:
        self._client = client
        self._faults = faults

    def _make_api_call(self, operation_name: str, api_params: dict[str, Any]) -> dict[str, Any]:
        self._faults.before()
        if self._faults.throttled():
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "too much at once"}}, operation_name)
        if self._faults.answer_is_lost():
            with suppress(ClientError):  # a refusal is lost like any answer
                self._client._make_api_call(operation_name, api_params)
        answer: dict[str, Any] = self._client._make_api_call(operation_name, api_params)
        self._faults.after()
        return answer


class FaultySQS:
    def __init__(self, client: Any, faults: Faults) -> None:
        self._client = client
        self._faults = faults

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self._faults.before()
        if self._faults.answer_is_lost():
            self._client.send_message_batch(**request)
        answer: dict[str, Any] = self._client.send_message_batch(**request)
        self._faults.after()
        return answer

    def send_message(self, **request: Any) -> dict[str, Any]:
        self._faults.before()
        answer: dict[str, Any] = self._client.send_message(**request)
        self._faults.after()
        return answer
