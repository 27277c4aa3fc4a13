"""One number for each way in which a call can end, and the events that callpacer has to get."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    #: as callpacer dials it; its last two digits tell the scripted telephone what to do
    number: str
    #: what happens, for people
    story: str
    #: the status of each event, in order
    events: tuple[str, ...]
    callee_type: str = "unknown"
    #: the reason of the last event, if it has one
    reason: str = ""

    @property
    def status(self) -> str:
        """The status of the last event."""
        return self.events[-1]

    @property
    def hears_prompt(self) -> bool:
        """True if the telephone has to hear the whole prompt."""
        return self.status == "completed" and self.reason == ""


CASES = (
    Case("+12223334401", "a person answers", ("ringing", "answered", "completed"), "voice"),
    Case("+12223334402", "the line is busy", ("busy",)),
    Case("+12223334403", "nobody answers", ("ringing", "no_answer"), reason="ring_timeout"),
    Case("+12223334404", "the call is declined", ("ringing", "rejected")),
    Case("+12223334405", "there is no such number", ("failed",), reason="unallocated"),
    Case("+12223334406", "a person hangs up early", ("ringing", "answered", "completed"), reason="hung_up_early"),
    Case("+12223334407", "a machine answers", ("ringing", "answered", "completed"), "answeringmachine"),
    Case("+12223334408", "the network gives up", ("ringing", "no_answer")),
    Case("+12223334409", "the network is full", ("failed",), reason="congestion"),
)
