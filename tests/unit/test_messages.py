"""Messages between the pacer and the dialer."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.domain.keys import CallKey, CampaignKey
from chalicelib.domain.messages import Dial, Newer, Report, Slice, Unreadable, begins, from_message, to_message
from chalicelib.domain.models import Entry

MINUTE = timedelta(minutes=1)
KEYS = st.builds(CallKey, st.text(), st.integers(1, 10**6), st.integers(0, 2**32 - 1))
#: entries as they are stored: a reference has neither line ends nor outer spaces
ENTRIES = st.builds(Entry, st.just("tel:+12223334444;ani=7778889999"), st.text("ab,;é🎉 ", max_size=20))
INSTANTS = st.datetimes(timezones=st.just(UTC))


DIALS = st.builds(Dial, KEYS, st.integers(1, 11), ENTRIES, st.just(3), INSTANTS, INSTANTS, INSTANTS)


@given(
    st.text(),
    st.integers(1, 10**6),
    st.lists(DIALS, max_size=3),
    st.lists(st.builds(Report, KEYS, st.integers(1, 10)), max_size=3),
    st.none() | st.text(),
    st.integers(1, 32),
)
def test_a_slice_is_read_back_as_it_was_written(
    account: str, campaign_id: int, dials: list[Dial], reports: list[Report], lease: str | None, spread: int
) -> None:
    ours = Slice(
        CampaignKey(account, campaign_id),
        tuple(replace(dial, key=CallKey(account, campaign_id, dial.key.sequence)) for dial in dials),
        tuple(replace(report, key=CallKey(account, campaign_id, report.key.sequence)) for report in reports),
        lease,
        spread,
    )
    assert from_message(to_message(ours)) == ours


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
    """Each file in `messages` is as some version wrote it, or may write it one day. None is ever changed."""

    def body(self, name: str) -> str:
        return (Path(__file__).parent / "messages" / name).read_text()

    def test_what_is_written_is_what_the_file_of_this_version_has(self) -> None:
        assert json.loads(to_message(WRITTEN)) == json.loads(self.body("version-2-lease.json"))

    def test_this_version_is_read(self) -> None:
        assert from_message(self.body("version-2-lease.json")) == WRITTEN

    @pytest.mark.parametrize(("name", "spread"), [("version-2.json", 1), ("version-2-spread.json", 14)])
    def test_a_lease_is_read_by_the_name_that_version_2_first_had_for_it(self, name: str, spread: int) -> None:
        lease = "handed-dial/2026-01-05T13:15:00/000000000018/mark"
        assert from_message(self.body(name)) == replace(WRITTEN, lease=lease, spread=spread)

    def test_the_spread_is_written_only_where_there_are_several_partitions(self) -> None:
        spread = replace(WRITTEN, spread=14)
        assert json.loads(to_message(spread)) == json.loads(self.body("version-2-lease-spread.json"))
        assert from_message(self.body("version-2-lease-spread.json")) == spread
        assert "spread" not in to_message(WRITTEN)

    def test_a_single_call_as_version_1_wrote_it(self) -> None:
        dial = replace(WRITTEN.dials[0], attempt=1)
        expected = Slice(CampaignKey("acme", 1), dials=(dial,))
        assert from_message(self.body("version-1-dial.json")) == expected

    def test_a_single_report_as_version_1_wrote_it(self) -> None:
        lease = "handed-report/2026-01-05T13:15:00/000000000004/mark"
        assert from_message(self.body("version-1-report.json")) == Slice(
            CampaignKey("acme", 1), reports=WRITTEN.reports, lease=lease
        )

    def test_what_is_left_out_has_its_default(self) -> None:
        first = replace(WRITTEN.dials[0], attempt=1)
        assert from_message(self.body("version-2-sparse.json")) == Slice(CampaignKey("acme", 1), dials=(first,))

    def test_what_a_later_change_adds_is_left_alone(self) -> None:
        lease = "handed-dial/2026-01-05T13:15:00/000000000018/mark"
        assert from_message(self.body("version-2-with-more.json")) == replace(WRITTEN, lease=lease)

    def test_a_newer_version_is_left_to_newer_code(self) -> None:
        with pytest.raises(Newer):
            from_message(self.body("version-3.json"))


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
        "[" * 100_000,
    ],
)
def test_what_no_pacer_wrote_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(str))
def test_no_message_can_do_worse_than_be_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        from_message(body)


def dials(*seconds: float, campaign: int = 1) -> list[Dial]:
    dues = [NOW + timedelta(seconds=second) for second in seconds]
    return [
        Dial(CallKey("acme", campaign, place), 1, Entry("tel:+12223334444"), 1, due, due, due)
        for place, due in enumerate(dues)
    ]


def test_calls_on_time_are_begun_at_their_instants() -> None:
    early = dials(1, 2, 3)
    assert begins(early, NOW) == {dial: dial.due for dial in early}


def test_calls_that_come_late_together_are_begun_as_far_apart_as_they_were_meant_to_be() -> None:
    late = dials(-2, -1.5, 0, 5)
    begun = [(begin - NOW).total_seconds() for begin in begins(reversed(late), NOW).values()]
    assert begun == [0, 0.5, 2, 5 + 2]
