"""What `make ring` shows: a line for each event as it comes, and at last a table of all calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from examples.sip.outcome import Event

_HEADINGS = ("number", "what happens", "events", "callee_type", "seconds", "reason", "heard", "")


@dataclass(frozen=True)
class Row:
    """How one call went."""

    number: str
    story: str
    #: the statuses, in order
    events: str
    callee_type: str
    #: for how many seconds the call lasted
    duration: str
    reason: str
    #: the seconds of sound that the telephone heard; None if it had no call
    heard: float | None
    #: what is wrong with it, in words; empty if nothing is
    fault: str = ""


def event_line(seconds: float, number: str, event: Event, status: int) -> str:
    """A line for an event, `seconds` after the start. `status` is that of callpacer's answer; 0 if there was none."""
    form = event.form()
    what = " ".join([form.pop("status"), *(f"{name}={value}" for name, value in form.items())])
    return f"{seconds:6.1f} s  {number}  {what}" + ("" if status == 200 else f"  (callpacer answered {status})")


def table(rows: Sequence[Row]) -> str:
    """All calls, in columns as wide as they have to be."""
    cells = [_HEADINGS, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEADINGS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cells(row: Row) -> tuple[str, ...]:
    heard = "" if row.heard is None else f"{row.heard:.1f} s"
    judgement = f"WRONG: {row.fault}" if row.fault else "as it should"
    return (row.number, row.story, row.events, row.callee_type, row.duration, row.reason, heard, judgement)
