"""Halts all dialling of a deployment, for every account and campaign, and ends the halt.

    python -m infra.operator.halt on
    python -m infra.operator.halt off
    python -m infra.operator.halt

No call starts later than 2 seconds after `on` has answered. Numbers stay queued, in their order, and outcomes are still
reported. Without `on` or `off` it shows whether dialling is halted. It works on the local deployment that runs here, or
with --stage on a deployment on AWS, with the credentials that the AWS tools use.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from infra.operator.target import Unusable, add_target_options, find_target


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.operator.halt", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("turn", nargs="?", choices=["on", "off"], help="halt all dialling, or end the halt")
    add_target_options(parser)
    options = parser.parse_args(arguments)
    try:
        target = find_target(options)
        switch = target.switch
    except Unusable as error:
        print(error, file=sys.stderr)
        return 1
    if options.turn is not None:
        switch.turn(on=options.turn == "off", now=datetime.now(UTC))
    print(f"{target.name} dials." if switch.is_on() else f"{target.name} is halted: it dials nobody.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
