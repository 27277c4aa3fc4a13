"""A scripted telephone: the last two digits of the called number decide what it does."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.sip.agent import Agent, Leg
from examples.sip.ear import LOUD
from examples.sip.sounds import write_tones


@dataclass(frozen=True)
class Behaviour:
    """What the telephone does when it is called. Seconds count from the call, or from the answer."""

    #: the SIP status that refuses the call; 0 if it isn't refused
    refuses: int = 0
    #: seconds of ringing before the call is answered or refused; None lets it ring for ever
    rings: float | None = 0.0
    #: the name of the sound that the callee makes after the answer
    says: str = ""
    #: seconds of talk after which the telephone hangs up; None leaves that to the caller
    hangs_up: float | None = None


#: by the last two digits
BEHAVIOURS = {
    "01": Behaviour(rings=1.0, says="hello"),
    "02": Behaviour(refuses=486),
    "03": Behaviour(rings=None),
    "04": Behaviour(refuses=603, rings=0.5),
    "05": Behaviour(refuses=404),
    "06": Behaviour(rings=0.5, says="hello", hangs_up=0.7),
    "07": Behaviour(rings=0.5, says="greeting"),
    "08": Behaviour(refuses=480, rings=1.0),
    "09": Behaviour(refuses=503),
}
#: for all other numbers
NOBODY = Behaviour(refuses=404)

#: a person's word, and a machine's greeting with the tone at its end
_SOUNDS = {
    "hello": [(300.0, 0.4)],
    "greeting": [(250.0, 1.2), (350.0, 1.2), (0.0, 0.3), (1000.0, 0.3)],
}


@dataclass
class _Ringing:
    """A call that the telephone has, or had."""

    leg: Leg
    behaviour: Behaviour
    since: float = field(default_factory=time.monotonic)
    is_answered: bool = False
    has_spoken: bool = False
    #: seconds of sound that were heard
    heard: float = 0.0


def answer_calls(
    announce: Callable[[str], None], heard: Callable[[str, float], None], go_on: Callable[[], bool]
) -> None:
    """Answer calls on 127.0.0.1 while `go_on` returns True.

    `announce` gets host and port of the telephone. `heard` gets the number of each call that is over, and how many
    seconds of sound came from the caller.
    """
    calls: list[_Ringing] = []

    def ring(leg: Leg) -> None:
        calls.append(_Ringing(leg, BEHAVIOURS.get(leg.number[-2:], NOBODY)))
        # A telephone that refuses at once doesn't ring.
        if calls[-1].behaviour.rings != 0:
            leg.answer(180)

    with TemporaryDirectory() as directory, Agent("127.0.0.1", ring) as agent:
        sounds = {name: write_tones(Path(directory) / f"{name}.wav", tones) for name, tones in _SOUNDS.items()}
        announce(agent.address)
        before = time.monotonic()
        while go_on():
            agent.poll()
            now = time.monotonic()
            for call in calls:
                _go_on(call, sounds, now, now - before)
            for call in [one for one in calls if one.leg.ended_at is not None]:
                heard(call.leg.number, call.heard)
                calls.remove(call)
            before = now


def _go_on(call: _Ringing, sounds: dict[str, Path], now: float, elapsed: float) -> None:
    """Do what is due in a call; `elapsed` is the seconds since the last time."""
    leg, behaviour = call.leg, call.behaviour
    if not call.is_answered:
        if behaviour.rings is not None and now - call.since >= behaviour.rings:
            call.is_answered = True
            leg.answer(behaviour.refuses or 200)
    elif leg.is_heard:
        if leg.loudness >= LOUD:
            call.heard += elapsed
        if behaviour.says and not call.has_spoken:
            call.has_spoken = True
            leg.play(sounds[behaviour.says])
        if behaviour.hangs_up is not None and leg.seconds_talked >= behaviour.hangs_up:
            leg.hang_up()
