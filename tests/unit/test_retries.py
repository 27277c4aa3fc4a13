"""When calls and reports are tried again, and when not."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import Claim
from chalicelib.domain.keys import CallKey
from chalicelib.domain.models import Entry, Plan, RetryKind, RetryRule
from chalicelib.domain.outcome import Answered, CalleeType, NotSent, Outcome, RequestResult, Result, Unknown
from chalicelib.domain.providers import EventStatus
from chalicelib.domain.retries import (
    LONGEST_RETRY_AFTER,
    REPORT_ATTEMPTS,
    AwaitOutcome,
    Finish,
    ReportAction,
    ReportDecision,
    Retry,
    TryUnsentAgain,
    after_outcome,
    next_action,
    report_decision,
    report_delay,
    unsent_delay,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ENTRY = Entry("tel:+12223334444")


def plan(max_retries: int = 0) -> Plan:
    return Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (), "http://tenant.example/", None, max_retries, 600)


def claim(attempt: int = 1, unsent: int = 0) -> Claim:
    return Claim(CallKey("acme", 1, 0), ENTRY, attempt, unsent, False, "nonce", NOW)


def test_a_call_that_was_answered_is_finished() -> None:
    assert next_action(Answered(200, {}, b""), claim(), plan(), NOW, 0) == Finish(Outcome(Result.COMPLETED, "http_200"))


def test_a_call_that_start_url_accepts_waits_for_the_event_that_ends_it() -> None:
    assert next_action(Answered(202, {}, b""), claim(), plan(max_retries=1), NOW, 0) == AwaitOutcome()


def test_a_failed_call_is_finished_unless_the_campaign_has_retries() -> None:
    busy = Answered(486, {}, b"")
    failed = Outcome(Result.FAILED, "http_486")
    assert next_action(busy, claim(), plan(), NOW, 0) == Finish(failed)
    assert next_action(busy, claim(), plan(max_retries=1), NOW, 0) == Retry(failed, NOW + timedelta(minutes=10))
    assert next_action(busy, claim(attempt=2), plan(max_retries=1), NOW, 0) == Finish(failed)


def test_a_call_that_was_not_sent_is_tried_again_without_counting_as_a_retry() -> None:
    assert next_action(NotSent("dns"), claim(), plan(), NOW, 0) == TryUnsentAgain("dns", NOW + timedelta(seconds=30))


def test_a_call_that_could_not_be_sent_six_times_has_failed() -> None:
    assert isinstance(next_action(NotSent("dns"), claim(unsent=4), plan(), NOW, 0), TryUnsentAgain)
    assert next_action(NotSent("dns"), claim(unsent=5), plan(), NOW, 0) == Finish(Outcome(Result.FAILED, "dns"))


def test_an_uncertain_call_is_never_made_again_whatever_the_campaigns_retries() -> None:
    uncertain = Finish(Outcome(Result.UNCERTAIN, "timeout"))
    assert next_action(Unknown("timeout"), claim(), plan(max_retries=10), NOW, 0) == uncertain


def answered(status: int, body: bytes = b"", **headers: str) -> Answered:
    return Answered(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def test_a_call_that_cannot_be_sent_is_tried_again_five_times_after_growing_waits() -> None:
    assert [unsent_delay(count, 0.0) for count in range(1, 8)] == [30, 60, 120, 240, 480, None, None]


def test_jitter_spreads_calls_that_failed_together_over_up_to_twice_the_wait() -> None:
    assert [unsent_delay(1, jitter) for jitter in (0.0, 0.5, 1.0)] == [30, 45, 60]


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_report_is_delivered_by_any_2xx(status: int) -> None:
    assert report_decision(answered(status), NOW) == ReportDecision(ReportAction.DELIVERED)


def test_410_ends_a_report_whatever_its_headers() -> None:
    assert report_decision(answered(410, retry_after="60"), NOW) == ReportDecision(ReportAction.GIVE_UP)


@pytest.mark.parametrize(
    "request_result",
    [
        *(answered(status) for status in (302, 400, 401, 404, 429, 500, 503)),
        NotSent("dns"),
        NotSent("address_not_allowed"),
        Unknown("timeout"),
    ],
)
def test_a_report_with_any_other_answer_is_sent_again(request_result: RequestResult) -> None:
    assert report_decision(request_result, NOW) == ReportDecision(ReportAction.RETRY, 0)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 120 ", 120),
        ("0", 0),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600),
        ("Sunday, 01-Mar-26 12:10:00 GMT", 600),
        ("Sun Mar  1 12:10:00 2026", 600),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("999999", LONGEST_RETRY_AFTER),
        ("9" * 5_000, LONGEST_RETRY_AFTER),
        ("Sun, 01 Mar 2099 12:00:00 GMT", LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_seconds_or_any_http_date_within_its_bound(value: str, seconds: int) -> None:
    assert report_decision(answered(503, retry_after=value), NOW) == ReportDecision(ReportAction.RETRY, seconds)


def test_a_report_is_not_sent_again_before_the_date_that_result_url_asks_for() -> None:
    asked = answered(503, retry_after="Sun, 01 Mar 2026 12:10:00 GMT")
    assert report_decision(asked, NOW + timedelta(seconds=0.5)) == ReportDecision(ReportAction.RETRY, 600)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "²",
        "١٢",
        "Sun, 31 Feb 2026 12:10:00 GMT",
        "Sun, 01 Mar 2026 12:10:00 +999999999999",
        "Sun, 01 Mar 2026 12:10:00 +" + "9" * 30,
        "1 Jan " + "9" * 30 + " 00:00:00 GMT",
    ],
)
def test_a_retry_after_that_cannot_be_read_is_ignored(value: str) -> None:
    assert report_decision(answered(503, retry_after=value), NOW) == ReportDecision(ReportAction.RETRY, 0)


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ [+-]?\w+"))
def test_any_retry_after_is_read_within_its_bounds(value: str) -> None:
    assert 0 <= report_decision(answered(503, retry_after=value), NOW).retry_after <= LONGEST_RETRY_AFTER


def test_a_report_is_sent_ten_times_with_growing_gaps_over_at_least_a_day() -> None:
    gaps = [report_delay(attempt, 0.0) for attempt in range(1, 10)]
    waits = [gap for gap in gaps if gap is not None]
    assert len(waits) == REPORT_ATTEMPTS - 1 == 9
    assert all(shorter < longer for shorter, longer in pairwise(waits))
    assert timedelta(seconds=sum(waits)) >= timedelta(hours=24)
    assert report_delay(10, 0.0) is None
    assert report_delay(11, 0.0, retry_after=60) is None


@given(st.integers(1, 9), st.floats(0, 1))
def test_jitter_lengthens_a_wait_and_never_beyond_the_next_one(attempt: int, jitter: float) -> None:
    least, stretched, following = report_delay(attempt, 0), report_delay(attempt, jitter), report_delay(attempt + 1, 0)
    assert least is not None
    assert stretched is not None
    assert least <= stretched
    assert following is None or stretched < following


def test_jitter_spreads_reports_that_failed_together_over_up_to_a_fifth_of_the_wait() -> None:
    assert [report_delay(2, jitter) for jitter in (0.0, 0.5, 1.0)] == [60, 66, 72]


def test_a_report_waits_as_long_as_result_url_asks_and_never_less_than_without() -> None:
    assert report_delay(1, 0.0, retry_after=3_600) == 3_600
    assert report_delay(8, 0.0, retry_after=1) == report_delay(8, 0.0)


@pytest.mark.parametrize("jitter", [-0.1, 1.1, float("nan")])
def test_a_jitter_out_of_range_is_refused(jitter: float) -> None:
    with pytest.raises(ValueError, match="jitter"):
        unsent_delay(1, jitter)


@pytest.mark.parametrize("attempt", [0, -1])
def test_attempts_are_counted_from_one(attempt: int) -> None:
    with pytest.raises(ValueError, match="from 1"):
        report_delay(attempt, 0.0)


# Rules for each outcome.

RULES = (
    (RetryKind.BUSY, RetryRule(attempts=4, gap=300, growth=2)),
    (RetryKind.NO_ANSWER, RetryRule(attempts=2, gap=3600)),
    (RetryKind.MACHINE, RetryRule(attempts=3, gap=600)),
)
RULED = replace(plan(), retries=RULES, max_retries=3)
BUSY, NO_ANSWER = Outcome(Result.FAILED, "busy"), Outcome(Result.FAILED, "no_answer")
MACHINE = Outcome(Result.COMPLETED, "completed", CalleeType.ANSWERINGMACHINE)


def gaps(outcome: Outcome, ruled: Plan = RULED) -> list[float]:
    """Seconds after the first attempt, the second…, if all of them end like this."""
    found = []
    for attempt in range(1, 12):
        match after_outcome(outcome, ENTRY, attempt, ruled, NOW):
            case Retry(_, not_before):
                found.append((not_before - NOW).total_seconds())
            case Finish():
                return found
    raise AssertionError("there is no end")


def test_each_outcome_has_attempts_and_gaps_of_its_own() -> None:
    assert gaps(BUSY) == [300, 600, 1200]
    assert gaps(NO_ANSWER) == [3600]
    assert gaps(MACHINE) == gaps(Outcome(Result.COMPLETED, "machine")) == [600, 600]


def test_an_outcome_without_a_rule_is_not_tried_again() -> None:
    assert gaps(Outcome(Result.FAILED, "http_500")) == []
    assert gaps(Outcome(Result.FAILED, "http_500"), replace(RULED, retries=())) == [600] * 3


def test_a_machine_is_called_again_only_if_a_rule_asks_for_it() -> None:
    assert gaps(MACHINE, replace(RULED, retries=())) == []


def test_a_completed_call_is_never_made_again() -> None:
    everything = replace(RULED, retries=tuple((kind, RetryRule(11, 60)) for kind in RetryKind), max_retries=10)
    assert gaps(Outcome(Result.COMPLETED, "completed", CalleeType.VOICE), everything) == []
    assert gaps(Outcome(Result.UNCERTAIN, "timeout"), everything) == []


@pytest.mark.parametrize("reason", ["rejected", "canceled", "unallocated", "do_not_call"])
def test_who_declined_or_does_not_exist_is_never_called_again(reason: str) -> None:
    everything = replace(RULED, retries=tuple((kind, RetryRule(11, 60)) for kind in RetryKind), max_retries=10)
    for ruled in (everything, replace(everything, retries=())):
        assert gaps(Outcome(Result.FAILED, reason), ruled) == []
        if reason in set(EventStatus):
            outcome = Outcome(Result.FAILED, "a_word_of_the_customers")
            assert isinstance(after_outcome(outcome, ENTRY, 1, ruled, NOW, EventStatus(reason)), Finish)


def test_an_event_with_a_reason_of_its_own_follows_the_rule_of_its_status() -> None:
    outcome = Outcome(Result.FAILED, "ring_timeout")
    assert after_outcome(outcome, ENTRY, 1, RULED, NOW, EventStatus.NO_ANSWER) == Retry(
        outcome, NOW + timedelta(hours=1)
    )


def test_a_failure_with_a_precise_reason_follows_the_rule_of_its_reason() -> None:
    assert after_outcome(BUSY, ENTRY, 1, RULED, NOW, EventStatus.FAILED) == Retry(BUSY, NOW + timedelta(minutes=5))


def test_max_retries_is_the_ceiling_over_all_rules() -> None:
    assert gaps(BUSY, replace(RULED, max_retries=1)) == [300]
    assert gaps(BUSY, replace(RULED, max_retries=0)) == []


def test_a_gap_does_not_grow_over_two_days() -> None:
    rule = RetryRule(attempts=11, gap=172_800, growth=10)
    assert gaps(BUSY, replace(RULED, retries=((RetryKind.BUSY, rule),), max_retries=10)) == [172_800] * 10


@given(
    st.lists(st.sampled_from([BUSY, NO_ANSWER, MACHINE, Outcome(Result.FAILED, "http_500")]), min_size=12, max_size=12),
    st.dictionaries(st.sampled_from(RetryKind), st.integers(1, 11), min_size=1),
    st.integers(0, 10),
)
def test_a_number_has_one_budget_whatever_mixture_of_outcomes_it_meets(
    outcomes: list[Outcome], attempts: dict[RetryKind, int], max_retries: int
) -> None:
    rules = tuple((kind, RetryRule(most, 60)) for kind, most in attempts.items())
    ruled = replace(plan(), retries=rules, max_retries=max_retries)
    made = 1
    while isinstance(after_outcome(outcomes[made - 1], ENTRY, made, ruled, NOW), Retry):
        made += 1
    assert made <= min(max_retries + 1, max(attempts.values()))
