"""Call events, as customers write them and as providers send them."""

import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.events import CallEvent, outcome_of_event, read_event
from chalicelib.domain.faults import EventFault, UnreadableEvent
from chalicelib.domain.outcome import LONGEST_DURATION, LONGEST_REASON, CalleeType, Outcome, Result
from chalicelib.domain.providers import OWN, OWN_STATUSES, PROVIDERS, EventStatus, spelling

#: integers that Python refuses to write
HUGE, HUGE_NEGATIVE = pytest.param(10**5000, id="huge"), pytest.param(-(10**5000), id="huge negative")
EXAMPLES = Path(__file__).parent / "events"
MACHINE = CalleeType.ANSWERINGMACHINE

#: each file of `events`, and what it says
READINGS: dict[str, CallEvent] = {
    "twilio/initiated.form": CallEvent(EventStatus.INITIATED),
    "twilio/ringing.form": CallEvent(EventStatus.RINGING),
    "twilio/in-progress.form": CallEvent(EventStatus.IN_PROGRESS),
    "twilio/completed.form": CallEvent(EventStatus.COMPLETED, duration=49),
    "twilio/completed-machine.form": CallEvent(EventStatus.COMPLETED, None, MACHINE, 31),
    "twilio/busy.form": CallEvent(EventStatus.BUSY, "busy", duration=0),
    "twilio/busy-declined.form": CallEvent(EventStatus.BUSY, "rejected", duration=0),
    "twilio/no-answer.form": CallEvent(EventStatus.NO_ANSWER, duration=0),
    "twilio/failed-not-found.form": CallEvent(EventStatus.FAILED, "unallocated", duration=0),
    "twilio/canceled.form": CallEvent(EventStatus.CANCELED, duration=0),
    "twilio/amd.form": CallEvent(EventStatus.IN_PROGRESS, callee_type=MACHINE),
    "signalwire/queued.form": CallEvent(EventStatus.QUEUED),
    "signalwire/in-progress.form": CallEvent(EventStatus.IN_PROGRESS),
    "signalwire/completed.form": CallEvent(EventStatus.COMPLETED, duration=94),
    "signalwire/busy.form": CallEvent(EventStatus.BUSY, "busy"),
    "signalwire/failed-not-found.form": CallEvent(EventStatus.FAILED, "unallocated"),
    "telnyx/initiated.form": CallEvent(EventStatus.INITIATED),
    "telnyx/ringing.form": CallEvent(EventStatus.RINGING, duration=10),
    "telnyx/answered.form": CallEvent(EventStatus.IN_PROGRESS, duration=15),
    "telnyx/completed.form": CallEvent(EventStatus.COMPLETED, duration=45),
    "telnyx/completed-2021.form": CallEvent(EventStatus.COMPLETED, duration=2),
    "telnyx/busy.form": CallEvent(EventStatus.BUSY, "busy"),
    "telnyx/failed-rejected.form": CallEvent(EventStatus.FAILED, "rejected"),
    "telnyx/failed-not-found.form": CallEvent(EventStatus.FAILED, "unallocated"),
    "telnyx/amd.form": CallEvent(EventStatus.IN_PROGRESS, callee_type=CalleeType.VOICE),
    "plivo/ringing.form": CallEvent(EventStatus.RINGING),
    "plivo/in-progress.form": CallEvent(EventStatus.IN_PROGRESS),
    "plivo/machine.form": CallEvent(EventStatus.IN_PROGRESS, callee_type=MACHINE),
    "plivo/completed.form": CallEvent(EventStatus.COMPLETED, duration=38),
    "plivo/busy.form": CallEvent(EventStatus.BUSY, "busy", duration=0),
    "plivo/failed-rejected.form": CallEvent(EventStatus.FAILED, "rejected", duration=0),
    "plivo/failed-invalid.form": CallEvent(EventStatus.FAILED, "unallocated", duration=0),
    "plivo/no-answer.form": CallEvent(EventStatus.NO_ANSWER, "no_answer", duration=0),
    "plivo/timeout.form": CallEvent(EventStatus.FAILED, "timeout", duration=0),
    "plivo/cancel.form": CallEvent(EventStatus.CANCELED, duration=0),
    "vonage/started.json": CallEvent(EventStatus.INITIATED),
    "vonage/ringing.json": CallEvent(EventStatus.RINGING),
    "vonage/answered.json": CallEvent(EventStatus.IN_PROGRESS),
    "vonage/human.json": CallEvent(EventStatus.IN_PROGRESS, callee_type=CalleeType.VOICE),
    "vonage/machine.json": CallEvent(EventStatus.IN_PROGRESS, callee_type=MACHINE),
    "vonage/machine-beep.json": CallEvent(EventStatus.IN_PROGRESS, callee_type=MACHINE),
    "vonage/completed.json": CallEvent(EventStatus.COMPLETED, duration=2),
    "vonage/busy.json": CallEvent(EventStatus.BUSY),
    "vonage/cancelled.json": CallEvent(EventStatus.CANCELED),
    "vonage/timeout.json": CallEvent(EventStatus.NO_ANSWER),
    "vonage/unanswered.json": CallEvent(EventStatus.NO_ANSWER, "no_answer"),
    "vonage/rejected.json": CallEvent(EventStatus.REJECTED, "restricted"),
    "vonage/rejected-declined.json": CallEvent(EventStatus.REJECTED, "rejected"),
    "vonage/failed.json": CallEvent(EventStatus.FAILED, "cannot_route"),
    "vonage/failed-not-found.json": CallEvent(EventStatus.FAILED, "unallocated"),
    "vonage/failed-out-of-service.json": CallEvent(EventStatus.FAILED, "unallocated"),
}


def example(name: str) -> dict[str, object]:
    body = (EXAMPLES / name).read_text().strip()
    return dict(parse_qsl(body, keep_blank_values=True)) if name.endswith(".form") else json.loads(body)


def fault(**fields: object) -> UnreadableEvent:
    with pytest.raises(UnreadableEvent) as caught:
        read_event(fields)
    return caught.value


@pytest.mark.parametrize("name", READINGS)
def test_a_providers_status_callback_is_read_as_it_is(name: str) -> None:
    assert read_event(example(name)) == READINGS[name]


def test_every_example_has_a_reading() -> None:
    files = [one for suffix in ("form", "json") for one in EXAMPLES.glob(f"*/*.{suffix}")]
    assert {one.relative_to(EXAMPLES).as_posix() for one in files} == READINGS.keys()


class TestOwnWords:
    """What a customer writes who has no provider's callback to pass on."""

    @pytest.mark.parametrize("status", list(EventStatus))
    def test_each_status_is_read_by_its_own_name(self, status: EventStatus) -> None:
        assert read_event({"status": status.value}) == CallEvent(status)

    def test_answered_is_another_word_for_in_progress(self) -> None:
        assert read_event({"status": "answered"}) == CallEvent(EventStatus.IN_PROGRESS)

    def test_an_event_has_a_callee_a_duration_and_a_reason(self) -> None:
        fields = {
            "status": "completed",
            "callee_type": "answeringmachine",
            "duration": 42,
            "reason": "voicemail_left",
        }
        assert read_event(fields) == CallEvent(EventStatus.COMPLETED, "voicemail_left", MACHINE, 42)

    @pytest.mark.parametrize("written", ["2026-03-01T12:00:00Z", 1_772_366_400, "yesterday", None, HUGE])
    def test_the_time_at_which_it_happened_may_be_told_and_changes_nothing(self, written: object) -> None:
        for field in ("timestamp", "Timestamp"):
            assert read_event({"status": "busy", field: written}) == CallEvent(EventStatus.BUSY)

    @pytest.mark.parametrize("callee", list(CalleeType))
    def test_each_of_the_four_callees_can_be_named(self, callee: CalleeType) -> None:
        assert read_event({"status": "answered", "callee_type": callee.value}).callee_type is callee

    def test_unknown_fields_are_ignored(self) -> None:
        assert read_event({"status": "busy", "colour": "red", "nested": {"status": "failed"}}) == CallEvent(
            EventStatus.BUSY
        )

    def test_the_reason_in_the_customers_words_precedes_a_code(self) -> None:
        assert read_event({"status": "failed", "reason": "no_credit", "sip_code": 404}).reason == "no_credit"

    def test_the_customers_status_precedes_a_providers(self) -> None:
        assert read_event({"status": "rejected", "CallStatus": "busy"}).status is EventStatus.REJECTED

    def test_the_customers_callee_precedes_a_providers(self) -> None:
        fields = {"status": "completed", "callee_type": "fax", "CallSid": "CA1", "AnsweredBy": "human"}
        assert read_event(fields).callee_type is CalleeType.FAX

    def test_an_empty_status_leaves_it_to_the_providers(self) -> None:
        assert read_event({"status": " ", "CallStatus": "busy"}).status is EventStatus.BUSY


class TestFaults:
    @pytest.mark.parametrize(
        "status", ["dialing", "completedd", 7, True, ["busy"], {"is": "busy"}, HUGE, HUGE_NEGATIVE]
    )
    def test_an_unknown_status_is_a_fault_with_its_value_and_the_known_ones(self, status: object) -> None:
        found = fault(status=status)
        assert found.code is EventFault.UNKNOWN_STATUS
        assert found.facts == {"field": "status", "status": status, "known": tuple(OWN_STATUSES)}

    def test_an_unknown_status_is_a_fault_in_a_providers_callback_too(self) -> None:
        assert fault(**example("twilio/busy.form") | {"CallStatus": "pondering"}).facts == {
            "field": "CallStatus",
            "status": "pondering",
            "known": tuple(OWN_STATUSES),
        }

    @pytest.mark.parametrize(
        "fields", [{}, {"status": ""}, {"status": None}, {"CallSid": "CA1", "CallStatus": " "}, {"duration": 3}]
    )
    def test_without_a_status_there_is_no_event(self, fields: dict[str, object]) -> None:
        found = fault(**fields)
        assert found.code is EventFault.NO_STATUS
        assert found.facts == {"fields": ("status", "CallStatus"), "known": tuple(OWN_STATUSES)}

    @pytest.mark.parametrize(
        ("fields", "callee"),
        [
            ({"CallSid": "CA1", "AnsweredBy": "machine_end_other"}, MACHINE),
            ({"CallUUID": "1", "Machine": "true"}, MACHINE),
            ({"AnsweredBy": "human"}, CalleeType.VOICE),
            # A result that nobody can tell, or that isn't documented, is no fault: the call was answered.
            ({"CallSid": "CA1", "AnsweredBy": "unknown"}, CalleeType.UNKNOWN),
            ({"CallSid": "CA1", "AnsweredBy": "robot"}, CalleeType.UNKNOWN),
            ({"CallUUID": "1", "Machine": "false"}, CalleeType.UNKNOWN),
        ],
    )
    def test_a_providers_result_of_machine_detection_means_that_the_call_is_answered(
        self, fields: dict[str, object], callee: CalleeType
    ) -> None:
        assert read_event(fields) == CallEvent(EventStatus.IN_PROGRESS, callee_type=callee)

    def test_a_customers_callee_without_a_status_is_a_fault_as_the_status_is_likely_misspelt(self) -> None:
        assert fault(state="completed", callee_type="voice").code is EventFault.NO_STATUS


class TestSpelling:
    @given(st.sampled_from([*OWN_STATUSES, "cancelled"]), st.data())
    def test_variants_of_the_same_word_are_read_alike(self, word: str, data: st.DataObject) -> None:
        between = data.draw(st.sampled_from(["_", "-", " ", "", "__"]))
        recased = "".join(data.draw(st.sampled_from([one.lower(), one.upper()])) for one in word)
        around = data.draw(st.sampled_from(["", " ", "\t"]))
        written = around + recased.replace("_", between) + around
        expected = OWN_STATUSES["canceled" if word == "cancelled" else word]
        assert read_event({"status": written}) == read_event({"CallStatus": written}) == CallEvent(expected)

    @pytest.mark.parametrize("written", ["Canceled", "cancelled", "CANCELLED"])
    def test_a_reason_that_is_known_is_recorded_in_one_spelling(self, written: str) -> None:
        assert read_event({"status": "failed", "reason": written}).reason == "canceled"

    def test_a_reason_of_the_customers_own_is_recorded_in_small_letters(self) -> None:
        assert read_event({"status": "failed", "reason": " Wrong-Person "}).reason == "wrong_person"

    def test_the_words_of_the_tables_are_found_by_their_spelling(self) -> None:
        tables: list[Mapping[str, object]] = []
        for one in (OWN, *PROVIDERS):
            tables += [one.statuses, one.callees, one.reasons, *one.causes.values()]
        assert all(word == spelling(word) for table in tables for word in table)


class TestWhoSaysSo:
    """The same word, or the same field, of two providers that mean different things by it."""

    def test_a_timeout_of_vonage_is_a_telephone_that_nobody_picks_up(self) -> None:
        assert read_event(example("vonage/timeout.json")).status is EventStatus.NO_ANSWER
        assert read_event({"status": "timeout"}).status is EventStatus.NO_ANSWER

    def test_a_timeout_of_plivo_is_a_connection_that_fails(self) -> None:
        assert read_event(example("plivo/timeout.form")).status is EventStatus.FAILED
        assert read_event({"CallStatus": "timeout"}).status is EventStatus.FAILED
        assert read_event({"status": "timeout", "CallUUID": "1"}).status is EventStatus.FAILED

    def test_all_other_statuses_mean_the_same_for_every_provider(self) -> None:
        meanings: dict[str, set[EventStatus]] = {}
        for one in (OWN, *PROVIDERS):
            for word, status in one.statuses.items():
                meanings.setdefault(word, set()).add(status)
        assert [word for word, statuses in meanings.items() if len(statuses) > 1] == ["timeout"]

    def test_twilios_duration_is_in_minutes_and_is_not_taken_for_seconds(self) -> None:
        minutes = example("twilio/completed.form")
        assert minutes.pop("CallDuration")
        assert minutes["Duration"] == "1"
        assert read_event(minutes).duration is None

    @pytest.mark.parametrize(
        ("said", "callee"),
        [(True, MACHINE), ("True", MACHINE), (False, CalleeType.UNKNOWN), ("false", CalleeType.UNKNOWN)],
    )
    def test_plivo_says_nothing_of_a_human_by_finding_no_machine(self, said: object, callee: CalleeType) -> None:
        assert read_event(example("plivo/machine.form") | {"Machine": said}).callee_type is callee

    @pytest.mark.parametrize(("word", "status"), [("unanswered", "no_answer"), ("cancel", "canceled")])
    def test_a_status_that_only_another_provider_has_is_understood(self, word: str, status: str) -> None:
        assert read_event({"CallSid": "CA1", "CallStatus": word}).status == status

    def test_a_provider_is_read_without_its_mark_too(self) -> None:
        fields = {"CallStatus": "completed", "AnsweredBy": "human", "CallDuration": "7"}
        assert read_event(fields) == CallEvent(EventStatus.COMPLETED, None, CalleeType.VOICE, 7)


class TestCauses:
    @pytest.mark.parametrize("field", ["SipResponseCode", "SipResultCode", "SipHangupCause", "sip_code"])
    @pytest.mark.parametrize(
        ("codes", "reason"),
        [
            ((486, 600), "busy"),
            ((408, 480), "no_answer"),
            ((403, 603), "rejected"),
            ((404, 410, 604), "unallocated"),
            ((200, 487, 503, 0, -404), None),
        ],
    )
    def test_a_sip_code_refines_the_reason(self, field: str, codes: tuple[int, ...], reason: str | None) -> None:
        for code in codes:
            for written in (code, str(code), f" {code} "):
                assert read_event({"status": "failed", field: written}) == CallEvent(EventStatus.FAILED, reason)

    @pytest.mark.parametrize(
        ("causes", "reason"),
        [
            ((17, "17", "USER_BUSY", "user_busy"), "busy"),
            ((18, 19, "NO_USER_RESPONSE", "NO_ANSWER"), "no_answer"),
            ((21, "CALL_REJECTED"), "rejected"),
            ((1, "UNALLOCATED_NUMBER", "not_found"), "unallocated"),
            ((16, "NORMAL_CLEARING", "ORIGINATOR_CANCEL", "", None), None),
        ],
    )
    def test_a_cause_of_q850_refines_the_reason(self, causes: tuple[object, ...], reason: str | None) -> None:
        for cause in causes:
            assert read_event({"CallStatus": "failed", "HangupCause": cause}) == CallEvent(EventStatus.FAILED, reason)

    @pytest.mark.parametrize("status", ["completed", "canceled", "in_progress", "ringing"])
    def test_a_cause_says_nothing_of_a_call_that_was_answered_or_withdrawn(self, status: str) -> None:
        assert read_event({"CallStatus": status, "SipResponseCode": "480"}).reason is None

    def test_a_precise_reason_precedes_another(self) -> None:
        assert read_event({"status": "failed", "detail": "cannot_route", "sip_code": 404}).reason == "unallocated"
        assert read_event({"status": "failed", "detail": "cannot_route", "sip_code": 503}).reason == "cannot_route"

    def test_what_vonage_says_in_words_precedes_its_code(self) -> None:
        assert read_event({"status": "rejected", "detail": "declined", "sip_code": 486}).reason == "rejected"

    def test_a_cause_precedes_what_the_word_of_the_status_says(self) -> None:
        assert read_event(example("plivo/timeout.form") | {"HangupCause": "NO_ANSWER"}).reason == "no_answer"

    def test_an_error_code_of_twilio_refines_the_reason(self) -> None:
        assert read_event({"CallSid": "CA1", "CallStatus": "failed", "ErrorCode": "34002"}).reason == "busy"
        assert read_event({"CallSid": "CA1", "CallStatus": "failed", "ErrorCode": "13224"}).reason is None


class TestValues:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("duration", -1),
            ("duration", True),
            ("duration", 3.5),
            ("duration", "3 s"),
            ("duration", LONGEST_DURATION + 1),
            ("duration", 10**400),
            ("callee_type", "robot"),
            ("callee_type", ["fax"]),
            ("reason", "Syntax error in NCCO. Invalid value type or action."),
            ("reason", "x" * (LONGEST_REASON + 1)),
            ("reason", "r\xe9pondeur"),
            ("reason", 7),
        ],
    )
    def test_an_ill_typed_value_is_ignored_and_the_others_still_count(self, field: str, value: object) -> None:
        told: dict[str, object] = {
            "status": "failed",
            "duration": 7,
            "callee_type": "fax",
            "reason": "jammed",
        }
        expected = CallEvent(EventStatus.FAILED, "jammed", CalleeType.FAX, 7)
        assert read_event(told) == expected
        nothing = getattr(CallEvent(EventStatus.FAILED), field)
        assert vars(read_event(told | {field: value})) == vars(expected) | {field: nothing}

    @pytest.mark.parametrize(
        ("value", "seconds"), [(0, 0), ("12", 12), (" 12.0 ", 12), (3.0, 3), (LONGEST_DURATION, LONGEST_DURATION)]
    )
    def test_a_duration_is_whole_seconds_as_a_number_or_as_text(self, value: object, seconds: int) -> None:
        assert read_event({"status": "completed", "duration": value}).duration == seconds

    def test_a_reason_has_64_characters_at_most(self) -> None:
        assert read_event({"status": "failed", "reason": "x" * LONGEST_REASON}).reason == "x" * LONGEST_REASON


class TestOutcomes:
    @pytest.mark.parametrize("status", [one for one in EventStatus if one.is_final])
    def test_the_status_is_the_reason_of_an_outcome_without_another(self, status: EventStatus) -> None:
        result = Result.COMPLETED if status is EventStatus.COMPLETED else Result.FAILED
        assert outcome_of_event(CallEvent(status)) == Outcome(result, status.value, CalleeType.UNKNOWN, 0)

    def test_an_outcome_has_the_events_reason_callee_and_duration(self) -> None:
        event = CallEvent(EventStatus.FAILED, "unallocated", CalleeType.FAX, 3)
        assert outcome_of_event(event) == Outcome(Result.FAILED, "unallocated", CalleeType.FAX, 3)

    @pytest.mark.parametrize("heard", CalleeType)
    def test_an_outcome_has_the_callee_that_was_heard_before_unless_the_final_event_names_one(
        self, heard: CalleeType
    ) -> None:
        assert outcome_of_event(CallEvent(EventStatus.COMPLETED), heard).callee_type is heard
        named = CallEvent(EventStatus.COMPLETED, callee_type=CalleeType.FAX)
        assert outcome_of_event(named, heard).callee_type is CalleeType.FAX

    def test_a_call_that_a_machine_answers_is_completed(self) -> None:
        event = read_event(example("twilio/completed-machine.form"))
        assert outcome_of_event(event) == Outcome(Result.COMPLETED, "completed", MACHINE, 31)

    @pytest.mark.parametrize("status", ["queued", "initiated", "ringing", "answered", "in_progress"])
    def test_a_call_that_is_under_way_has_no_outcome(self, status: str) -> None:
        with pytest.raises(ValueError, match="isn't over"):
            outcome_of_event(read_event({"status": status}))


#: fields with a meaning, and values of all kinds, likely and not
FIELDS = st.sampled_from(
    [
        *(one.status for one in PROVIDERS),
        *(one.callee for one in PROVIDERS),
        *(one.duration for one in PROVIDERS),
        *(name for one in PROVIDERS for name in one.causes),
        *(one.mark or "" for one in PROVIDERS),
        *("status", "reason", "callee_type", "duration", "timestamp", "Timestamp"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = (
    st.sampled_from([*OWN_STATUSES, "timeout", "machine", "true", "486", "2026-03-01T12:00:00Z"])
    | SCALARS
    | st.datetimes().map(str)
    | st.integers(0, 10**20).map(str)
    | st.lists(SCALARS, max_size=2)
    | st.dictionaries(st.text(), SCALARS, max_size=2)
)


@given(st.dictionaries(FIELDS | st.text(), VALUES))
def test_any_fields_are_an_event_or_a_fault(fields: dict[str, object]) -> None:
    try:
        event = read_event(fields)
    except UnreadableEvent:
        return
    assert event.duration is None or 0 <= event.duration <= LONGEST_DURATION
    assert event.reason is None or 1 <= len(event.reason) <= LONGEST_REASON
    assert not event.status.is_final or outcome_of_event(event).reason
