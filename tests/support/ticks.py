"""The event with which a rule invokes the pacer or the settler each minute, and a deployment without such events."""

from collections.abc import Callable
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
    """The one attribute of Lambda's context that callpacer reads."""

    invoked_function_arn: str


def tick_of(function: str, **detail: object) -> CloudWatchEvent:
    """The event that Chalice passes to the function's handler."""
    arn = f"arn:aws:lambda:us-east-1:000000000000:function:callpacer-prod-{function}"
    return CloudWatchEvent({**TICK, "detail": detail}, FakeContext(arn))  # type: ignore[arg-type] # Chalice types the context as a mapping


def disable_triggers(client: Callable[[str], Any], stage: str) -> None:
    """From now on, no rule and no queue of the deployment invokes a function. `client` makes a service's client."""
    events, functions = client("events"), client("lambda")
    for rule in events.list_rules()["Rules"]:
        if stage in rule["Name"]:
            events.disable_rule(Name=rule["Name"])
    for source in functions.list_event_source_mappings()["EventSourceMappings"]:
        if stage in source["FunctionArn"]:
            functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
