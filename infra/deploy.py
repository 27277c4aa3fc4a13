"""Deploys callpacer to AWS: its package, its CloudFormation stack, and the operator's switch.

    python -m infra.deploy [--stage prod] [--alarm-topic ARN] [--dialers 50 | --pollers N]
        [--table-key owned] [--retention 400]

With the credentials and the region that the AWS tools use. Deployed again, it brings what is there up to date.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.storage.database import Database
from chalicelib.storage.switch import Switch
from infra.aws import Aws, Cloud, NoRegion
from infra.deployment import DeploymentFailed, deploy
from infra.package import PackagingFailed, WrongPython, build_for_aws
from infra.tables import declared_tables, name_of, protect
from infra.waiting import Waiting

#: How many invocations a poller that is kept ready has at a time.
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-parameters.html
OF_A_POLLER = 10


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.deploy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stage", default="prod", help="which deployment (prod)")
    parser.add_argument("--alarm-topic", help="the ARN of the SNS topic that alarms are told to")
    dialers = parser.add_mutually_exclusive_group()
    dialers.add_argument("--dialers", type=int, help="how many slices of up to 20 calls go out at the same time (50)")
    dialers.add_argument(
        "--pollers", type=int, help=f"keep 2 to 200 pollers ready, each for {OF_A_POLLER} dialers, instead; 0: no more"
    )
    parser.add_argument(
        "--table-key",
        choices=["owned", "managed"],
        help="whose key encrypts the tables: AWS's own, or the account's, which costs (owned)",
    )
    parser.add_argument(
        "--retention", type=int, help="how many days calls are kept after their outcome, 30 or more; 0: for ever (400)"
    )
    options = parser.parse_args(arguments)
    given = {
        "AlarmTopic": options.alarm_topic,
        "DialerConcurrency": OF_A_POLLER * options.pollers if options.pollers else options.dialers,
        "DialerPollers": 0 if options.dialers else options.pollers,
        "TableKey": options.table_key,
        "Retention": options.retention,
    }
    parameters = {name: str(value) for name, value in given.items() if value is not None}
    try:
        print(bring_up(Aws(), options.stage, parameters), end="")
    except NoRegion:
        return _failed("Name a region, such as AWS_REGION=us-east-1.")
    except (WrongPython, PackagingFailed, DeploymentFailed, BotoCoreError, ClientError) as error:
        return _failed(str(error))
    return 0


def bring_up(cloud: Cloud, stage: str, parameters: Mapping[str, str], waiting: Waiting | None = None) -> str:
    """Deploys, protects the tables, and answers what whoever deployed wants to know. Raises what went wrong."""
    package, waiting = build_for_aws(), waiting or Waiting()
    outputs = deploy(package, f"callpacer-{stage}", {**parameters, "Stage": stage}, cloud, waiting)
    dynamodb = cloud.client("dynamodb")
    for properties in declared_tables().values():
        protect(dynamodb, name_of(properties, stage), waiting)
    database = Database(outputs["Tables"], dynamodb)
    switch = Switch(database, outputs["Deployment"])
    if not switch.is_set() and not any(database.campaigns.scan(limit=1)):
        switch.turn(on=True, now=datetime.now(UTC))
    halted = "" if switch.is_on() else _HALTED.format(stage=stage)
    return _TOLD.format(stage=stage, endpoint=f"{outputs['EndpointURL']}api", **outputs) + halted


_TOLD = """\
callpacer-{stage} is deployed.

  endpoint     {endpoint}
  dashboard    {DashboardURL}
  first token  .venv/bin/python -m infra.tokens create --account NAME --stage {stage}
"""
_HALTED = """
It is halted, and dials nobody: it found the campaigns of another deployment, or somebody has halted it. Read
docs/operations.md, «A restored backup», before you let it go on:

  .venv/bin/python -m infra.halt off --stage {stage}
"""


def _failed(why: str) -> int:
    print(f"Not deployed: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
