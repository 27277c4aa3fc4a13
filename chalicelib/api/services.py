"""The stores and the clock that the endpoints use."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chalicelib.runtime.clock import Clock
from chalicelib.storage.database import Database
from chalicelib.storage.stores import Stores


@dataclass(frozen=True)
class Services(Stores):
    clock: Clock

    @classmethod
    def over(cls, database: Database, clock: Clock, retention: timedelta | None = None) -> Self:
        """`retention` is how long the records of calls are kept after the outcome; None for ever."""
        return cls(**vars(Stores.of(database, retention)), clock=clock)
