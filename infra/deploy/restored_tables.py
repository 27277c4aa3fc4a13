"""Restores tables as they were at one instant, under the names of another stage, each of them once."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeploymentFailed
from infra.deploy.tables import name_of, protect, retry_until_ready
from infra.deploy.waiting import Waiting
from infra.template import JSON

#: Seconds that the restore of all tables may take. It depends on their size, and may be hours:
#: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
_LONGEST_RESTORE = 24 * 3600.0
#: seconds between two checks of the tables' status
_BETWEEN_CHECKS = 15.0
#: after so many checks the tables that are not restored yet are named
_CHECKS_PER_LINE = 20


class RestoredTables:
    def __init__(
        self, dynamodb: Any, tables: Mapping[str, JSON], waiting: Waiting, progress: Callable[[str], None]
    ) -> None:
        """`progress` takes one line."""
        self._dynamodb = dynamodb
        self._tables = tables
        self._waiting = waiting
        self._progress = progress

    def restore(self, source: str, at: datetime, stage: str) -> None:
        """Restore all tables, with protection, backups and expiry as the template has them.

        Called again, it continues where it was interrupted. Raises DeploymentFailed if a table of that name exists and
        was not restored from this source and instant, WaitedInVain after a day.
        """
        names = [name_of(properties, stage) for properties in self._tables.values()]
        for properties in self._tables.values():
            self._start(name_of(properties, source), at, name_of(properties, stage))
        self._await(names)
        for properties in self._tables.values():
            self._configure(name_of(properties, stage), properties)

    def _start(self, source: str, at: datetime, target: str) -> None:
        found = self._find(target)
        if found is None:
            retry_until_ready(
                self._waiting,
                self._dynamodb.restore_table_to_point_in_time,
                SourceTableName=source,
                TargetTableName=target,
                RestoreDateTime=at,
            )
            self._progress(f"{target}: restore started")
        elif _is_restored_from(found, source, at):
            self._progress(f"{target}: restored before, or still being restored")
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
        left, checks = list(names), 0

        def done() -> bool:
            nonlocal left, checks
            for name in [name for name in left if self._is_active(name)]:
                left.remove(name)
                self._progress(f"{name}: restored, {len(left)} to go")
            checks += 1
            if left and checks % _CHECKS_PER_LINE == 0:
                self._progress(f"still being restored: {', '.join(left)}")
            return not left

        self._waiting.until(done, what="the restore", at_most=_LONGEST_RESTORE, between=_BETWEEN_CHECKS)

    def _is_active(self, table: str) -> bool:
        return bool(self._dynamodb.describe_table(TableName=table)["Table"]["TableStatus"] == "ACTIVE")

    def _configure(self, table: str, properties: JSON) -> None:
        """Set what a restore leaves out. CloudFormation doesn't notice that it is missing.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
        """
        protect(self._dynamodb, table, self._waiting)
        retry_until_ready(
            self._waiting,
            self._dynamodb.update_continuous_backups,
            TableName=table,
            PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"],
        )
        expiry = properties.get("TimeToLiveSpecification")
        if expiry and not self._expires(table):
            # DynamoDB refuses to enable an expiry that is enabled.
            retry_until_ready(
                self._waiting, self._dynamodb.update_time_to_live, TableName=table, TimeToLiveSpecification=expiry
            )

    def _expires(self, table: str) -> bool:
        described = self._dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return described["TimeToLiveStatus"] in ("ENABLED", "ENABLING")


def _is_restored_from(table: JSON, source: str, at: datetime) -> bool:
    summary = table.get("RestoreSummary")
    if summary is None:
        return False
    same_time = abs(summary["RestoreDateTime"] - at) < timedelta(seconds=1)
    return bool(summary["SourceTableArn"].endswith(f"table/{source}") and same_time)
