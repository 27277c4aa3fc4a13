"""The forms that are sent to start_url and result_url."""

from dataclasses import replace

from chalicelib.domain.call import Call, Claim, EndedAttempt, State


def dial_form(claim: Claim, status_url: str) -> dict[str, str]:
    """The fields of the request that starts one call. Events of this attempt are posted to `status_url`."""
    return {
        "phone_number": claim.entry.destination,
        "message_reference": claim.entry.message_reference,
        "call_id": str(claim.key.call_id),
        "campaign_id": str(claim.key.campaign_id),
        "ani": claim.entry.ani,
        "attempt": str(claim.attempt),
        "status_url": status_url,
    }


def report_form(call: Call) -> dict[str, str]:
    """The fields of the request that reports one outcome.

    `duration` is in seconds, `last_attempt_timestamp` in Unix seconds. A corrected outcome has a `revision`.
    """
    revision = {"revision": str(call.revision)} if call.revision else {}
    return {
        "phone_number": call.entry.destination,
        "message_reference": call.entry.message_reference,
        "call_id": str(call.key.call_id),
        "campaign_id": str(call.key.campaign_id),
        "result": call.state,
        "reason": call.reason or "",
        "callee_type": call.callee_type,
        "attempts": str(call.attempt),
        "last_attempt_timestamp": str(int(call.last_attempt_at.timestamp())) if call.last_attempt_at else "",
        "duration": str(call.duration),
        **revision,
    }


def attempt_report_form(call: Call, ended: EndedAttempt) -> dict[str, str]:
    """The fields of the request that reports an attempt after which the number is dialled again.

    They are those of the outcome's report, as they are after this attempt, and `final`.
    """
    then = replace(
        call,
        state=State(ended.outcome.result),
        reason=ended.outcome.reason,
        callee_type=ended.outcome.callee_type,
        duration=ended.outcome.duration,
        attempt=ended.attempt,
        last_attempt_at=ended.answered_at,
        revision=0,
    )
    return report_form(then) | {"final": "false"}
