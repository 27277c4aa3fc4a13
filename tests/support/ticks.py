"""The event by which the rule invokes the pacer and the settler each minute."""

from dataclasses import dataclass
from typing import Any

from chalice.app import CloudWatchEvent

TICK: dict[str, Any] = {
    "version": "0",
    "id": "3cbde128-32b6-47aa-9e62-6353f8b06812",
    "account": "000000000000",
    "region": "us-east-1",
    "time": "2026-01-05T13:00:00Z",
    "source": "aws.events",
    "detail-type": "Scheduled Event",
    "detail": {},
    "resources": [],
}


@dataclass(frozen=True)
class FakeContext:
    """As Lambda's."""

    invoked_function_arn: str


def tick_of(function: str, **detail: object) -> CloudWatchEvent:
    """As Chalice hands it to the function's handler."""
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:callpacer-prod-{function}"
    return CloudWatchEvent({**TICK, "detail": detail}, FakeContext(arn))  # type: ignore[arg-type] # no mapping, whatever chalice says
