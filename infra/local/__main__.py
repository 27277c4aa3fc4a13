"""callpacer on this machine, with no AWS account, until Ctrl-C.

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
    parser.add_argument("--port", type=int, default=8000, help="the API's (8000)")
    parser.add_argument("--token", help="of the account demo; without it that of last time, or a new one")
    parser.add_argument("--state", type=Path, default=DEFAULT, help=f"where everything is kept ({DEFAULT})")
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with LocalDeployment(options.state, options.port, options.token, _say) as stack:
            print(_greeting(stack), flush=True)
            try:
                while True:
                    time.sleep(0.25)
                    stack.check()
            finally:
                _say("stopping: calls that are going out are let finish")
    except KeyboardInterrupt:
        _say("stopped")
        return 0
    except LocalDeploymentFailed as error:
        print(f"callpacer: {error}", file=sys.stderr)
        return 1


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _say(what: str) -> None:
    print(f"callpacer: {what}", file=sys.stderr, flush=True)


def _greeting(stack: LocalDeployment) -> str:
    header = f"--header 'Authorization: Bearer {stack.token}'"
    pace = "--form period=1 --form amount_per_period=60 --form time_between_periods=0"
    return f"""\
callpacer is ready: {stack.url}  token: {stack.token}

Try it, in another terminal:

curl --request POST '{stack.url}/schedules' {header} --form 'days=["mon","tue","wed","thu","fri"]'
curl --request POST '{stack.url}/profiles' {header} {pace}
curl '{stack.url}/schedules' {header}

What the functions have to say: {stack.functions_log}
Ctrl-C stops it; all that is here is kept for the next start.
"""


if __name__ == "__main__":
    sys.exit(main())
