"""The result of a request, and the outcome of the call that follows from it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

#: The longest duration, in seconds, that is taken from an answer or an event: a day. A longer one is likely in another
#: unit.
LONGEST_DURATION = 86_400

#: characters of a reason
LONGEST_REASON = 64

_REASON = re.compile(rf"[a-z0-9_]{{1,{LONGEST_REASON}}}")
#: the byte order mark in UTF-8
_MARK = b"\xef\xbb\xbf"
#: a duration as text
_DIGITS = re.compile(r"\s*[0-9]{1,6}(?:\.0+)?\s*")


@dataclass(frozen=True)
class Answered:
    """A status line came back: the server has read the request, and decided."""

    status: int
    #: names in lower case; of a name that came twice, the first value
    headers: Mapping[str, str]
    #: as much of it as came and could be unpacked, up to the gateway's limit
    body: bytes
    #: False if a part of the body is missing
    is_whole: bool = True


@dataclass(frozen=True)
class NotSent:
    """No byte of the request was sent. So the call was surely not made, or the report surely not received."""

    #: `dns`, `refused`, …: one word, which is recorded and shown as it is
    reason: str


@dataclass(frozen=True)
class Unknown:
    """The request, or a part of it, was sent, and no answer came. The server may have read it, or not."""

    #: `timeout`, `reset`, …: one word, which is recorded and shown as it is
    reason: str


#: The result of one request.
RequestResult: TypeAlias = Answered | NotSent | Unknown


class Result(StrEnum):
    """How a call ended, as it is reported to result_url."""

    COMPLETED = "completed"
    FAILED = "failed"
    #: nobody can know whether the call went out; it is never dialled again by itself (P2)
    UNCERTAIN = "uncertain"


class CalleeType(StrEnum):
    """Who, or what, picked up. These four are in the vendor's related APIs."""

    VOICE = "voice"
    ANSWERINGMACHINE = "answeringmachine"
    FAX = "fax"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, as it is recorded."""

    result: Result
    #: The word that a JSON answer or an event gives. Without one: `http_404` and the like for an answer,
    #: `http_200_unread` for one whose body wasn't read whole, the status of an event, or else the reason of NotSent or
    #: Unknown.
    reason: str
    callee_type: CalleeType = CalleeType.UNKNOWN
    #: seconds
    duration: int = 0


def outcome_of(request_result: RequestResult) -> Outcome:
    """The call's outcome, if this was its last request.

    Every 2xx is a completed call, unless its body is a JSON object whose `result` is `failed`. Redirects aren't
    followed: they are failures like any other status. A call that wasn't sent is a failure, too, once
    `retries.unsent_delay` gives up.
    """
    match request_result:
        case NotSent(reason):
            return Outcome(Result.FAILED, reason)
        case Unknown(reason):
            return Outcome(Result.UNCERTAIN, reason)
        case Answered(status, _, body, is_whole):
            reason = f"http_{status}"
            if not is_success(status):
                return Outcome(Result.FAILED, reason)
            members = _json_object(body)
            if members is None:
                is_read = is_whole and not _begins_as_object(body)
                return Outcome(Result.COMPLETED, reason if is_read else f"{reason}_unread")
            return _outcome_of_success(members, reason)


def is_success(status: int) -> bool:
    """True for every 2xx."""
    return 200 <= status <= 299


def is_broken_object(body: bytes) -> bool:
    """True for a body that begins as a JSON object does, and isn't one. A part of it is likely missing."""
    return _begins_as_object(body) and _json_object(body) is None


def _begins_as_object(body: bytes) -> bool:
    return body.removeprefix(_MARK).lstrip().startswith(b"{")


def _outcome_of_success(members: Mapping[str, object], reason: str) -> Outcome:
    """A 2xx answer's outcome.

    A member of the wrong type or value is ignored; the others still count. Words may be in capitals, and a duration may
    be text. The body is read whatever its Content-Type: most are VoiceXML, which is never a JSON object.
    """
    result, callee_type = (_word(members.get(name)) for name in ("result", "callee_type"))
    return Outcome(
        result=Result.FAILED if result == Result.FAILED else Result.COMPLETED,
        reason=reason_word(members.get("reason")) or reason,
        callee_type=next((known for known in CalleeType if known == callee_type), CalleeType.UNKNOWN),
        duration=whole_seconds(members.get("duration")) or 0,
    )


def _word(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def reason_word(value: object) -> str | None:
    """A reason that a customer gives. A sentence isn't one: some providers have a `reason` for errors of theirs."""
    word = _word(value).replace("-", "_")
    return word if _REASON.fullmatch(word) else None


def whole_seconds(value: object) -> int | None:
    """A duration, as a number or as text; None if the value is none."""
    if isinstance(value, str):
        value = int(float(value)) if _DIGITS.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # a bool is an int to Python, not to JSON
    return value if type(value) is int and 0 <= value <= LONGEST_DURATION else None


def _json_object(body: bytes) -> Mapping[str, object] | None:
    """The object that the body is; None if it is none.

    Broken JSON, broken UTF-8, or a number too long to read raises ValueError. Brackets nested by the thousand, for
    which 64 KiB have room, raise RecursionError.
    """
    if b"{" not in body:
        return None  # most answers are empty, or VoiceXML; and failing to read them takes longer than this
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
