"""Tables as they were at some time, under the names of another stage. What is there already is not restored again."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeploymentFailed
from infra.deploy.tables import JSON, name_of, patiently, protect
from infra.deploy.waiting import Waiting

#: Seconds that all tables together may take to be restored. It depends on their size and takes up to hours:
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
_LONGEST_RESTORE = 24 * 3600.0
#: seconds between two looks
_BETWEEN_LOOKS = 15.0
#: how often, in looks, whoever waits is told of what is still being restored
_LOOKS_BETWEEN_WORDS = 20


class RestoredTables:
    def __init__(self, dynamodb: Any, tables: Mapping[str, JSON], waiting: Waiting, say: Callable[[str], None]) -> None:
        """`say` takes one line."""
        self._dynamodb = dynamodb
        self._tables = tables
        self._waiting = waiting
        self._say = say

    def bring(self, source: str, at: datetime, stage: str) -> None:
        """All tables, protected like those of the template. Called again, it goes on where it was interrupted.

        Raises DeploymentFailed if a table of that name comes from somewhere else, WaitedInVain after a day.
        """
        names = [name_of(properties, stage) for properties in self._tables.values()]
        for properties in self._tables.values():
            self._begin(name_of(properties, source), at, name_of(properties, stage))
        self._await(names)
        for properties in self._tables.values():
            self._complete(name_of(properties, stage), properties)

    def _begin(self, source: str, at: datetime, target: str) -> None:
        found = self._find(target)
        if found is None:
            patiently(
                self._waiting,
                self._dynamodb.restore_table_to_point_in_time,
                SourceTableName=source,
                TargetTableName=target,
                RestoreDateTime=at,
            )
            self._say(f"{target}: is being restored")
        elif _is_from(found, source, at):
            self._say(f"{target}: was restored before")
        else:
            raise DeploymentFailed(f"{target} exists, and isn't {source} as it was at {at.isoformat()}")

    def _find(self, table: str) -> JSON | None:
        try:
            found: JSON = self._dynamodb.describe_table(TableName=table)["Table"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        return found

    def _await(self, names: list[str]) -> None:
        left, looks = list(names), 0

        def done() -> bool:
            nonlocal left, looks
            for name in [name for name in left if self._is_active(name)]:
                left.remove(name)
                self._say(f"{name}: is there, {len(left)} to come")
            looks += 1
            if left and looks % _LOOKS_BETWEEN_WORDS == 0:
                self._say(f"still being restored: {', '.join(left)}")
            return not left

        self._waiting.until(done, what="the restore", at_most=_LONGEST_RESTORE, between=_BETWEEN_LOOKS)

    def _is_active(self, table: str) -> bool:
        return bool(self._dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")

    def _complete(self, table: str, properties: JSON) -> None:
        """What a restored table comes without, and CloudFormation doesn't see that it lacks:
        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
        """
        protect(self._dynamodb, table, self._waiting)
        patiently(
            self._waiting,
            self._dynamodb.update_continuous_backups,
            TableName=table,
            PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"],
        )
        expiry = properties.get("TimeToLiveSpecification")
        if expiry and not self._expires(table):
            # DynamoDB refuses to switch on what is on.
            patiently(
                self._waiting, self._dynamodb.update_time_to_live, TableName=table, TimeToLiveSpecification=expiry
            )

    def _expires(self, table: str) -> bool:
        described = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return described["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def _is_from(table: JSON, source: str, at: datetime) -> bool:
    summary = table.get("RestoreSummary")
    if summary is None:
        return False
    same_time = abs(summary["RestoreDateTime"] - at) < timedelta(seconds=1)
    return bool(summary["SourceTableArn"].endswith(f"table/{source}") and same_time)
