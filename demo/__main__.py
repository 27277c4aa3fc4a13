"""Shows callpacer at work: it calls a few hundred numbers while you watch, and the busy and unanswered ones again.

    python -m demo [--state DIR] [--numbers N] [--per-minute N]

The demo is a customer of the local deployment that runs here, or of one that it starts. By HTTP it creates a schedule,
a profile and a campaign with numbers, and starts the campaign. Its own small web server is start_url and result_url, so
it sees every call and report, and posts the events of calls that last. At the end it checks them, and deletes what it
has created. It ends by itself, after about three minutes: up to one until the pacer's next tick, and two until the tick
that dispatches the retries.
"""

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from rich.console import Console

from chalicelib.storage.database import Database
from chalicelib.storage.tokens import Tokens
from demo.customer import Customer, Refused
from demo.numbers import MAX_NUMBERS, numbers, numbers_file
from demo.record import GAP
from demo.screen import TICK, View, clock, screen, summary_text
from demo.summary import Summary, summarize
from demo.tenant import Tenant
from infra.accounts import open_account
from infra.local.deployment import ACCOUNT, LocalDeployment, LocalDeploymentFailed
from infra.local.emulator import client
from infra.local.state import DEFAULT, StateDirectory

#: seconds between two updates of the screen
_PAUSE = 0.2
#: seconds for which the demo waits for a surplus call after all outcomes are reported
_QUIET = 3.0
#: seconds that the demo may take longer than planned
_SPARE = 20


@dataclass(frozen=True)
class Callpacer:
    """A callpacer that runs."""

    url: str
    database: Database
    #: raises LocalDeploymentFailed if it has died
    check: Callable[[], None]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    console = Console(highlight=False)
    try:
        with _callpacer(options.state) as callpacer, _token(callpacer.database) as (token, secret):
            customer = Customer(callpacer.url, token)
            summary = _show(console, callpacer, customer, Tenant(secret), options.numbers, options.per_minute)
            console.print(summary_text(summary, options.per_minute / 60), soft_wrap=True)
    except KeyboardInterrupt:
        _print_progress("interrupted")
        return 1
    except (OSError, Refused, LocalDeploymentFailed) as error:
        _print_progress(str(error))
        return 1
    return 1 if summary.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--state", type=Path, default=DEFAULT, help=f"the directory of the local deployment ({DEFAULT})"
    )
    parser.add_argument("--numbers", type=_number, default=240, metavar="N", help="how many numbers to call (240)")
    parser.add_argument("--per-minute", type=_number, default=180, metavar="N", help="how many calls a minute (180)")
    return parser


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_NUMBERS):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MAX_NUMBERS}")
    return int(text)


def _show(
    console: Console, callpacer: Callpacer, customer: Customer, tenant: Tenant, count: int, per_minute: int
) -> Summary:
    with tenant, customer.campaign(numbers_file(count), per_minute, tenant.start_url, tenant.result_url) as campaign:
        customer.start(campaign)
        started = time.time()
        ends = started + time_limit(count, per_minute)
        with screen(console) as show:
            while True:
                callpacer.check()
                view = View(
                    now=time.time(),
                    started=started,
                    ends=ends,
                    campaign=campaign,
                    numbers=count,
                    planned=per_minute / 60,
                    calls=list(tenant.calls),
                    events=list(tenant.events),
                    reports=list(tenant.reports),
                )
                show(view)
                if view.now >= ends or is_over(view):
                    break
                time.sleep(_PAUSE)
        counted = customer.progress(campaign)
        summary = summarize(numbers(count), list(tenant.calls), list(tenant.events), list(tenant.reports), counted)
    if is_over(view):
        return summary
    return replace(summary, faults=(*summary.faults, f"The demo gave up after {clock(ends - started)}."))


def time_limit(count: int, per_minute: int) -> float:
    """How many seconds the demo may take.

    A tick, then the calls, or one more tick for those that were deferred; then the gap of the retries, and their tick.
    """
    return TICK + max(count / per_minute * 60, TICK) + GAP + TICK + _SPARE


def is_over(view: View) -> bool:
    """True if all numbers are called, all outcomes are reported, and no request has come for a while."""
    if view.reported < view.numbers or view.called < view.numbers or view.under_way or view.waiting:
        return False
    return view.now - max(view.calls[-1].at, view.reports[-1].at) >= _QUIET


@contextmanager
def _callpacer(state: Path) -> Iterator[Callpacer]:
    running = StateDirectory(state).running()
    if running is not None:

        def check() -> None:
            if StateDirectory(state).running() != running:
                raise LocalDeploymentFailed("The deployment was stopped, and keeps what the demo has created.")

        _print_progress(f"the demo uses {running.url}")
        yield Callpacer(running.url, Database(running.tables, client("dynamodb", running.endpoint)), check)
        return
    _print_progress(f"no local deployment runs with {state}, so the demo starts one")
    with (
        TemporaryDirectory(prefix="callpacer-") as directory,
        LocalDeployment(Path(directory), progress=_print_progress) as deployment,
    ):
        yield Callpacer(deployment.url, deployment.database(), deployment.check)
        _print_progress("stopping")


@contextmanager
def _token(database: Database) -> Iterator[tuple[str, str]]:
    """A token, which is revoked at the end, and the secret of its account."""
    token, secret = open_account(database, ACCOUNT)
    failed = False
    try:
        yield token, secret
    except LocalDeploymentFailed:
        failed = True  # there is no database to revoke it in
        raise
    finally:
        if not failed:
            Tokens(database).revoke(ACCOUNT, token)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print_progress(line: str) -> None:
    print(f"callpacer: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
