"""The stores and the clock that the endpoints use."""

from dataclasses import dataclass
from typing import Self

from chalicelib.runtime.clock import Clock
from chalicelib.storage.database import Database
from chalicelib.storage.stores import Stores


@dataclass(frozen=True)
class Services(Stores):
    clock: Clock

    @classmethod
    def over(cls, database: Database, clock: Clock) -> Self:
        return cls(**vars(Stores.of(database)), clock=clock)
