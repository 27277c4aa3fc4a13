"""What is done with a number after its dial."""

from datetime import UTC, date, datetime, timedelta

from chalicelib.domain.call import Claim
from chalicelib.domain.models import CallKey, Entry, Plan
from chalicelib.domain.next_action import Finish, Retry, TryUnsentAgain, verdict
from chalicelib.domain.outcome import Answered, NotSent, Outcome, Result, Unknown

NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)


def plan(max_retries: int = 0) -> Plan:
    return Plan(date(2026, 1, 5), date(2026, 1, 5), 1, (), "http://tenant.example/", None, max_retries, 600)


def claim(attempt: int = 1, unsent: int = 0) -> Claim:
    return Claim(CallKey("acme", 1, 0), Entry("tel:+12223334444"), attempt, unsent, False, "nonce", NOW)


def test_a_call_that_was_answered_is_finished() -> None:
    assert verdict(Answered(200, {}, b""), claim(), plan(), NOW, 0) == Finish(Outcome(Result.COMPLETED, "http_200"))


def test_a_failed_call_is_finished_unless_the_campaign_asks_for_more() -> None:
    busy = Answered(486, {}, b"")
    failed = Outcome(Result.FAILED, "http_486")
    assert verdict(busy, claim(), plan(), NOW, 0) == Finish(failed)
    assert verdict(busy, claim(), plan(max_retries=1), NOW, 0) == Retry(failed, NOW + timedelta(minutes=10))
    assert verdict(busy, claim(attempt=2), plan(max_retries=1), NOW, 0) == Finish(failed)


def test_what_was_not_sent_is_tried_again_without_counting_as_a_retry() -> None:
    assert verdict(NotSent("dns"), claim(), plan(), NOW, 0) == TryUnsentAgain("dns", NOW + timedelta(seconds=30))


def test_what_could_not_be_sent_six_times_has_failed() -> None:
    assert isinstance(verdict(NotSent("dns"), claim(unsent=4), plan(), NOW, 0), TryUnsentAgain)
    assert verdict(NotSent("dns"), claim(unsent=5), plan(), NOW, 0) == Finish(Outcome(Result.FAILED, "dns"))


def test_an_uncertain_call_is_never_made_again_whatever_the_campaign_asks() -> None:
    uncertain = Finish(Outcome(Result.UNCERTAIN, "timeout"))
    assert verdict(Unknown("timeout"), claim(), plan(max_retries=10), NOW, 0) == uncertain
