"""A start_url that rings whichever telephone, or exchange, is named.

    python -m examples.sip.serve --secret whsec_… --to HOST:PORT [--host ADDRESS] [--lines N] [--port N]

Ctrl-C ends its calls, and tells callpacer so.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from examples.sip.caller import Manner
from examples.sip.lines import Lines
from examples.sip.outcome import Event
from examples.sip.sounds import write_prompt
from examples.sip.start_url import StartUrl


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.sip.serve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--secret", required=True, help="the account's secret, with which callpacer signs")
    parser.add_argument("--to", required=True, metavar="HOST:PORT", help="the telephone, or the exchange that knows it")
    parser.add_argument("--host", default="127.0.0.1", help="the address of this machine to call from (127.0.0.1)")
    parser.add_argument("--lines", type=int, default=4, metavar="N", help="how many calls at a time (4)")
    parser.add_argument("--port", type=int, default=9000, help="the port of start_url on 127.0.0.1 (9000)")
    parser.add_argument(
        "--ring-seconds", type=float, default=20.0, metavar="S", help="how long it rings before it is given up (20)"
    )
    options = parser.parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with TemporaryDirectory() as directory:
        prompt = write_prompt(Path(directory) / "prompt.wav")
        manner = Manner(options.to, prompt, options.ring_seconds, options.host)
        with (
            Lines([manner] * options.lines) as lines,
            StartUrl(options.secret, lines.call, options.port, watch=_show, log=_print) as server,
        ):
            _print(f"start_url is {server.url}")
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                _print("stopping, after the calls are ended")
    return 0


def _show(number: str, event: Event, status: int) -> None:
    _print(f"{number} {' '.join(event.form().values())} (answered {status or 'not at all'})")


def _print(line: str) -> None:
    print(f"callpacer: {line}", flush=True)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
