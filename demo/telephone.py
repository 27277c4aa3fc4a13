"""How each call of the demo goes. No telephone rings here, but time passes as if one did.

Most calls last: start_url answers 202, and events say later that the telephone rings, is answered, and when the call
ends. For the other calls the answer of start_url has the outcome.
"""

import json
from dataclasses import dataclass

from demo.record import RETRIED, Outcome

#: Nobody is busy or away in later calls. So all retries are due at the same tick, and the demo ends a minute sooner.
_EARLY = 120
#: seconds for which a telephone rings before the call is given up
_PATIENCE = 5.0
#: seconds from the request to the first event
_SETUP = 0.5


@dataclass(frozen=True)
class Step:
    """An event of a call that lasts."""

    #: seconds since start_url answered
    after: float
    #: what is posted to status_url
    fields: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """The answer of start_url to one call, and what happens then."""

    status: int
    body: bytes
    #: how the call ends
    outcome: Outcome
    #: in order; the last one is final
    steps: tuple[Step, ...] = ()


def answer_to(index: int, attempt: int) -> Answer:
    """The answer to the call with this index, from 0.

    Further attempts are answered with their outcome: those are reported at once. An outcome that an event brings waits
    for the settler's next tick, up to a minute.
    """
    if attempt > 1:
        return _BUSY_AGAIN if index % 3 == 0 else _PERSON_AT_LAST
    kind = _IN_TURN[index % len(_IN_TURN)]
    if kind in RETRIED and index >= _EARLY:
        kind = "voice"
    match kind:
        case "busy":
            return _unanswered("busy", Step(_SETUP + _spread(index), {"status": "busy"}))
        case "no_answer":
            rings = Step(_SETUP, {"status": "ringing"})
            return _unanswered("no_answer", rings, Step(_SETUP + _PATIENCE, {"status": "no_answer"}))
        case "voice" | "answeringmachine":
            return _answered(kind, rings=1 + 2 * _spread(index), talks=3 + index * 7 % 8)
    return _AT_ONCE[kind]


def seconds_until_answer(index: int) -> float:
    """From 0.1 to 0.4, in no visible order."""
    return 0.1 + 0.3 * _spread(index)


def _spread(index: int) -> float:
    """From 0 to 1, in no visible order."""
    return index * 37 % 101 / 100


def _answered(callee_type: str, rings: float, talks: int) -> Answer:
    answered = _SETUP + rings
    steps = (
        Step(_SETUP, {"status": "ringing"}),
        Step(answered, {"status": "answered"}),
        Step(answered + talks, {"status": "completed", "callee_type": callee_type, "duration": str(talks)}),
    )
    return Answer(202, b"", Outcome("completed", "completed", callee_type, str(talks)), steps)


def _unanswered(reason: str, *steps: Step) -> Answer:
    return Answer(202, b"", Outcome("failed", reason, "unknown", "0"), steps)


def _with_result(result: str, reason: str, callee_type: str, duration: int) -> Answer:
    """An answer whose body has the outcome."""
    body = {"result": result, "reason": reason, "callee_type": callee_type, "duration": duration}
    return Answer(200, json.dumps(body).encode(), Outcome(result, reason, callee_type, str(duration)))


def _without_result(status: int, body: bytes, result: str) -> Answer:
    """An answer whose outcome follows from the status alone."""
    return Answer(status, body, Outcome(result, f"http_{status}", "unknown", "0"))


_VOICEXML = b'<?xml version="1.0"?><vxml version="2.1"><form><block>Hello.</block></form></vxml>'
_AT_ONCE = {
    "dialogue": _without_result(200, _VOICEXML, "completed"),
    "fax": _with_result("completed", "sent", "fax", 5),
    "not_found": _without_result(404, b"Not Found", "failed"),
}
_PERSON_AT_LAST = _with_result("completed", "answered", "voice", 42)
_BUSY_AGAIN = _with_result("failed", "busy", "unknown", 0)

#: how twenty first attempts go, repeated for further ones
_IN_TURN = (
    *("voice", "voice", "answeringmachine", "voice", "busy", "voice", "dialogue", "voice", "no_answer", "voice"),
    *("voice", "answeringmachine", "fax", "busy", "voice", "voice", "answeringmachine", "no_answer", "voice"),
    "not_found",
)
