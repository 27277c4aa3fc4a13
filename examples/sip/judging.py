"""Compares each call with what the scenario expects of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from examples.sip.outcome import FINAL
from examples.sip.scenario import Case
from examples.sip.screen import Row

#: The share of a prompt's sound that has to be heard. Speech has pauses, and the file ends with silence.
_ENOUGH = 0.4


def by_events(case: Case, events: Sequence[Mapping[str, str]], heard: float | None, prompt_seconds: float) -> Row:
    """The row of a call, judged by the events that status_url received."""
    last = next((event for event in events if event["status"] in FINAL), {})
    statuses = tuple(event["status"] for event in events)
    callee_type, reason = last.get("callee_type", "unknown"), last.get("reason", "")
    fault = _difference(
        ("events", " ".join(statuses), " ".join(case.events)),
        ("callee_type", callee_type, case.callee_type),
        ("reason", reason, case.reason),
    )
    return Row(
        case.number,
        case.story,
        " ".join(statuses),
        callee_type,
        last.get("duration", ""),
        reason,
        heard,
        fault or _unheard(case, heard, prompt_seconds),
    )


def by_record(case: Case, record: Mapping[str, Any], heard: float | None, prompt_seconds: float) -> Row:
    """The row of a call, judged by the record that callpacer's `calls` shows in the end.

    If the last event has no reason, the record has that event's status as the reason.
    """
    state, reason = str(record.get("state")), str(record.get("reason") or "")
    callee_type = str(record.get("callee_type") or "unknown")
    fault = _difference(
        ("state", state, "completed" if case.status == "completed" else "failed"),
        ("callee_type", callee_type, case.callee_type),
        ("reason", reason, case.reason or case.status),
    )
    duration = str(record.get("duration") or 0)
    return Row(
        case.number,
        case.story,
        state,
        callee_type,
        duration,
        reason,
        heard,
        fault or _unheard(case, heard, prompt_seconds),
    )


def _difference(*compared: tuple[str, str, str]) -> str:
    return ", ".join(f"{name} should be {wanted or 'empty'}" for name, found, wanted in compared if found != wanted)


def _unheard(case: Case, heard: float | None, prompt_seconds: float) -> str:
    if case.hears_prompt and (heard or 0) < _ENOUGH * prompt_seconds:
        return "the prompt was not heard"
    return ""
