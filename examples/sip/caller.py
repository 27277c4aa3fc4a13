"""The calling side of a call: it rings a number, plays a prompt to the callee, and passes on the call's events."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from examples.sip.agent import Agent, Leg
from examples.sip.ear import Ear
from examples.sip.outcome import CANCELED, RANG_OUT, Event, answered, refused
from examples.sip.sounds import seconds_of

#: seconds between the prompt's end and the hang-up
_CODA = 0.3
#: the most seconds from the answer to the hang-up, besides those of the prompt: a greeting may be long
_PATIENCE = 60.0


@dataclass(frozen=True)
class Manner:
    """How calls are made."""

    #: host and port of the telephone, or of the exchange that knows it
    to: str
    #: a WAV file
    prompt: Path
    #: seconds after which an unanswered call is given up
    ring_seconds: float
    #: the address of this machine to call from
    host: str = "127.0.0.1"


def place(
    number: str, manner: Manner, tell: Callable[[Event], None], is_wanted: Callable[[], bool] = lambda: True
) -> None:
    """Make one call, and return when it is over. `tell` gets its events, the last of which is one of `outcome.FINAL`.

    `number` is digits, with or without a `+`. Once `is_wanted` is false, the call is ended.
    """
    with Agent(manner.host) as agent:
        call = _Call(manner, agent.dial(number, manner.to), tell)
        while call.leg.ended_at is None:
            agent.poll()
            call.go_on(time.monotonic(), wanted=is_wanted())
        # The last poll may have brought events, too.
        call.go_on(time.monotonic(), wanted=True)
        tell(call.outcome())


class _Call:
    """A call, as far as it has gone."""

    def __init__(self, manner: Manner, leg: Leg, tell: Callable[[Event], None]) -> None:
        self.leg = leg
        self._manner = manner
        self._tell = tell
        self._dialled_at = time.monotonic()
        self._prompt_seconds = seconds_of(manner.prompt)
        self._ear: Ear | None = None
        self._spoken_at: float | None = None
        self._rings = self._is_answered = False
        #: the reason why this side hung up; it is the outcome if nobody has answered
        self._ended: Event | None = None
        self._heard_all = False

    def go_on(self, now: float, *, wanted: bool) -> None:
        """Pass on new events, and do what is due. `now` is in seconds of the monotonic clock."""
        leg = self.leg
        if leg.ringing and not self._rings:
            self._rings = True
            self._tell(Event("ringing"))
        if leg.answered_at is not None and not self._is_answered:
            self._is_answered = True
            self._tell(Event("answered"))
        if leg.ended_at is not None or self._ended is not None:
            return
        if not wanted:
            self._end(CANCELED)
        elif leg.answered_at is not None:
            self._talk(now)
        elif now - self._dialled_at >= self._manner.ring_seconds:
            self._end(RANG_OUT)

    def _talk(self, now: float) -> None:
        leg = self.leg
        if leg.is_heard:
            self._ear = self._ear or Ear(now)
            self._ear.hear(leg.loudness, now)
            if self._spoken_at is None and self._ear.may_speak:
                leg.play(self._manner.prompt)
                self._spoken_at = now
        if self._spoken_at is not None and now - self._spoken_at >= self._prompt_seconds + _CODA:
            self._heard_all = True
            self._end(CANCELED)
        elif leg.seconds_talked >= self._prompt_seconds + _PATIENCE:
            self._end(CANCELED)

    def _end(self, event: Event) -> None:
        self._ended = event
        self.leg.hang_up()

    def outcome(self) -> Event:
        """The last event. Call it when the call is over."""
        if self.leg.answered_at is not None:
            callee_type = self._ear.callee_type if self._ear is not None else "unknown"
            return answered(
                self.leg.seconds_talked,
                callee_type,
                heard_all=self._heard_all,
                ended_here=self._ended is not None,
            )
        return self._ended or refused(self.leg.code)
