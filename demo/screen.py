"""What the demo shows while calls come in: a live picture on a terminal, a line now and then anywhere else."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from demo.judge import Call, Outcome, Report, Summary
from demo.tenant import ANSWERS

#: the longest that the local stack's pacer takes from one look to the next, in seconds
TICK = 70
#: how many of the last seconds are drawn
_DRAWN = 42
#: the seconds over which the pace is taken
_RECENT = 3
#: seconds between two lines
_PAUSE = 5.0
#: how many calls are shown one by one
_LAST = 3
#: as terminals have at least; their 24 lines are enough, too
_WIDTH = 80
_BAR = 32
_COLUMNS = "▁▂▃▄▅▆▇█"
_STYLES = {"completed": "green", "failed": "yellow"}


@dataclass(frozen=True)
class View:
    """All that is known at one moment; times are Unix seconds."""

    now: float
    #: when the campaign was started
    started: float
    #: when the demo ends, whatever is missing
    ends: float
    campaign: int
    numbers: int
    #: calls a second
    planned: float
    calls: Sequence[Call]
    reports: Sequence[Report]

    @property
    def reported(self) -> int:
        """How many calls; a report that came again doesn't count."""
        return len({report.id for report in self.reports})

    @property
    def pace(self) -> float:
        """Calls a second, just now."""
        return sum(call.at > self.now - _RECENT for call in self.calls) / _RECENT

    @property
    def status(self) -> str:
        """What goes on, or is being waited for."""
        if not self.calls:
            left = self.started + TICK - self.now
            soon = f"within {clock(left)}" if left > 0 else "any moment"
            return f"waiting for the pacer's next tick: {soon}"
        if len(self.calls) < self.numbers:
            if not self.pace:
                return "waiting for the pacer's next tick: some were held up"
            return "calling, faster to catch up" if self.pace > 1.5 * self.planned else "calling"
        if self.reported < self.numbers:
            return "all are called; waiting for the last reports"
        return "all is told; listening whether anybody is called again"


@contextmanager
def screen(console: Console) -> Iterator[Callable[[View], None]]:
    """What is to be called with a view several times a second."""
    if console.is_terminal and not console.is_dumb_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield lambda view: live.update(picture(view), refresh=True)
    else:
        yield _Lines(console)


def clock(seconds: float) -> str:
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    return f"{minutes}:{seconds:02d}"


def line(view: View) -> str:
    counts = f"called {len(view.calls)} of {view.numbers}, {view.pace:.1f} a second ({view.planned:.1f} planned)"
    what = f"{counts}, reported {view.reported}; {view.status}" if view.calls else view.status
    return f"{clock(view.now - view.started)}  {what}"


def picture(view: View) -> RenderableType:
    elapsed, end = clock(view.now - view.started), clock(view.ends - view.started)
    return Panel(
        Group(_bars(view), Text(), _outcomes(view), Text(), _last(view), Text(), _status(view)),
        title=f"callpacer: campaign {view.campaign}, {view.numbers} numbers, {view.planned:.1f} calls a second",
        subtitle=f"{elapsed}; ends by itself, by {end} at the latest; Ctrl-C ends it now",
        box=ROUNDED,
        border_style="dim",
        width=_WIDTH,
    )


def verdict(summary: Summary, planned: float) -> Text:
    """The demo's last word; `planned` is calls a second."""
    if summary.faults:
        said = Text("\n").join(Text.assemble(("✗ ", "bold red"), fault) for fault in summary.faults)
    else:
        whole = "Every number was called exactly once, and every outcome reported."
        said = Text.assemble(("✓ ", "bold green"), (whole, "bold"))
    figures = (
        ("numbers", str(summary.numbers), ""),
        ("calls", str(summary.calls), ""),
        ("called twice", str(summary.called_twice), ""),
        ("never called", str(summary.never_called), ""),
        ("reports", str(summary.reports), ""),
        ("longest gap", f"{summary.longest_gap:.2f}", f"  seconds; {1 / planned:.2f} planned"),
        ("fullest second", str(summary.fullest_second), f"  calls; {planned:.1f} planned, twice that to catch up"),
    )
    lines = Text("\n").join(
        Text.assemble(f"  {name:<16}{figure:>8}", (remark, "dim")) for name, figure, remark in figures
    )
    return Text.assemble("\n", said, "\n\n", lines, "\n")


def columns(view: View) -> str:
    """The last whole seconds, each as a column: half height is as planned."""
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
    for name, done, style in (("called", len(view.calls), "cyan"), ("reported", view.reported, "green")):
        bar = ProgressBar(view.numbers, done, width=_DRAWN, complete_style=style, finished_style=style)
        grid.add_row(name, bar, f"{done} of {view.numbers}")
    grid.add_row()
    pace = Text.assemble((f"{view.pace:.1f}", "bold"), f" ({view.planned:.1f} planned)")
    grid.add_row("a second", Text(columns(view), style="cyan"), pace)
    return grid


def _outcomes(view: View) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for width in (12, 16, 5):
        grid.add_column(width=width)
    grid.columns[2].justify = "right"
    told = {report.id: _kind(report.outcome) for report in view.reports}
    counts = Counter(told.values())
    for kind in dict.fromkeys([*(_kind(answer.outcome) for answer in ANSWERS), *counts]):
        result, detail = kind
        style = _STYLES.get(result, "red")
        length = round(counts[kind] / view.numbers * _BAR)
        grid.add_row(Text(result, style=style), detail, str(counts[kind]), Text("■" * length, style=style))
    return grid


def _kind(outcome: Outcome) -> tuple[str, str]:
    """The result, and what tells it apart from others."""
    return outcome.result, outcome.callee_type if outcome.result == "completed" else outcome.reason


def _last(view: View) -> RenderableType:
    """The calls that were reported last, the newest at the bottom."""
    grid = Table.grid(padding=(0, 2))
    for width in (31, 14, 9):
        grid.add_column(width=width, no_wrap=True)
    grid.add_column(no_wrap=True)
    last = view.reports[-_LAST:]
    for report in last:
        result, detail = _kind(report.outcome)
        style = _STYLES.get(result, "red")
        grid.add_row(report.number.destination, report.number.reference, Text(result, style=style), detail, style="dim")
    for _ in range(_LAST - len(last)):
        grid.add_row()
    return grid


def _status(view: View) -> RenderableType:
    explained = "The pacer hands over, each minute, the calls that are due until the next."
    return Group(Text(view.status, style="bold"), Text(explained, style="dim"))
