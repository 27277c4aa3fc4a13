"""Dials that are due so many seconds after `NOW`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from chalicelib.domain.keys import CallKey
from chalicelib.domain.messages import Dial
from chalicelib.domain.models import Entry
from chalicelib.domain.slicing import SPAN

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)


def dials(seconds: Sequence[float], entry: Entry = Entry("tel:+12223334444"), generation: int = 1) -> list[Dial]:  # noqa: B008 # it is frozen
    dues = [NOW + timedelta(seconds=second) for second in seconds]
    return [
        Dial(CallKey("acme", 1, sequence), 1, entry, generation, due, due + SPAN, due + SPAN)
        for sequence, due in enumerate(dues)
    ]
