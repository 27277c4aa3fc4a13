"""What the demo shows, and when it ends."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from demo.__main__ import is_over, longest, main
from demo.judge import Call, Number, Outcome, Report, Summary
from demo.screen import TICK, View, columns, line, screen, verdict

STARTED = 1000.0
PERSON = Outcome("completed", "http_200", "voice", "42")
BUSY = Outcome("failed", "http_486", "unknown", "0")


def call(place: int, at: float) -> Call:
    number = Number(f"tel:+1222333{place:04d}", f"demo-{place:04d}")
    return Call(STARTED + at, number, str(place), True, BUSY if place % 2 else PERSON)


def report(of: Call) -> Report:
    return Report(of.at + 0.2, of.number, of.id, True, of.outcome)


def view(now: float, *at: float, reported: int | None = None) -> View:
    """Of a campaign of four numbers, at two calls a second; times are seconds after its start."""
    calls = [call(place, instant) for place, instant in enumerate(at)]
    return View(
        now=STARTED + now,
        started=STARTED,
        ends=STARTED + 150,
        campaign=7,
        numbers=4,
        planned=2.0,
        calls=calls,
        reports=[report(one) for one in calls[:reported]],
    )


def printed(what: object, **options: bool) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False, **options)  # type: ignore[arg-type]
    console.print(what, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (view(0), f"waiting for the pacer's next tick: within 1:{TICK - 60}"),
        (view(69), "waiting for the pacer's next tick: within 0:01"),
        (view(75), "waiting for the pacer's next tick: any moment"),
        (view(61, 60, 60.5), "calling"),
        (view(66, 60, 60.5, 61), "waiting for the pacer's next tick: some were held up"),
        (view(62, 60, 60.5, 61, 61.5, reported=1), "all are called; waiting for the last reports"),
        (view(62, 60, 60.5, 61, 61.5), "all is told; listening whether anybody is called again"),
    ],
)
def test_the_status_says_what_is_waited_for(moment: View, status: str) -> None:
    assert moment.status == status
    assert line(moment).endswith(status)


def test_a_line_says_how_far_it_is() -> None:
    said = "1:02  called 3 of 4, 1.0 a second (2.0 planned), reported 2; calling"
    assert line(view(62, 60, 60.5, 61, reported=2)) == said


def test_a_pace_far_above_the_plan_is_explained() -> None:
    faster = replace(view(61, *(60 + place / 10 for place in range(10))), numbers=20)
    assert faster.pace > 1.5 * faster.planned
    assert faster.status == "calling, faster to catch up"


def test_a_report_that_comes_again_is_counted_once() -> None:
    again = view(62, 60, 60.5)
    assert replace(again, reports=[*again.reports, *again.reports]).reported == 2


def test_each_whole_second_is_a_column_of_half_height_at_the_planned_pace() -> None:
    assert columns(view(65, 61.0, 61.5, 63.2, 64.1, 64.2, 64.3, 64.9)).endswith(" ▄ ▂█")
    assert len(columns(view(65))) == len(columns(view(0)))


def test_the_second_under_way_is_not_drawn_yet() -> None:
    assert columns(view(64.9, 64.0)).strip() == ""


def test_a_fault_of_pace_stays_in_the_picture() -> None:
    assert columns(view(2, *([1.0] * 100)))[-1] == "█"


def test_on_a_terminal_there_is_a_picture_with_all_that_is_known() -> None:
    console = Console(file=io.StringIO(), width=100, height=50, force_terminal=True, color_system=None, _environ={})
    with screen(console) as show:
        show(view(62, 60, 60.5, 61, reported=2))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    for what in ("campaign 7", "3 of 4", "2 of 4", "(2.0 planned)", "tel:+12223330001", "http_486", "by 2:30"):
        assert what in shown
    assert "tel:+12223330002" not in shown, "it isn't reported yet"


def test_an_outcome_that_nobody_expected_is_shown_too() -> None:
    console = Console(file=io.StringIO(), width=100, height=50, force_terminal=True, color_system=None, _environ={})
    moment = view(62, 60)
    uncertain = replace(moment.reports[0], outcome=Outcome("uncertain", "timeout", "unknown", "0"))
    with screen(console) as show:
        show(replace(moment, reports=[uncertain]))
    assert isinstance(console.file, io.StringIO)
    assert "timeout" in console.file.getvalue()


def test_elsewhere_there_is_a_line_every_five_seconds() -> None:
    console = Console(file=io.StringIO(), width=40)
    with screen(console) as show:
        for tenths in range(0, 120, 2):
            show(view(tenths / 10))
    assert isinstance(console.file, io.StringIO)
    assert [row.split()[0] for row in console.file.getvalue().splitlines()] == ["0:00", "0:05", "0:10"]


SUMMARY = Summary(
    numbers=4, calls=4, reports=4, called_twice=0, never_called=0, longest_gap=0.523, fullest_second=3, faults=()
)


def test_the_last_word_has_the_figures() -> None:
    assert printed(verdict(SUMMARY, 2.0)).splitlines() == [
        "",
        "✓ Every number was called exactly once, and every outcome reported.",
        "",
        "  numbers                4",
        "  calls                  4",
        "  called twice           0",
        "  never called           0",
        "  reports                4",
        "  longest gap         0.52  seconds; 0.50 planned",
        "  fullest second         3  calls; 2.0 planned, twice that to catch up",
        "",
    ]


def test_the_last_word_has_every_fault_and_no_praise() -> None:
    said = printed(verdict(replace(SUMMARY, faults=("One.", "Two.")), 2.0))
    assert said.splitlines()[1:3] == ["✗ One.", "✗ Two."]
    assert "✓" not in said


def test_it_is_over_when_all_are_called_and_told_and_nothing_more_has_come_for_three_seconds() -> None:
    done = (60, 60.5, 61, 61.5)
    assert not is_over(view(90, *done[:3]))
    assert not is_over(view(90, *done, reported=3))
    assert not is_over(view(64.6, *done))
    assert is_over(view(64.8, *done))


def test_a_call_too_many_is_waited_for_as_well() -> None:
    assert not is_over(view(64.8, 60, 60.5, 61, 61.5, 64, reported=4))


@pytest.mark.parametrize(("numbers", "per_minute", "seconds"), [(300, 300, 150), (10, 600, 150), (1000, 250, 320)])
def test_it_never_takes_longer_than_two_ticks_or_one_and_all_calls(numbers: int, per_minute: int, seconds: int) -> None:
    assert longest(numbers, per_minute) == seconds


@pytest.mark.parametrize("option", ["--numbers", "--per-minute"])
@pytest.mark.parametrize("value", ["0", "-1", "10001", "1.5", "many", "²"])
def test_what_it_cannot_do_is_refused_at_once(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main([f"{option}={value}"])
    assert refused.value.code == 2
    assert "a whole number from 1 to 10000" in capsys.readouterr().err
