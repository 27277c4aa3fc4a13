"""Restores the tables of a deployment, as they were at one instant, into a new deployment, which is halted.

    python -m infra.deploy.restore --stage prod --at 2026-11-24T12:00:00Z --to prod2

The old deployment's tables stay as they are, and its parameters hold for the new one. A restore may take hours. After
an interruption the same command continues where it stopped. It uses the credentials and the region that the AWS tools
use.
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
from infra.deploy.tables import declared_tables, name_of
from infra.deploy.waiting import WaitedInVain, Waiting
from infra.template import JSON
from infra.template.template import merge_template

#: the table of the operator's switch: a decision for the old deployment doesn't hold for the new one
_NOT_RESTORED = "OperatorTable"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy.restore", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--stage", default="prod", help="the deployment whose tables are restored (prod)")
    parser.add_argument(
        "--at", required=True, type=_instant, help="the instant whose data is restored, such as 2026-11-24T12:00:00Z"
    )
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
    progress: Callable[[str], None] = print,
    waiting: Waiting | None = None,
) -> str:
    """Restore all tables to the same instant, then deploy a stack that takes them in. Return what `bring_up` does.

    Called again with the same arguments, it continues where it was interrupted. `progress` takes one line.
    """
    waiting = waiting or Waiting()
    tables = {name: properties for name, properties in declared_tables().items() if name != _NOT_RESTORED}
    RestoredTables(cloud.client("dynamodb"), tables, waiting, progress).restore(source, at, stage)
    parameters = parameters_of(cloud.client("cloudformation"), f"callpacer-{source}") or {}
    progress("importing the tables into a new stack")
    _import_tables(cloud, stage, {**parameters, "Stage": stage}, tables, waiting)
    return bring_up(cloud, stage, {**parameters, "Stage": stage}, waiting)


def _import_tables(
    cloud: Cloud, stage: str, parameters: Mapping[str, str], tables: Mapping[str, JSON], waiting: Waiting
) -> None:
    """Create the stack with the tables alone: CloudFormation can't import and create resources in one operation.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources.html
    """
    cloudformation, stack = cloud.client("cloudformation"), f"callpacer-{stage}"
    clear(cloudformation, stack, cloud.patience, waiting)
    if find_stack(cloudformation, stack) is not None:
        return  # an earlier run that was interrupted later has created it
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


def _failed(reason: str) -> int:
    print(f"Not restored: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
