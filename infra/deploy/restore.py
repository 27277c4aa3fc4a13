"""Restores the tables of a deployment, as they were at some time, into a new one, which is halted.

    python -m infra.deploy.restore --stage prod --at 2026-11-24T12:00:00Z --to prod2

The old deployment's tables stay as they are, and its parameters hold for the new one. It takes up to hours; if it is
interrupted, the same command goes on where it was. With the credentials and the region that the AWS tools use.
"""

import argparse
import json
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from infra.deploy.bring_up import bring_up
from infra.deploy.cloud import Aws, Cloud, NoRegion
from infra.deploy.cloudformation import DeploymentFailed, await_completion, clear, find_stack, parameters_of
from infra.deploy.package import PackagingFailed, WrongPython
from infra.deploy.restored_tables import RestoredTables
from infra.deploy.tables import JSON, declared_tables, name_of
from infra.deploy.waiting import WaitedInVain, Waiting
from infra.template.template import merge_template

_NOT_RESTORED = "OperatorTable"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy.restore", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--stage", default="prod", help="whose tables (prod)")
    parser.add_argument("--at", required=True, type=_instant, help="as they were when: 2026-11-24T12:00:00Z")
    parser.add_argument("--to", required=True, help="the stage of the new deployment")
    options = parser.parse_args(arguments)
    try:
        print(restore(Aws(), options.stage, options.at, options.to), end="")
    except NoRegion:
        return _failed("Name a region, such as AWS_REGION=us-east-1.")
    except (WrongPython, PackagingFailed, DeploymentFailed, WaitedInVain, BotoCoreError, ClientError) as error:
        return _failed(str(error))
    return 0


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("not an instant such as 2026-11-24T12:00:00Z") from None
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError("names no time zone; 2026-11-24T12:00:00Z is UTC")
    return instant


def restore(
    cloud: Cloud,
    source: str,
    at: datetime,
    stage: str,
    *,
    say: Callable[[str], None] = print,
    waiting: Waiting | None = None,
) -> str:
    """All tables as they were at the same instant, then a stack around them. Answers what `bring_up` tells.

    Called again with the same words, it goes on where it was interrupted. `say` takes one line.
    """
    waiting = waiting or Waiting()
    # What the operator has decided for the old deployment doesn't hold for the new one.
    tables = {name: properties for name, properties in declared_tables().items() if name != _NOT_RESTORED}
    RestoredTables(cloud.client("dynamodb"), tables, waiting, say).bring(source, at, stage)
    parameters = parameters_of(cloud.client("cloudformation"), f"callpacer-{source}") or {}
    say("now the stack around them")
    _adopt(cloud, stage, {**parameters, "Stage": stage}, tables, waiting)
    return bring_up(cloud, stage, {**parameters, "Stage": stage}, waiting)


def _adopt(
    cloud: Cloud, stage: str, parameters: Mapping[str, str], tables: Mapping[str, JSON], waiting: Waiting
) -> None:
    """Makes the stack, of the tables alone: CloudFormation takes in what there is only apart from what it makes.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources.html
    """
    cloudformation, stack = cloud.client("cloudformation"), f"callpacer-{stage}"
    clear(cloudformation, stack, cloud.patience, waiting)
    if find_stack(cloudformation, stack) is not None:
        return  # made before, by a restore that was interrupted later
    template, token = merge_template(), str(uuid.uuid4())
    only_tables = {
        "Parameters": template["Parameters"],
        "Conditions": template["Conditions"],
        "Resources": {name: template["Resources"][name] for name in tables},
    }
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName="restore",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(only_tables),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters.items()
            if name in template["Parameters"]
        ],
        ResourcesToImport=[
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": name,
                "ResourceIdentifier": {"TableName": name_of(properties, parameters["Stage"])},
            }
            for name, properties in tables.items()
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(
        StackName=stack, ChangeSetName="restore", WaiterConfig={"Delay": 2, "MaxAttempts": 150}
    )
    cloudformation.execute_change_set(StackName=stack, ChangeSetName="restore", ClientRequestToken=token)
    await_completion(cloudformation, stack, token, cloud.patience, waiting)


def _failed(why: str) -> int:
    print(f"Not restored: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
