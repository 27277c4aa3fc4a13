"""Messages between the pacer and the dialer."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.call import EndedAttempt
from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.messages import Dial, Newer, Refill, Report, Slice, Unreadable, begins, from_message, to_message
from chalicelib.domain.models import Entry
from chalicelib.domain.outcome import CalleeType, Outcome, Result

MINUTE = timedelta(minutes=1)
KEYS = st.builds(CallKey, st.text(), st.integers(1, 10**6), st.integers(0, 2**32 - 1))
INSTANTS = st.datetimes(timezones=st.just(UTC))
#: as entries and ended attempts have them
SECONDS = st.datetimes(datetime(2000, 1, 1), datetime(2200, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001 # the strategy gives them a zone
    lambda instant: instant.replace(microsecond=0)
)
TIMES = st.none() | SECONDS
#: entries as they are stored: references without line ends and outer spaces
ENTRIES = st.builds(Entry, st.just("tel:+12223334444;ani=7778889999"), st.text("ab,;é🎉 ", max_size=20), TIMES, TIMES)


ENDED = st.builds(
    EndedAttempt,
    st.integers(1, 11),
    SECONDS,
    st.builds(
        Outcome,
        st.sampled_from(Result),
        st.from_regex("[a-z0-9_]{1,64}", fullmatch=True),
        st.sampled_from(CalleeType),
        st.integers(0, 86_400),
    ),
)
DIALS = st.builds(Dial, KEYS, st.integers(1, 11), ENTRIES, st.just(3), INSTANTS, INSTANTS, INSTANTS)


@given(
    st.text(),
    st.integers(1, 10**6),
    st.lists(DIALS, max_size=3),
    st.lists(st.builds(Report, KEYS, st.integers(1, 10), st.none() | ENDED), max_size=3),
    st.none() | st.text(),
    st.integers(1, 32),
)
def test_a_slice_is_read_back_as_it_was_written(
    account: str, campaign_id: int, dials: list[Dial], reports: list[Report], lease: str | None, spread: int
) -> None:
    slice_ = Slice(
        CampaignKey(account, campaign_id),
        tuple(replace(dial, key=CallKey(account, campaign_id, dial.key.sequence)) for dial in dials),
        tuple(replace(report, key=CallKey(account, campaign_id, report.key.sequence)) for report in reports),
        lease,
        spread,
    )
    assert from_message(to_message(slice_)) == slice_


NOW = datetime(2026, 1, 5, 13, tzinfo=UTC)
#: as this version writes it
WRITTEN = Slice(
    CampaignKey("acme", 1),
    dials=(
        Dial(
            CallKey("acme", 1, 17),
            1,
            Entry("tel:+12223334444;ani=7778889999", "march, née"),
            3,
            NOW + timedelta(microseconds=166_666),
            NOW + timedelta(seconds=2.166666),
            NOW + timedelta(minutes=1),
        ),
        Dial(CallKey("acme", 1, 18), 2, Entry("tel:+14443332222"), 3, NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE),
    ),
    reports=(Report(CallKey("acme", 1, 4), 2),),
    lease="leased-dial/2026-01-05T13:15:00/000000000018/mark",
)
GOOD = to_message(replace(WRITTEN, dials=WRITTEN.dials[:1]))


class TestVersions:
    """Each file in `messages` is as a version wrote it, or as a later one may. No file is ever changed."""

    def body(self, name: str) -> str:
        return (Path(__file__).parent / "messages" / name).read_text()

    def test_a_slice_is_written_as_in_the_file_of_this_version(self) -> None:
        assert json.loads(to_message(WRITTEN)) == json.loads(self.body("version-2-lease.json"))

    def test_a_message_of_this_version_is_read(self) -> None:
        assert from_message(self.body("version-2-lease.json")) == WRITTEN

    @pytest.mark.parametrize(("name", "spread"), [("version-2.json", 1), ("version-2-spread.json", 14)])
    def test_the_earlier_name_of_the_lease_in_version_2_is_read(self, name: str, spread: int) -> None:
        lease = "handed-dial/2026-01-05T13:15:00/000000000018/mark"
        assert from_message(self.body(name)) == replace(WRITTEN, lease=lease, spread=spread)

    def test_the_spread_is_written_only_for_several_partitions(self) -> None:
        spread = replace(WRITTEN, spread=14)
        assert json.loads(to_message(spread)) == json.loads(self.body("version-2-lease-spread.json"))
        assert from_message(self.body("version-2-lease-spread.json")) == spread
        assert "spread" not in to_message(WRITTEN)

    def test_a_call_of_version_1_is_read(self) -> None:
        dial = replace(WRITTEN.dials[0], attempt=1)
        expected = Slice(CampaignKey("acme", 1), dials=(dial,))
        assert from_message(self.body("version-1-dial.json")) == expected

    @pytest.mark.parametrize(
        ("name", "lease"),
        [
            ("version-1-dial-without-late.json", "handed-dial/2026-01-05T13:15:00/000000000017/mark"),
            ("version-1-dial-without-slip.json", None),
        ],
    )
    def test_the_earliest_calls_of_version_1_may_begin_two_seconds_late(self, name: str, lease: str | None) -> None:
        expected = Slice(CampaignKey("acme", 1), dials=(replace(WRITTEN.dials[0], attempt=1),), lease=lease)
        assert from_message(self.body(name)) == expected

    def test_a_call_without_a_start_deadline_begins_before_it_expires(self) -> None:
        expires = "2026-01-05T13:00:01+00:00"
        body = self.body("version-1-dial-without-slip.json").replace("2026-01-05T13:01:00+00:00", expires)
        slice_ = from_message(body)
        assert isinstance(slice_, Slice)
        (dial,) = slice_.dials
        assert dial.start_deadline == dial.expires == datetime.fromisoformat(expires)

    @pytest.mark.parametrize(
        ("name", "attempt", "lease"),
        [
            ("version-1-report.json", 2, "handed-report/2026-01-05T13:15:00/000000000004/mark"),
            ("version-1-report-without-attempt.json", 1, "handed-report/2026-01-05T13:15:00/000000000004/mark"),
            ("version-1-report-without-slip.json", 1, None),
        ],
    )
    def test_a_report_of_version_1_is_read(self, name: str, attempt: int, lease: str | None) -> None:
        report = replace(WRITTEN.reports[0], attempt=attempt)
        assert from_message(self.body(name)) == Slice(CampaignKey("acme", 1), reports=(report,), lease=lease)

    def test_a_missing_field_has_its_default(self) -> None:
        first = replace(WRITTEN.dials[0], attempt=1)
        assert from_message(self.body("version-2-sparse.json")) == Slice(CampaignKey("acme", 1), dials=(first,))

    def test_a_refill_is_written_as_in_the_file_and_read_back(self) -> None:
        refill = Refill(CampaignKey("acme", 1), NOW + timedelta(seconds=4.5), 0.5)
        assert json.loads(to_message(refill)) == json.loads(self.body("version-2-refill.json"))
        assert from_message(self.body("version-2-refill.json")) == refill

    def test_an_unknown_field_is_ignored(self) -> None:
        lease = "handed-dial/2026-01-05T13:15:00/000000000018/mark"
        assert from_message(self.body("version-2-with-more.json")) == replace(WRITTEN, lease=lease)

    def test_a_message_of_a_newer_version_is_not_read(self) -> None:
        with pytest.raises(Newer):
            from_message(self.body("version-5.json"))

    def test_a_message_with_the_report_of_an_attempt_is_of_version_3(self) -> None:
        ended = EndedAttempt(2, NOW, Outcome(Result.FAILED, "no_answer"))
        slice_ = Slice(
            CampaignKey("acme", 1),
            reports=(Report(CallKey("acme", 1, 4), 2), Report(CallKey("acme", 1, 5), 1, ended)),
            lease="leased-report/2026-01-05T13:15:00/000000000004/mark",
        )
        assert json.loads(to_message(slice_)) == json.loads(self.body("version-3-attempt-reports.json"))
        assert from_message(self.body("version-3-attempt-reports.json")) == slice_

    def test_a_message_with_the_times_of_an_entry_is_of_version_4(self) -> None:
        first = WRITTEN.dials[0]
        timed = first.entry._replace(not_before=NOW, expires=NOW + timedelta(days=1))
        slice_ = Slice(CampaignKey("acme", 1), dials=(replace(first, entry=timed),))
        assert json.loads(to_message(slice_)) == json.loads(self.body("version-4-entry-times.json"))
        assert from_message(self.body("version-4-entry-times.json")) == slice_


@pytest.mark.parametrize(
    "body",
    [
        "",
        "rubbish",
        "null",
        "[]",
        "{}",
        '{"dial": 1}',
        '{"fax": {}}',
        '{"version": 2}',
        '{"version": "two"}',
        '{"version": null, "account": "acme", "campaign_id": 1}',
        GOOD.replace("due", "dew"),
        GOOD.replace("+00:00", ""),
        GOOD.replace('"attempt": 1', '"attempt": Infinity'),
        GOOD.replace('"generation"', '"gen"'),
        GOOD[:-1] + ', "spread": 0}',
        GOOD[:-1] + ', "refill": {}}',
        GOOD[:-1] + ', "refill": {"until": "2026-01-05T13:00:04+00:00", "part": 2}}',
        "[" * 100_000,
    ],
)
def test_a_message_that_no_pacer_wrote_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str))
def test_any_other_text_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


def dials(*seconds: float, campaign: int = 1) -> list[Dial]:
    dues = [NOW + timedelta(seconds=second) for second in seconds]
    return [
        Dial(CallKey("acme", campaign, sequence), 1, Entry("tel:+12223334444"), 1, due, due, due)
        for sequence, due in enumerate(dues)
    ]


def test_calls_that_are_not_late_begin_when_they_are_due() -> None:
    early = dials(1, 2, 3)
    assert begins(early, NOW) == {dial: dial.due for dial in early}


def test_late_calls_begin_as_far_apart_as_they_were_due() -> None:
    late = dials(-2, -1.5, 0, 5)
    begun = [(begin - NOW).total_seconds() for begin in begins(reversed(late), NOW).values()]
    assert begun == [0, 0.5, 2, 5 + 2]
