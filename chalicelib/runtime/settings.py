"""What a function must be told by its environment, read once and checked whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chalicelib.errors import MissingSettings


@dataclass(frozen=True)
class Settings:
    """The deployment a function belongs to."""

    #: what every table's name begins with, such as `callpacer-prod`
    tables: str
    #: what tells it from a deployment that had the same name before: the id of its CloudFormation stack
    deployment: str
    #: the queue of numbers to dial and outcomes to report
    queue_url: str
    #: where messages go that can't be read at all
    dead_letter_queue_url: str
    #: how many slices may be dealt with at the same time
    dialers: int
    #: may start_url and result_url name this machine itself? Only ever on a laptop.
    allow_loopback: bool
    #: how long what became of a number is kept; None for ever
    retention: timedelta | None

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Raises MissingSettings, naming all that is missing, not only the first."""
        required = (
            "CALLPACER_TABLES",
            "CALLPACER_DEPLOYMENT",
            "CALLPACER_QUEUE_URL",
            "CALLPACER_DEAD_LETTER_QUEUE_URL",
            "CALLPACER_DIALERS",
        )
        missing = [name for name in required if not environment.get(name)]
        if missing:
            raise MissingSettings(missing)
        tables, deployment, queue_url, dead_letter_queue_url, dialers = (environment[name] for name in required)
        return cls(
            tables=tables,
            deployment=deployment,
            queue_url=queue_url,
            dead_letter_queue_url=dead_letter_queue_url,
            dialers=int(dialers),
            allow_loopback=environment.get("CALLPACER_ALLOW_LOOPBACK", "") == "true",
            retention=timedelta(days=days) if (days := int(environment.get("CALLPACER_RETENTION_DAYS", "0"))) else None,
        )
