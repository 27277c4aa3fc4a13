"""The settings that a function reads from its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chalicelib.errors import MissingSettings


@dataclass(frozen=True)
class Settings:
    """The deployment that a function belongs to."""

    #: with which every table's name begins, such as `callpacer-prod`
    tables: str
    #: the id of its CloudFormation stack, which a later deployment of the same name doesn't have
    deployment: str
    #: the queue of slices
    queue_url: str
    #: the queue for messages that can't be read at all
    dead_letter_queue_url: str
    #: how many slices may be worked on at the same time
    dialers: int
    #: Where the API is for the world, such as `https://calls.example.com`, without a slash at its end. Only the dialer
    #: knows it: CloudFormation makes the API after its function, and the address after the API.
    public_url: str | None
    #: whether start_url and result_url may name this machine itself: only in a local deployment
    allow_loopback: bool
    #: how long records of calls are kept after the outcome; None for ever
    retention: timedelta | None

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Raises MissingSettings, which names all of the missing variables."""
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
        tables, deployment, queue_url, dead_letters, dialers = (environment[name] for name in required)
        return cls(
            tables=tables,
            deployment=deployment,
            queue_url=queue_url,
            dead_letter_queue_url=dead_letters,
            dialers=int(dialers),
            public_url=environment.get("CALLPACER_PUBLIC_URL"),
            allow_loopback=environment.get("CALLPACER_ALLOW_LOOPBACK", "") == "true",
            retention=timedelta(days=days) if (days := int(environment.get("CALLPACER_RETENTION_DAYS", "0"))) else None,
        )
