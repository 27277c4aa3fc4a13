"""Deploys callpacer to AWS, or updates a deployment: its package, its CloudFormation stack and the operator's switch.

    python -m infra.deploy [--stage prod] [--alarm-topic ARN] [--dialers 50 | --pollers N]
        [--table-key owned] [--retention 400] [--public-url https://calls.example.com]

It uses the credentials and the region that the AWS tools use.
"""

import argparse
import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.bring_up import bring_up
from infra.deploy.cloud import Aws, NoRegion
from infra.deploy.cloudformation import DeploymentFailed
from infra.deploy.package import PackagingFailed, WrongPython
from infra.template.parameters import DEFAULT_DIALERS, DIALERS_PER_POLLER, MOST_POLLERS

#: How many invocations a queue without provisioned pollers may run at a time.
#: https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
MOST_DIALERS = 1000


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stage", default="prod", help="which deployment (prod)")
    parser.add_argument("--alarm-topic", help="the ARN of the SNS topic to which alarms are sent")
    dialers = parser.add_mutually_exclusive_group()
    dialers.add_argument(
        "--dialers",
        type=_dialers,
        help=f"how many slices of up to 20 calls go out at the same time, 2 to {MOST_DIALERS} ({DEFAULT_DIALERS})",
    )
    dialers.add_argument(
        "--pollers",
        type=_pollers,
        help=f"keep 2 to {MOST_POLLERS} pollers ready, each for {DIALERS_PER_POLLER} dialers, instead; 0 keeps none",
    )
    parser.add_argument(
        "--table-key",
        choices=["owned", "managed"],
        help="whose key encrypts the tables: AWS's own, or the account's, which is billed (owned)",
    )
    parser.add_argument(
        "--retention", type=int, help="how many days calls are kept after their outcome, 30 or more; 0: for ever (400)"
    )
    parser.add_argument(
        "--public-url", help="where the API is reached, if not at API Gateway's own address: for callbacks of providers"
    )
    options = parser.parse_args(arguments)
    given = {
        "AlarmTopic": options.alarm_topic,
        "DialerConcurrency": concurrency(options.dialers, options.pollers),
        "DialerPollers": 0 if options.dialers else options.pollers,
        "TableKey": options.table_key,
        "Retention": options.retention,
        "PublicUrl": options.public_url,
    }
    parameters = {name: str(value) for name, value in given.items() if value is not None}
    try:
        print(bring_up(Aws(), options.stage, parameters), end="")
    except NoRegion:
        return _failed("Name a region, such as AWS_REGION=us-east-1.")
    except (WrongPython, PackagingFailed, DeploymentFailed, BotoCoreError, ClientError) as error:
        return _failed(str(error))
    return 0


def _dialers(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not (text.isdecimal() and 2 <= int(text) <= MOST_DIALERS):
        raise argparse.ArgumentTypeError(f"from 2 to {MOST_DIALERS}, not {text}; --pollers keeps more of them ready")
    return int(text)


def _pollers(text: str) -> int:
    """Raises ArgumentTypeError."""
    if not (text.isdecimal() and (int(text) == 0 or 2 <= int(text) <= MOST_POLLERS)):
        raise argparse.ArgumentTypeError(f"from 2 to {MOST_POLLERS}, or 0, not {text}")
    return int(text)


def concurrency(dialers: int | None, pollers: int | None) -> int | None:
    """The dialers that this many pollers keep busy. None leaves the number as it is."""
    if pollers is None:
        return dialers
    return DIALERS_PER_POLLER * pollers or DEFAULT_DIALERS


def _failed(reason: str) -> int:
    print(f"Not deployed: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
