"""Rings scripted SIP telephones on this machine, one number for each way in which a call can end.

    python -m examples.sip                                           a stub of callpacer dials
    python -m examples.sip --callpacer URL --token T [--secret S]    callpacer dials, in a campaign

Nothing leaves this machine: the telephones and start_url are on 127.0.0.1. The exit code is 0 if every call went as its
number says.
"""

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from examples.sip.caller import Manner
from examples.sip.campaign import Campaign, Refused
from examples.sip.judging import by_events, by_record
from examples.sip.lines import Lines
from examples.sip.outcome import Event
from examples.sip.scenario import CASES, Case
from examples.sip.screen import Row, event_line, table
from examples.sip.sounds import seconds_of, write_prompt
from examples.sip.start_url import StartUrl
from examples.sip.stub import Stub
from examples.sip.switchboard import Dead, Switchboard

#: How many lines call the same telephone. It takes twice as many calls: a new one may come before an old one is gone.
_LINES_PER_TELEPHONE = 2
#: seconds that all calls of the stub may take
_STUB_LIMIT = 60.0
#: seconds that a campaign may take: a minute to its first call, another for its outcomes to be counted, and the calls
_CAMPAIGN_LIMIT = 240.0


@dataclass(frozen=True)
class Trial:
    """What a trial needs, with the stub and with a campaign."""

    cases: Sequence[Case]
    lines: int
    ring_seconds: float
    prompt: Path
    switchboard: Switchboard
    show: Callable[[str], None]

    @contextmanager
    def start_url(self, secret: str | None) -> Iterator[str]:
        """The URL of a server that rings the telephones."""
        started = time.monotonic()
        addresses = self.switchboard.addresses

        def watch(number: str, event: Event, status: int) -> None:
            self.show(event_line(time.monotonic() - started, number, event, status))

        manners = [
            Manner(addresses[line // _LINES_PER_TELEPHONE], self.prompt, self.ring_seconds)
            for line in range(self.lines)
        ]
        with (
            Lines(manners) as lines,
            StartUrl(secret, lines.call, watch=watch, log=lambda line: self.show(f"callpacer: {line}")) as server,
        ):
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server.url
            finally:
                server.shutdown()
                thread.join()

    def heard(self, case: Case) -> float | None:
        return self.switchboard.heard.get(case.number)

    @property
    def prompt_seconds(self) -> float:
        return seconds_of(self.prompt)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    cases = [case for case in CASES if not options.only or case.number[-2:] in options.only]
    try:
        with TemporaryDirectory() as directory:
            prompt = write_prompt(Path(directory) / "prompt.wav")
            switchboard = Switchboard(-(-options.lines // _LINES_PER_TELEPHONE))
            trial = Trial(cases, options.lines, options.ring_seconds, prompt, switchboard, _print)
            if options.callpacer is None:
                rows = ring_for_stub(trial)
            else:
                rows = ring_for_campaign(trial, options.callpacer, options.token, options.secret)
    except KeyboardInterrupt:
        return 1
    except (Dead, Refused, OSError) as error:
        print(f"callpacer: {error}", file=sys.stderr)
        return 1
    _print("\n" + table(rows))
    return 1 if any(row.fault for row in rows) else 0


def ring_for_stub(trial: Trial) -> list[Row]:
    """Have a stub of callpacer dial, as many numbers at a time as there are lines."""
    with trial.switchboard, Stub() as stub, trial.start_url(stub.secret) as start_url:
        ends = time.monotonic() + _STUB_LIMIT
        waiting, dialled = list(trial.cases), list[Case]()
        while time.monotonic() < ends and not all(stub.is_over(case.number) for case in trial.cases):
            under_way = sum(not stub.is_over(case.number) for case in dialled)
            # After 503 the number waits: a line is busy a little longer than its call. After another refusal it has no
            # events, and the table shows that.
            if waiting and under_way < trial.lines and stub.dial(start_url, waiting[0].number) != 503:
                dialled.append(waiting.pop(0))
            else:
                stub.wait(0.25)
    return [by_events(case, stub.events(case.number), trial.heard(case), trial.prompt_seconds) for case in trial.cases]


def ring_for_campaign(trial: Trial, url: str, token: str, secret: str | None) -> list[Row]:
    """Have callpacer dial. Without the account's secret, signatures aren't checked. Raises Refused."""
    if secret is None:
        trial.show("callpacer: no --secret is given, so nobody checks that the dials are callpacer's")
    numbers = [case.number for case in trial.cases]
    with trial.switchboard, trial.start_url(secret) as start_url, Campaign(url, token, numbers, start_url) as campaign:
        campaign.start()
        trial.show("callpacer: the campaign is started; the first call goes out within a minute")
        ends = time.monotonic() + _CAMPAIGN_LIMIT
        while time.monotonic() < ends and not campaign.is_over():
            time.sleep(1)
        records = {record["phone_number"].removeprefix("tel:"): record for record in campaign.calls()}
    return [
        by_record(case, records.get(case.number, {}), trial.heard(case), trial.prompt_seconds) for case in trial.cases
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.sip", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--callpacer", metavar="URL", help="the API of a callpacer that runs here, /api included")
    parser.add_argument("--token", default="", help="a token of the account that the campaign is created for")
    parser.add_argument("--secret", help="the account's secret, with which callpacer signs")
    parser.add_argument("--lines", type=_lines, default=8, metavar="N", help="how many calls at a time (8)")
    parser.add_argument(
        "--ring-seconds", type=float, default=3.0, metavar="S", help="how long it rings before it is given up (3)"
    )
    parser.add_argument("--only", nargs="+", metavar="DD", help="the last two digits of the numbers to call (all)")
    return parser


def _lines(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 64):
        raise argparse.ArgumentTypeError("a whole number from 1 to 64")
    return int(text)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
