"""Shows callpacer at work: a few hundred numbers go out before your eyes, each of them once.

    python -m demo [--state DIR] [--numbers N] [--per-minute N]

It is a customer of the local stack that runs here, or of one that it starts: uploads a list, makes schedule, profile
and campaign by HTTP, and starts it. Its own small web server is start_url and result_url, so it sees what comes, and
judges in the end. It ends by itself in about two minutes and leaves nothing behind.
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
from demo.judge import Summary, judge
from demo.numbers import MOST, file, numbers
from demo.screen import TICK, View, clock, screen, verdict
from demo.tenant import Tenant
from infra.accounts import open_account
from infra.local.deployment import ACCOUNT, LocalDeployment, LocalDeploymentFailed
from infra.local.emulator import client
from infra.local.state import DEFAULT, StateDirectory

#: seconds between two pictures
_PAUSE = 0.2
#: seconds in which nothing more may come when all is done
_QUIET = 3.0
#: seconds that it may take longer than planned
_SPARE = 10


@dataclass(frozen=True)
class Callpacer:
    """One that runs."""

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
            console.print(verdict(summary, options.per_minute / 60), soft_wrap=True)
    except KeyboardInterrupt:
        _say("interrupted")
        return 1
    except (OSError, Refused, LocalDeploymentFailed) as error:
        _say(str(error))
        return 1
    return 1 if summary.faults else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--state", type=Path, default=DEFAULT, help=f"of the stack, if one runs ({DEFAULT})")
    parser.add_argument("--numbers", type=_number, default=300, metavar="N", help="how many to call (300)")
    parser.add_argument("--per-minute", type=_number, default=300, metavar="N", help="how many to call a minute (300)")
    return parser


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {MOST}")
    return int(text)


def _show(
    console: Console, callpacer: Callpacer, customer: Customer, tenant: Tenant, count: int, per_minute: int
) -> Summary:
    with tenant, customer.campaign(file(count), per_minute, tenant.start_url, tenant.result_url) as campaign:
        customer.start(campaign)
        started = time.time()
        ends = started + longest(count, per_minute)
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
                    reports=list(tenant.reports),
                )
                show(view)
                if view.now >= ends or is_over(view):
                    break
                time.sleep(_PAUSE)
        summary = judge(numbers(count), list(tenant.calls), list(tenant.reports), customer.outcomes(campaign))
    if is_over(view):
        return summary
    return replace(summary, faults=(*summary.faults, f"The time was up, after {clock(ends - started)}."))


def longest(count: int, per_minute: int) -> float:
    """How many seconds it may take: a tick's wait, then the calls, or one more wait for those that were held up."""
    return TICK + max(count / per_minute * 60, TICK) + _SPARE


def is_over(view: View) -> bool:
    """All are called, all is told, and nobody has said anything for a while."""
    if view.reported < view.numbers or len(view.calls) < view.numbers:
        return False
    return view.now - max(view.calls[-1].at, view.reports[-1].at) >= _QUIET


@contextmanager
def _callpacer(state: Path) -> Iterator[Callpacer]:
    running = StateDirectory(state).running()
    if running is not None:

        def check() -> None:
            if StateDirectory(state).running() != running:
                raise LocalDeploymentFailed("It has been stopped, and keeps what the demo has made.")

        _say(f"a customer of {running.url}")
        yield Callpacer(running.url, Database(running.tables, client("dynamodb", running.endpoint)), check)
        return
    _say(f"none runs with {state}, so one is started for the demo")
    with TemporaryDirectory(prefix="callpacer-") as directory, LocalDeployment(Path(directory), progress=_say) as stack:
        yield Callpacer(stack.url, stack.database(), stack.check)
        _say("stopping")


@contextmanager
def _token(database: Database) -> Iterator[tuple[str, str]]:
    """A token, taken away at the end, and the secret of its account."""
    token, secret = open_account(database, ACCOUNT)
    failed = False
    try:
        yield token, secret
    except LocalDeploymentFailed:
        failed = True  # there is nowhere to take it away from
        raise
    finally:
        if not failed:
            Tokens(database).revoke(ACCOUNT, token)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"callpacer: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
