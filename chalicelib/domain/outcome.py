"""What an answer means: to a call, to a report, and to when the next try is due.

Nothing here waits, reads a clock or throws dice: instants and jitter come in as arguments.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TypeAlias

#: The longest duration, in seconds, that an answer is believed: a day. A longer call is a mistake of unit.
LONGEST_DURATION = 86_400

#: a duration as text
_DIGITS = re.compile(r"\s*[0-9]{1,6}(?:\.0+)?\s*")

#: Seconds to wait after a dial that surely wasn't sent: after the first, the second… Then the call has failed.
UNSENT_GAPS = (30, 60, 120, 240, 480)

#: Seconds to wait after a report that wasn't taken: after the first attempt, the second… They add up to 25 hours, so
#: that a result_url which is down for a day still learns everything (P7).
REPORT_GAPS = (10, 60, 300, 900, 2_700, 7_200, 14_400, 25_200, 39_600)

#: How often a report is sent in all.
REPORT_ATTEMPTS = len(REPORT_GAPS) + 1

#: The longest wait, in seconds, that a Retry-After is granted: 12 hours.
LONGEST_RETRY_AFTER = 43_200


@dataclass(frozen=True)
class Answered:
    """The server has read the request and decided: a status line came back."""

    status: int
    #: names in lower case; of a name that came twice, the first value
    headers: Mapping[str, str]
    #: as much of it as came, up to the gateway's limit; None if it came packed in a way that isn't read
    body: bytes | None


@dataclass(frozen=True)
class NotSent:
    """Not one byte of the request has left: whatever it asks for has surely not happened."""

    #: `dns`, `refused`, …: one word, kept and shown as it is
    reason: str


@dataclass(frozen=True)
class Unknown:
    """The request, or a part of it, has left and no answer came: nobody knows."""

    #: `timeout`, `reset`, …: one word, kept and shown as it is
    reason: str


#: What came of one request.
RequestResult: TypeAlias = Answered | NotSent | Unknown


class Result(StrEnum):
    """How a call ended, as result_url is told."""

    COMPLETED = "completed"
    FAILED = "failed"
    #: nobody can know whether the call went out; it is never dialled again by itself (P2)
    UNCERTAIN = "uncertain"


class CalleeType(StrEnum):
    """Who, or what, picked up; the vendor's sibling APIs name these four."""

    VOICE = "voice"
    ANSWERINGMACHINE = "answeringmachine"
    FAX = "fax"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Outcome:
    """What has become of a call."""

    result: Result
    #: `http_404` for whatever was answered, `http_200_unread` for a body that couldn't be unpacked; otherwise the word
    #: of NotSent or Unknown
    reason: str
    callee_type: CalleeType = CalleeType.UNKNOWN
    #: seconds
    duration: int = 0


def outcome_of(request_result: RequestResult) -> Outcome:
    """What the call has come to, if this exchange was its last.

    Every 2xx is a completed call, unless it says itself in a JSON object that it failed. Redirects aren't followed, so
    they are failures like any other status. A dial that wasn't sent is a failure too, once `unsent_delay` gives up.
    """
    match request_result:
        case NotSent(reason):
            return Outcome(Result.FAILED, reason)
        case Unknown(reason):
            return Outcome(Result.UNCERTAIN, reason)
        case Answered(status, _, body):
            reason = f"http_{status}"
            if not _is_success(status):
                return Outcome(Result.FAILED, reason)
            return Outcome(Result.COMPLETED, f"{reason}_unread") if body is None else _told_by(body, reason)


def _is_success(status: int) -> bool:
    return 200 <= status <= 299


def _told_by(body: bytes, reason: str) -> Outcome:
    """A 2xx answer's outcome. A member of the wrong type or value says nothing; the others still count. Words may be in
    capitals, and a duration may be text.

    The body is read by what it is, whatever its Content-Type: most will be VoiceXML, which is never a JSON object.
    """
    told = _json_object(body)
    result, callee_type = (_word(told.get(name)) for name in ("result", "callee_type"))
    return Outcome(
        result=Result.FAILED if result == Result.FAILED else Result.COMPLETED,
        reason=reason,
        callee_type=next((known for known in CalleeType if known == callee_type), CalleeType.UNKNOWN),
        duration=_duration(told.get("duration")),
    )


def _word(value: object) -> str:
    return value.strip().lower() if isinstance(value, str) else ""


def _duration(value: object) -> int:
    """Whole seconds; 0 for what can't be one."""
    if isinstance(value, str):
        value = int(float(value)) if _DIGITS.fullmatch(value) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    # a bool is an int to Python, not to JSON
    return value if type(value) is int and 0 <= value <= LONGEST_DURATION else 0


def _json_object(body: bytes) -> Mapping[str, object]:
    """The object that the body is, or an empty one.

    A ValueError is broken JSON, broken UTF-8 or a number too long to read; a RecursionError is brackets nested by the
    thousand, which 64 KiB have room for.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def unsent_delay(count: int, jitter: float) -> int | None:
    """How many seconds to wait with a call that surely wasn't sent, `count` times so far; None: it has failed.

    `jitter` from 0 to 1 stretches the wait up to twice, so that the numbers which failed together when a server went
    down don't come back together. Raises ValueError for a count below 1 or a jitter out of range.
    """
    gap = _gap(UNSENT_GAPS, count)
    return None if gap is None else _stretched(gap, jitter, up_to=2.0)


class ReportAction(StrEnum):
    """What an answer of result_url does to its report."""

    DELIVERED = "delivered"
    #: the receiver wants no more of them
    GONE = "gone"
    RETRY = "retry"


@dataclass(frozen=True)
class ReportDecision:
    """What to do with a report after an attempt to deliver it."""

    verdict: ReportAction
    #: the least wait, in seconds, that the receiver asked for; only of a retry
    retry_after: int = 0


def report_decision(request_result: RequestResult, now: datetime) -> ReportDecision:
    """2xx is delivered, 410 ends it, anything else comes again.

    410 as Standard Webhooks has it: the receiver is gone for good. Nothing but a 2xx counts as heard: a receiver that
    gets a report twice knows it by its ids, one that never gets it has lost an outcome (P7).
    """
    match request_result:
        case Answered(status) if _is_success(status):
            return ReportDecision(ReportAction.DELIVERED)
        case Answered(410):
            return ReportDecision(ReportAction.GONE)
        case Answered(_, headers):
            return ReportDecision(ReportAction.RETRY, _retry_after(headers.get("retry-after", ""), now))
        case NotSent() | Unknown():
            return ReportDecision(ReportAction.RETRY)


def report_delay(attempt: int, jitter: float, retry_after: int = 0) -> int | None:
    """How many seconds to wait after the report's attempt number `attempt`, from 1, failed; None: it is given up.

    `jitter` from 0 to 1 stretches the wait by up to a fifth. The receiver's own wish can only make it longer. Raises
    ValueError for an attempt below 1 or a jitter out of range.
    """
    gap = _gap(REPORT_GAPS, attempt)
    return None if gap is None else max(_stretched(gap, jitter, up_to=1.2), retry_after)


def _gap(gaps: tuple[int, ...], count: int) -> int | None:
    if count < 1:
        raise ValueError(f"attempts are counted from 1, not {count}")
    return gaps[count - 1] if count <= len(gaps) else None


def _stretched(gap: int, jitter: float, up_to: float) -> int:
    if not 0 <= jitter <= 1:
        raise ValueError(f"a jitter lies between 0 and 1, unlike {jitter}")
    return math.ceil(gap * (1 + (up_to - 1) * jitter))


def _retry_after(value: str, now: datetime) -> int:
    """The seconds a Retry-After asks for, from 0 to LONGEST_RETRY_AFTER; 0 if it can't be read.

    RFC 9110, section 10.2.3: either a number of seconds or an HTTP-date, in any of the three forms of section 5.6.7,
    all of them UTC, the last of them without saying so.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        # ten digits are three centuries; int() refuses thousands of them
        seconds = int(value) if len(value) <= 10 else LONGEST_RETRY_AFTER
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return 0
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = math.ceil((date - now).total_seconds())
    return max(0, min(seconds, LONGEST_RETRY_AFTER))
