"""How a SIP call ended, in the words of callpacer's events."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ringing", "answered", "completed", "busy", "no_answer", "rejected", "failed", "canceled"]

#: the last events of a call
FINAL = frozenset({"completed", "busy", "no_answer", "rejected", "failed", "canceled"})

#: the outcome of a call that isn't answered, by its SIP status; Q.850 names the same causes
_REFUSED: dict[int, tuple[Status, str]] = {
    403: ("rejected", ""),
    404: ("failed", "unallocated"),
    408: ("no_answer", ""),
    410: ("failed", "unallocated"),
    480: ("no_answer", ""),
    486: ("busy", ""),
    503: ("failed", "congestion"),
    600: ("busy", ""),
    603: ("rejected", ""),
    604: ("failed", "unallocated"),
}


@dataclass(frozen=True)
class Event:
    """An event of a call, as it is posted to status_url."""

    status: Status
    callee_type: str = ""
    #: whole seconds from the answer to the end; None before the end
    duration: int | None = None
    #: a word, or nothing
    reason: str = ""

    def form(self) -> dict[str, str]:
        """The fields that have a value."""
        fields = {"status": self.status, "callee_type": self.callee_type, "reason": self.reason}
        if self.duration is not None:
            fields["duration"] = str(self.duration)
        return {name: value for name, value in fields.items() if value}


def refused(code: int) -> Event:
    """The end of a call that the telephone, or the network, refused."""
    status, reason = _REFUSED.get(code, ("failed", f"sip_{code}"))
    return Event(status, duration=0, reason=reason)


#: the end of a call that nobody answered in time
RANG_OUT = Event("no_answer", duration=0, reason="ring_timeout")
#: the end of a call that the caller gave up before anybody answered
CANCELED = Event("canceled", duration=0)


def answered(seconds: float, callee_type: str, *, heard_all: bool, ended_here: bool) -> Event:
    """The end of a call that was answered.

    `heard_all` is True if the prompt was played to its end, `ended_here` if the caller hung up and not the callee.
    """
    reason = "" if heard_all else "ended_early" if ended_here else "hung_up_early"
    return Event("completed", callee_type, round(seconds), reason)
