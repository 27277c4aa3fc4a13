"""Runs callpacer on this machine, with no AWS account, until Ctrl-C.

python -m infra.local [--port N] [--token T] [--state DIR]
"""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from infra.local.deployment import LocalDeployment, LocalDeploymentFailed
from infra.local.state import DEFAULT


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--port", type=int, default=8000, help="the port of the API (8000)")
    parser.add_argument("--token", help="a token for the account demo; by default the last one, or a new one")
    parser.add_argument("--state", type=Path, default=DEFAULT, help=f"the directory of its data ({DEFAULT})")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with LocalDeployment(options.state, options.port, options.token, _print_progress) as deployment:
            print(_greeting(deployment), flush=True)
            try:
                while True:
                    time.sleep(0.25)
                    deployment.check()
            finally:
                _print_progress("stopping, after the calls that have begun")
    except KeyboardInterrupt:
        _print_progress("stopped")
        return 0
    except LocalDeploymentFailed as error:
        print(f"callpacer: {error}", file=sys.stderr)
        return 1


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _print_progress(line: str) -> None:
    print(f"callpacer: {line}", file=sys.stderr, flush=True)


def _greeting(deployment: LocalDeployment) -> str:
    header = f"--header 'Authorization: Bearer {deployment.token}'"
    pace = "--form period=1 --form amount_per_period=60 --form time_between_periods=0"
    return f"""\
callpacer is ready: {deployment.url}  token: {deployment.token}

Try it, in another terminal:

curl --request POST '{deployment.url}/schedules' {header} --form 'days=["mon","tue","wed","thu","fri"]'
curl --request POST '{deployment.url}/profiles' {header} {pace}
curl '{deployment.url}/schedules' {header}

The functions' log: {deployment.functions_log}
Ctrl-C stops it. Its data is kept for the next start.
"""


if __name__ == "__main__":
    sys.exit(main())
