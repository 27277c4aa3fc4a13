"""Runs many stories on all cores, with a progress bar.

    python -m tests.simulation [--seeds 10000] [--first 0] [--crashes 20] [--controls 2000]

Prints each seed that breaks a promise, and the promise. Exits with 1 if there is one, or if a control isn't noticed.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import Pool
from multiprocessing.pool import Pool as Workers
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.simulation.checker import faults
from tests.simulation.controls import CONTROLS, Control
from tests.simulation.simulation import Simulation
from tests.simulation.story import Story

T = TypeVar("T")


@dataclass
class Tally:
    """The counts of some stories."""

    stories: int = 0
    boundaries: int = 0
    crashes: int = 0
    timeouts: int = 0
    calls: int = 0
    reports: int = 0
    uncertain: int = 0
    #: the broken promises of each story that has any, by the expression that repeats the story
    broken: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, story: Story) -> "Tally":
        found = faults(story)
        return cls(
            stories=1,
            boundaries=story.faults.boundaries,
            crashes=story.faults.crashes,
            timeouts=story.timeouts,
            calls=len(story.tenant.calls),
            reports=len(story.tenant.reports),
            uncertain=sum(call["state"] == "uncertain" for call in story.calls),
            broken={name: found} if found else {},
        )

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)
        self.broken |= other.broken


def run_story(seed: int) -> Tally:
    return Tally.of(f"Simulation({seed})", Simulation(seed).run())


def crash_everywhere(seed: int) -> Tally:
    """Run the seed's short story once for each of its boundaries, with a crash there."""
    tally = Tally()
    for crash_at in range(Simulation(seed, crash_at=-1).run().faults.boundaries):
        story = Simulation(seed, crash_at=crash_at).run()
        tally.add(Tally.of(f"Simulation({seed}, crash_at={crash_at})", story))
    return tally


def seeds_until_noticed(most: int, index: int) -> int | None:
    """How many stories it takes to notice a control; None if it isn't. The safeguard stays removed in this process."""
    control: Control = CONTROLS[index]
    control.apply(setattr)
    return next((seed + 1 for seed in range(most) if faults(Simulation(seed).run())), None)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many stories")
    parser.add_argument("--first", type=int, default=0, help="the first one's seed")
    parser.add_argument("--crashes", type=int, default=20, help="how many short stories crash at each boundary in turn")
    parser.add_argument("--controls", type=int, default=2_000, help="in how many stories a control must be noticed")
    asked = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    console = Console()
    everything = Tally()
    with Pool(os.cpu_count()) as workers, _progress(console) as progress:
        for title, function, seeds in (
            ("stories", run_story, range(asked.first, asked.first + asked.seeds)),
            ("a crash at each boundary", crash_everywhere, range(asked.crashes)),
        ):
            tally = Tally()
            for one in _each(progress, workers, title, function, seeds):
                tally.add(one)
                for name, found in one.broken.items():
                    progress.console.print(f"[red]{name}[/]: {found}", highlight=False)
            progress.console.print(f"{title}: {_summary(tally)}", highlight=False)
            everything.add(tally)
    unnoticed = _run_controls(console, asked.controls) if asked.controls else 0
    return 1 if everything.broken or unnoticed else 0


def _run_controls(console: Console, most: int) -> int:
    """How many controls aren't noticed within so many stories."""
    unnoticed = 0
    # Each has a process of its own, in which its safeguard stays removed.
    with Pool(os.cpu_count(), maxtasksperchild=1) as workers, _progress(console) as progress:
        indexes = range(len(CONTROLS))
        noticed = _each(progress, workers, "controls", partial(seeds_until_noticed, most), indexes)
        for control, seeds in zip(CONTROLS, noticed, strict=True):
            unnoticed += seeds is None
            found = f"noticed after {seeds} seeds" if seeds else f"[red]not noticed in {most} seeds[/]"
            progress.console.print(f"without «{control.missing}»: {found}", highlight=False)
    return unnoticed


def _each(
    progress: Progress, workers: Workers, title: str, function: Callable[[int], T], things: Iterable[int]
) -> Iterable[T]:
    return progress.track(workers.imap(function, things, chunksize=1), total=len(list(things)), description=title)


def _progress(console: Console) -> Progress:
    columns: list[Any] = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    return Progress(*columns, console=console)


def _summary(tally: Tally) -> str:
    figures = {name: value for name, value in vars(tally).items() if isinstance(value, int)}
    return ", ".join(f"{value} {name}" for name, value in figures.items()) + f", {len(tally.broken)} broken"


if __name__ == "__main__":
    sys.exit(main())
