"""Restores the tables of a deployment, as they were at some time, into a new one, which is halted.

    python -m infra.restore --stage prod --at 2026-11-24T12:00:00Z --to prod2

The old deployment's tables stay as they are. With the credentials and the region that the AWS tools use.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.aws import Aws, Cloud, NoRegion
from infra.deploy import bring_up
from infra.deployment import DeploymentFailed, await_completion
from infra.package import PackagingFailed, WrongPython
from infra.template import merge_template

#: what the operator has decided for the old deployment doesn't hold for the new one
_NOT_RESTORED = "OperatorTable"
#: seconds between two looks at tables that are being restored, of the thousands that it may take
_PAUSE = 0.001


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.restore", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stage", default="prod", help="whose tables (prod)")
    parser.add_argument("--at", required=True, type=_instant, help="as they were when: 2026-11-24T12:00:00Z")
    parser.add_argument("--to", required=True, help="the stage of the new deployment")
    options = parser.parse_args(arguments)
    try:
        print(restore(Aws(), options.stage, options.at, options.to), end="")
    except NoRegion:
        return _failed("Name a region, such as AWS_REGION=us-east-1.")
    except (WrongPython, PackagingFailed, DeploymentFailed, BotoCoreError, ClientError) as error:
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


def restore(cloud: Cloud, source: str, at: datetime, stage: str) -> str:
    """All tables as they were at the same instant, then a stack around them. Answers what `bring_up` tells."""
    dynamodb = cloud.client("dynamodb")
    tables = dict(_tables())
    for properties in tables.values():
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=_name(properties, source), TargetTableName=_name(properties, stage), RestoreDateTime=at
        )
    for properties in tables.values():
        _await_table(dynamodb, _name(properties, stage), cloud.patience)
        _protect(dynamodb, _name(properties, stage), properties)
    _adopt(cloud, stage, tables)
    return bring_up(cloud, stage, {})


def _tables() -> Iterator[tuple[str, dict[str, Any]]]:
    """The template's tables that are restored, by logical name, with their properties."""
    for name, resource in merge_template()["Resources"].items():
        if resource.get("Type") == "AWS::DynamoDB::Table" and name != _NOT_RESTORED:
            yield name, resource["Properties"]


def _name(properties: dict[str, Any], stage: str) -> str:
    return str(properties["TableName"]["Fn::Sub"]).replace("${Stage}", stage)


def _await_table(dynamodb: Any, table: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] != "ACTIVE":
        if time.monotonic() > deadline:
            raise DeploymentFailed(f"{table} isn't restored after {patience:.0f} s")
        time.sleep(patience * _PAUSE)


def _protect(dynamodb: Any, table: str, properties: dict[str, Any]) -> None:
    """What a restored table comes without, and CloudFormation doesn't see that it lacks."""
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=properties["DeletionProtectionEnabled"])
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"]
    )
    if "TimeToLiveSpecification" in properties:
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=properties["TimeToLiveSpecification"])


def _adopt(cloud: Cloud, stage: str, tables: dict[str, dict[str, Any]]) -> None:
    """Makes the stack, of the tables alone: CloudFormation takes in what there is only apart from what it makes."""
    cloudformation, stack = cloud.client("cloudformation"), f"callpacer-{stage}"
    template = merge_template()
    only_tables = {
        "Parameters": {"Stage": template["Parameters"]["Stage"]},
        "Resources": {name: template["Resources"][name] for name in tables},
    }
    cloudformation.create_change_set(
        StackName=stack,
        ChangeSetName="restore",
        ChangeSetType="IMPORT",
        TemplateBody=json.dumps(only_tables),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": stage}],
        ResourcesToImport=[
            {
                "ResourceType": "AWS::DynamoDB::Table",
                "LogicalResourceId": name,
                "ResourceIdentifier": {"TableName": _name(properties, stage)},
            }
            for name, properties in tables.items()
        ],
    )
    cloudformation.get_waiter("change_set_create_complete").wait(
        StackName=stack, ChangeSetName="restore", WaiterConfig={"Delay": 2, "MaxAttempts": 150}
    )
    cloudformation.execute_change_set(StackName=stack, ChangeSetName="restore")
    await_completion(cloudformation, stack, cloud.patience)


def _failed(why: str) -> int:
    print(f"Not restored: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
