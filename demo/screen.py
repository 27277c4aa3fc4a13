"""What the demo shows: a live picture on a terminal, a line every five seconds elsewhere, and at last a summary."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.record import Call, Event, Report, State, states
from demo.summary import Summary

#: the most seconds from one tick of the local deployment's pacer to the next
TICK = 70
#: how many of the last seconds are drawn
_DRAWN = 42
#: the seconds over which the current pace is measured
_RECENT = 3
#: seconds between two lines
_PAUSE = 5.0
#: how many reports are shown one by one
_LATEST = 3
#: the picture's width: it fits a terminal of 80 columns and 24 lines
_WIDTH = 80
#: the width of a bar that is as long as all numbers
_BAR = 32
#: the states of calls that aren't over
_UNDER_WAY = (State.RINGING, State.TALKING)
_COLUMNS = "▁▂▃▄▅▆▇█"
_STYLES = {"completed": "green", "failed": "yellow"}
_STATE_STYLES = {
    State.RINGING: "cyan",
    State.TALKING: "bold cyan",
    State.BUSY: "yellow",
    State.NO_ANSWER: "yellow",
    State.COMPLETED: "green",
    State.FAILED: "red",
}


@dataclass(frozen=True)
class View:
    """What the demo knows at one moment; times are Unix seconds."""

    now: float
    #: when the campaign was started
    started: float
    #: when the demo gives up
    ends: float
    campaign: int
    numbers: int
    #: calls a second
    planned: float
    calls: Sequence[Call]
    events: Sequence[Event]
    reports: Sequence[Report]

    @cached_property
    def called(self) -> int:
        """How many numbers are called; a retry doesn't count."""
        return len({call.id for call in self.calls})

    @cached_property
    def retried(self) -> int:
        """How many numbers are called again."""
        return len({call.id for call in self.calls if call.attempt > 1})

    @cached_property
    def reported(self) -> int:
        """How many numbers are reported; a repeated report doesn't count."""
        return len({report.id for report in self.reports})

    @cached_property
    def counts(self) -> Counter[State]:
        """How many numbers are in each state."""
        return Counter(state for _, state in self._states)

    @cached_property
    def waiting_in(self) -> Counter[State]:
        """How many numbers of each state wait for a retry."""
        return Counter(state for call, state in self._states if call.is_retried and state not in _UNDER_WAY)

    @property
    def waiting(self) -> int:
        """How many numbers wait for a retry."""
        return self.waiting_in.total()

    @property
    def under_way(self) -> int:
        """How many calls ring or are answered."""
        return sum(self.counts[state] for state in _UNDER_WAY)

    @cached_property
    def pace(self) -> float:
        """Calls a second over the last seconds."""
        return sum(call.at > self.now - _RECENT for call in self.calls) / _RECENT

    @property
    def status(self) -> str:
        """What happens now, or what the demo waits for."""
        if not self.calls:
            left = self.started + TICK - self.now
            soon = f"within {clock(left)}" if left > 0 else "any moment"
            return f"waiting for the pacer's next tick: {soon}"
        if self.called < self.numbers:
            if not self.pace:
                return "waiting for the pacer's next tick: some calls were deferred"
            return "calling, faster to catch up" if self.pace > 1.5 * self.planned else "calling"
        if self.under_way:
            return "all numbers are called; some calls are still under way"
        if self.waiting:
            if self.pace:
                return "calling the busy and unanswered numbers again"
            return "waiting for the retries: a minute after each call, and then for a tick"
        if self.reported < self.numbers:
            return "all calls are over; waiting for the last reports"
        return "all outcomes are reported; checking that no number is called again"

    @cached_property
    def _states(self) -> Sequence[tuple[Call, State]]:
        return states(self.calls, self.events)


@contextmanager
def screen(console: Console) -> Iterator[Callable[[View], None]]:
    """A function that shows a view; call it several times a second."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda view: live.update(picture(view), refresh=True)
    else:
        yield _Lines(console)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{seconds:02d}"


def line(view: View) -> str:
    elapsed = clock(view.now - view.started)
    if not view.calls:
        return f"{elapsed}  {view.status}"
    pace = f"called {view.called} of {view.numbers}, {view.pace:.1f} a second ({view.planned:.1f} planned)"
    counts = {
        **{str(state): view.counts[state] for state in State},
        "waiting for a retry": view.waiting,
        "called again": view.retried,
        "reported": view.reported,
    }
    shown = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{elapsed}  {pace}: {shown}; {view.status}"


def picture(view: View) -> RenderableType:
    elapsed, end = clock(view.now - view.started), clock(view.ends - view.started)
    return Panel(
        Group(_bars(view), Text(), _states(view), Text(), _latest_reports(view), Text(), _status(view)),
        title=f"callpacer: campaign {view.campaign}, {view.numbers} numbers, {view.planned:.1f} calls a second",
        subtitle=f"{elapsed}; ends by itself, by {end} at the latest; Ctrl-C ends it now",
        box=ROUNDED,
        border_style="dim",
        width=_WIDTH,
    )


def summary_text(summary: Summary, planned: float) -> Text:
    """What the demo prints at the end: its result and the figures. `planned` is calls a second."""
    if summary.faults:
        result = Text("\n").join(Text.assemble(("✗ ", "bold red"), fault) for fault in summary.faults)
    else:
        passed = "Every number was called once, the busy and unanswered ones again, and every outcome reported."
        result = Text.assemble(("✓ ", "bold green"), (passed, "bold"))
    figures = (
        ("numbers", str(summary.numbers), ""),
        ("calls", str(summary.calls), f"  {summary.retries} of them retries"),
        ("called twice", str(summary.called_twice), "  in one attempt"),
        ("never called", str(summary.never_called), ""),
        ("reports", str(summary.reports), ""),
        ("longest gap", f"{summary.longest_gap:.2f}", f"  seconds; {1 / planned:.2f} planned"),
        ("fullest second", str(summary.fullest_second), f"  calls; {planned:.1f} planned, twice that to catch up"),
    )
    lines = Text("\n").join(
        Text.assemble(f"  {name:<16}{figure:>8}", (remark, "dim")) for name, figure, remark in figures
    )
    return Text.assemble("\n", result, "\n\n", lines, "\n")


def columns(view: View) -> str:
    """The last whole seconds, each as a column: half height is the planned pace."""
    counts = Counter(int(call.at - view.started) for call in view.calls)
    present = int(view.now - view.started)
    shares = [counts[second] / view.planned for second in range(present - _DRAWN, present)]
    return "".join(_column(share) for share in shares)


def _column(share: float) -> str:
    height = round(share * len(_COLUMNS) / 2)
    return _COLUMNS[min(max(height, 1), len(_COLUMNS)) - 1] if share else " "


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._last: View | None = None

    def __call__(self, view: View) -> None:
        if self._last is None or view.now - self._last.now >= _PAUSE:
            self._last = view
            self._console.print(line(view), highlight=False, soft_wrap=True)


def _bars(view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=12)
    grid.add_column(width=_DRAWN)
    grid.add_column(no_wrap=True)
    for name, done, total, style in (
        ("called", view.called, view.numbers, "cyan"),
        ("called again", view.retried, view.retried + view.waiting, "cyan"),
        ("reported", view.reported, view.numbers, "green"),
    ):
        bar = ProgressBar(max(total, 1), done, width=_DRAWN, complete_style=style, finished_style=style)
        grid.add_row(name, bar, f"{done} of {total}")
    grid.add_row()
    pace = Text.assemble((f"{view.pace:.1f}", "bold"), f" ({view.planned:.1f} planned)")
    grid.add_row("a second", Text(columns(view), style="cyan"), pace)
    return grid


def _states(view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(width=12)
    grid.add_column(width=5, justify="right")
    grid.add_column(no_wrap=True)
    for state, style in _STATE_STYLES.items():
        count, waiting = view.counts[state], view.waiting_in[state]
        bar = ("■" * round(count / view.numbers * _BAR), style)
        remark = f"  {waiting} wait for a retry" if waiting else ""
        grid.add_row(Text(state, style=style), str(count), Text.assemble(bar, remark))
    return grid


def _latest_reports(view: View) -> RenderableType:
    """The newest is at the bottom."""
    grid = Table.grid(padding=(0, 2))
    for width in (31, 14, 9):
        grid.add_column(width=width, no_wrap=True)
    grid.add_column(no_wrap=True)
    latest = view.reports[-_LATEST:]
    for report in latest:
        result = report.outcome.result
        detail = report.outcome.callee_type if result == "completed" else report.outcome.reason
        style = _STYLES.get(result, "red")
        grid.add_row(report.number.destination, report.number.reference, Text(result, style=style), detail, style="dim")
    for _ in range(_LATEST - len(latest)):
        grid.add_row()
    return grid


def _status(view: View) -> RenderableType:
    explanation = "Each minute the pacer dispatches the calls due before its next tick."
    return Group(Text(view.status, style="bold"), Text(explanation, style="dim"))
