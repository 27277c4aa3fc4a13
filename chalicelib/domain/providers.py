"""The words in which telephone providers tell how a call is going: one table for each provider.

A table has what the provider documents, on the pages named above it, and nothing else. Words are written here as the
provider writes them, and are looked up by `spelling`, so their case and their hyphens don't matter.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto
from typing import TypeVar

from chalicelib.domain.outcome import CalleeType

T = TypeVar("T")


class EventStatus(StrEnum):
    """How far a call is, or how it ended."""

    QUEUED = auto()
    INITIATED = auto()
    RINGING = auto()
    IN_PROGRESS = auto()
    COMPLETED = auto()
    BUSY = auto()
    NO_ANSWER = auto()
    FAILED = auto()
    REJECTED = auto()
    CANCELED = auto()

    @property
    def is_final(self) -> bool:
        """True if nothing follows: the call is over."""
        return self not in UNDER_WAY


#: the statuses of a call that isn't over, in the order in which it reaches them
UNDER_WAY = (EventStatus.QUEUED, EventStatus.INITIATED, EventStatus.RINGING, EventStatus.IN_PROGRESS)

# Reasons that say why a call had no success, whatever status the provider gives it. A number that is unallocated is
# another case than one that is busy.
BUSY = "busy"
NO_ANSWER = "no_answer"
REJECTED = "rejected"
UNALLOCATED = "unallocated"
PRECISE_REASONS = frozenset({BUSY, NO_ANSWER, REJECTED, UNALLOCATED})

#: Digits keep what is between them: -404 isn't the code 404.
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])[\s_-]+(?=[a-z])")


def spelling(word: str) -> str:
    """What all spellings of a word have in common: `No-Answer`, `no_answer` and `noanswer` give the same."""
    return _BETWEEN_WORDS.sub("", word.strip().lower()).replace("cancelled", "canceled")


def _words(meanings: Mapping[str, T]) -> dict[str, T]:
    return {spelling(word): meaning for word, meaning in meanings.items()}


@dataclass(frozen=True)
class Vocabulary:
    """One provider's fields, and the meanings of the words in them, by their `spelling`."""

    #: Every body of this provider has this field, and none of a provider whose words mean something else.
    mark: str | None
    #: the field that has the status
    status: str
    statuses: Mapping[str, EventStatus]
    #: the field that says who, or what, picked up
    callee: str
    callees: Mapping[str, CalleeType]
    #: the field that has the seconds for which the call lasted
    duration: str
    #: fields that say why a call had no success, each with the reasons that its words give
    causes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    #: what the word of a status says beyond the status: a reason
    reasons: Mapping[str, str] = field(default_factory=dict)


# SIP response codes: RFC 3261, section 21, https://www.rfc-editor.org/rfc/rfc3261#section-21
# 403 is a refusal, too: the request is understood, and won't be fulfilled.
_SIP_CODES = {
    "486": BUSY,
    "600": BUSY,
    "408": NO_ANSWER,
    "480": NO_ANSWER,
    "403": REJECTED,
    "603": REJECTED,
    "404": UNALLOCATED,
    "410": UNALLOCATED,
    "604": UNALLOCATED,
}

# Causes of ITU-T Q.850, as numbers and by the names that telephone switches give them:
# https://developer.signalwire.com/freeswitch/reference/hangup-causes/
_Q850_CAUSES = _words(
    {
        "1": UNALLOCATED,
        "UNALLOCATED_NUMBER": UNALLOCATED,
        "17": BUSY,
        "USER_BUSY": BUSY,
        "18": NO_ANSWER,
        "NO_USER_RESPONSE": NO_ANSWER,
        "19": NO_ANSWER,
        "NO_ANSWER": NO_ANSWER,
        "21": REJECTED,
        "CALL_REJECTED": REJECTED,
    }
)

#: callpacer's own statuses, as its documentation lists them
OWN_STATUSES: Mapping[str, EventStatus] = {
    "queued": EventStatus.QUEUED,
    "initiated": EventStatus.INITIATED,
    "ringing": EventStatus.RINGING,
    "answered": EventStatus.IN_PROGRESS,
    "in_progress": EventStatus.IN_PROGRESS,
    "completed": EventStatus.COMPLETED,
    "busy": EventStatus.BUSY,
    "no_answer": EventStatus.NO_ANSWER,
    "failed": EventStatus.FAILED,
    "rejected": EventStatus.REJECTED,
    "canceled": EventStatus.CANCELED,
}

#: the field for a reason in a customer's own words
OWN_REASON = "reason"

OWN = Vocabulary(
    mark=None,
    status="status",
    statuses=_words(OWN_STATUSES),
    callee="callee_type",
    callees=_words({one.value: one for one in CalleeType}),
    duration="duration",
)

# Vonage, the event webhook of the Voice API: a JSON object.
# statuses, details: https://developer.vonage.com/en/voice/voice-api/webhook-reference
# what the details mean, sip_code: https://github.com/Vonage/vonage-java-sdk (EventWebhook, CallStatusDetail)
# human and machine: https://developer.vonage.com/en/voice/voice-api/concepts/advanced-machine-detection
VONAGE = Vocabulary(
    mark="conversation_uuid",
    status="status",
    statuses=_words(
        {
            "started": EventStatus.INITIATED,
            "ringing": EventStatus.RINGING,
            "answered": EventStatus.IN_PROGRESS,
            # results of machine detection, which begins once the call is answered
            "human": EventStatus.IN_PROGRESS,
            "machine": EventStatus.IN_PROGRESS,
            "completed": EventStatus.COMPLETED,
            "busy": EventStatus.BUSY,
            # the ringing timeout has passed
            "timeout": EventStatus.NO_ANSWER,
            "unanswered": EventStatus.NO_ANSWER,
            "failed": EventStatus.FAILED,
            "rejected": EventStatus.REJECTED,
            "cancelled": EventStatus.CANCELED,
        }
    ),
    callee="status",
    callees=_words({"human": CalleeType.VOICE, "machine": CalleeType.ANSWERINGMACHINE}),
    duration="duration",
    causes={
        # It precedes the code: 486 stands for a callee who declines, too.
        "detail": _words(
            {
                "declined": REJECTED,
                "number_out_of_service": UNALLOCATED,
                "timeout": NO_ANSWER,
                "unavailable": NO_ANSWER,
                "cannot_route": "cannot_route",
                "carrier_timeout": "carrier_timeout",
                "internal_error": "internal_error",
                # It may be the caller's number.
                "invalid_number": "invalid_number",
                "restricted": "restricted",
            }
        ),
        "sip_code": _SIP_CODES,
    },
)

# Twilio, StatusCallback and AsyncAmdStatusCallback: a form.
# statuses: https://support.twilio.com/hc/en-us/articles/223132547-What-are-the-possible-call-statuses-and-what-do-they-mean
# fields: https://www.twilio.com/docs/voice/api/call-resource
# AnsweredBy: https://www.twilio.com/docs/voice/answering-machine-detection
# ErrorCode 34002: https://www.twilio.com/docs/api/errors/34002
# The form has a `Duration`, too. Requests in public logs have minutes there, beside the seconds of `CallDuration`.
TWILIO = Vocabulary(
    mark="CallSid",
    status="CallStatus",
    statuses=_words(
        {
            "queued": EventStatus.QUEUED,
            "initiated": EventStatus.INITIATED,
            "ringing": EventStatus.RINGING,
            "in-progress": EventStatus.IN_PROGRESS,
            "completed": EventStatus.COMPLETED,
            "busy": EventStatus.BUSY,
            "no-answer": EventStatus.NO_ANSWER,
            "failed": EventStatus.FAILED,
            "canceled": EventStatus.CANCELED,
        }
    ),
    callee="AnsweredBy",
    callees=_words(
        {
            "human": CalleeType.VOICE,
            "machine_start": CalleeType.ANSWERINGMACHINE,
            "machine_end_beep": CalleeType.ANSWERINGMACHINE,
            "machine_end_silence": CalleeType.ANSWERINGMACHINE,
            "machine_end_other": CalleeType.ANSWERINGMACHINE,
            "fax": CalleeType.FAX,
            "unknown": CalleeType.UNKNOWN,
        }
    ),
    duration="CallDuration",
    causes={"SipResponseCode": _SIP_CODES, "ErrorCode": {"34002": BUSY}},
)

# SignalWire, StatusCallback of the Compatibility API: a form.
# https://signalwire.com/docs/compatibility-api/rest/calls/webhooks/voice-status-callback
# answered_by of a call: https://github.com/signalwire/docs (specs/compatibility-api/calls/models/core.tsp)
SIGNALWIRE = Vocabulary(
    mark="CallSid",
    status="CallStatus",
    statuses=_words(
        {
            "queued": EventStatus.QUEUED,
            "initiated": EventStatus.INITIATED,
            "ringing": EventStatus.RINGING,
            "in-progress": EventStatus.IN_PROGRESS,
            "completed": EventStatus.COMPLETED,
            "busy": EventStatus.BUSY,
            "no-answer": EventStatus.NO_ANSWER,
            "failed": EventStatus.FAILED,
            "canceled": EventStatus.CANCELED,
        }
    ),
    callee="AnsweredBy",
    callees=_words({"human": CalleeType.VOICE, "machine": CalleeType.ANSWERINGMACHINE}),
    duration="CallDuration",
    causes={"SipResultCode": _SIP_CODES},
)

# Telnyx, StatusCallback and AsyncAmdStatusCallback of TeXML: a form.
# https://developers.telnyx.com/api-reference/callbacks/texml-call-initiated
# https://developers.telnyx.com/api-reference/callbacks/texml-call-ringing
# https://developers.telnyx.com/api-reference/callbacks/texml-call-answered
# https://developers.telnyx.com/api-reference/callbacks/texml-call-completed
# AnsweredBy: https://developers.telnyx.com/api-reference/callbacks/texml-call-amd
#   and https://developers.telnyx.com/docs/voice/programmable-voice/texml-answering-machine
# causes: https://developers.telnyx.com/api-reference/callbacks/call-hangup
# not_sure: https://github.com/team-telnyx/telnyx-python (types/texml/accounts/call_resource.py)
TELNYX = Vocabulary(
    mark="CallSid",
    status="CallStatus",
    statuses=_words(
        {
            "initiated": EventStatus.INITIATED,
            "ringing": EventStatus.RINGING,
            "in-progress": EventStatus.IN_PROGRESS,
            "completed": EventStatus.COMPLETED,
            "busy": EventStatus.BUSY,
            "no-answer": EventStatus.NO_ANSWER,
            "failed": EventStatus.FAILED,
            "canceled": EventStatus.CANCELED,
        }
    ),
    callee="AnsweredBy",
    callees=_words(
        {
            "human": CalleeType.VOICE,
            "machine": CalleeType.ANSWERINGMACHINE,
            "machine_start": CalleeType.ANSWERINGMACHINE,
            "machine_end_beep": CalleeType.ANSWERINGMACHINE,
            "machine_end_silence": CalleeType.ANSWERINGMACHINE,
            "machine_end_other": CalleeType.ANSWERINGMACHINE,
            "fax": CalleeType.FAX,
            "not_sure": CalleeType.UNKNOWN,
            "unknown": CalleeType.UNKNOWN,
        }
    ),
    duration="CallDuration",
    causes={
        "SipHangupCause": _SIP_CODES,
        "HangupCause": _words(
            {
                "user_busy": BUSY,
                "no_answer": NO_ANSWER,
                "call_rejected": REJECTED,
                "not_found": UNALLOCATED,
            }
        ),
    },
)

# Plivo, ring_url, hangup_url and machine_detection_url of a call: a form.
# statuses: https://docs.plivo.com/docs/voice/use-cases/dial-status-reporting
#   and https://docs.plivo.com/docs/account/api/application
# HangupCause, Duration: https://docs.plivo.com/docs/voice/xml/request
#   It calls the causes standard, and lists none. They are taken to be those of Q.850.
# Machine: https://docs.plivo.com/docs/voice/api/call/machine-detection
# codes and names of causes: https://docs.plivo.com/docs/voice/troubleshooting/hangup-causes
PLIVO = Vocabulary(
    mark="CallUUID",
    status="CallStatus",
    statuses=_words(
        {
            "ringing": EventStatus.RINGING,
            "in-progress": EventStatus.IN_PROGRESS,
            "completed": EventStatus.COMPLETED,
            "busy": EventStatus.BUSY,
            "no-answer": EventStatus.NO_ANSWER,
            "failed": EventStatus.FAILED,
            # no connection came about in time, because of a carrier or of Plivo: not the callee's doing
            "timeout": EventStatus.FAILED,
            "cancel": EventStatus.CANCELED,
        }
    ),
    # It is documented for a machine only. Its absence says nothing of a human.
    callee="Machine",
    callees={"true": CalleeType.ANSWERINGMACHINE},
    duration="Duration",
    causes={
        "HangupCauseCode": {"2000": UNALLOCATED, "3010": BUSY, "3020": REJECTED},
        "HangupCauseName": _words(
            {
                "Invalid Destination Address": UNALLOCATED,
                "Busy Line": BUSY,
                "Rejected": REJECTED,
            }
        ),
        "HangupCause": _Q850_CAUSES,
    },
    reasons={"timeout": "timeout"},
)

PROVIDERS = (VONAGE, TWILIO, SIGNALWIRE, TELNYX, PLIVO)
