"""Restoring tables on a DynamoDB that takes as long as AWS documents."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.deploy.cloudformation import DeploymentFailed
from infra.deploy.restored_tables import RestoredTables
from infra.deploy.waiting import WaitedInVain, Waiting

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
BACKUPS = {"PointInTimeRecoveryEnabled": True}
TABLES: dict[str, dict[str, Any]] = {
    "Calls": {
        "TableName": {"Fn::Sub": "callpacer-${Stage}-calls"},
        "PointInTimeRecoverySpecification": BACKUPS,
        "TimeToLiveSpecification": {"AttributeName": "expires_at", "Enabled": True},
    },
    "Log": {"TableName": {"Fn::Sub": "callpacer-${Stage}-log"}, "PointInTimeRecoverySpecification": BACKUPS},
}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not now"}}, "Some")


@dataclass
class HandTime:
    """Time passes only in a pause."""

    seconds: float = 0

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


@dataclass
class SlowDynamoDB:
    """A restored table is active after `restore_takes` seconds, and can have backups `backups_take` seconds later."""

    time: HandTime
    restore_takes: float = 3600
    backups_take: float = 20
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    expiring: set[str] = field(default_factory=set)
    with_backups: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def describe_table(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803 # as botocore has it
        if TableName not in self.tables:
            raise refused("ResourceNotFoundException")
        table = self.tables[TableName]
        status = "ACTIVE" if self._active(TableName) <= self.time.now() else "CREATING"
        return {"Table": {"TableStatus": status, **table}}

    def _active(self, table: str) -> float:
        return float(self.tables[table]["begun"]) + self.restore_takes

    def restore_table_to_point_in_time(self, **request: Any) -> None:
        self.requests.append(f"restore {request['TargetTableName']}")
        source = f"arn:aws:dynamodb:us-east-1:000000000000:table/{request['SourceTableName']}"
        summary = {"SourceTableArn": source, "RestoreDateTime": request["RestoreDateTime"]}
        self.tables[request["TargetTableName"]] = {"RestoreSummary": summary, "begun": self.time.now()}

    def update_table(self, *, TableName: str, DeletionProtectionEnabled: bool) -> None:  # noqa: N803
        self.tables[TableName]["DeletionProtectionEnabled"] = DeletionProtectionEnabled

    def update_continuous_backups(self, *, TableName: str, **_: Any) -> None:  # noqa: N803
        if self.time.now() < self._active(TableName) + self.backups_take:
            raise refused("ContinuousBackupsUnavailableException")
        self.with_backups.add(TableName)

    def describe_time_to_live(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        status = "ENABLED" if TableName in self.expiring else "DISABLED"
        return {"TimeToLiveDescription": {"TimeToLiveStatus": status}}

    def update_time_to_live(self, *, TableName: str, **_: Any) -> None:  # noqa: N803
        if TableName in self.expiring:
            raise refused("ValidationException")
        self.expiring.add(TableName)


@pytest.fixture
def dynamodb() -> SlowDynamoDB:
    return SlowDynamoDB(HandTime())


def restore(dynamodb: SlowDynamoDB) -> list[str]:
    """The lines that are printed."""
    lines: list[str] = []
    waiting = Waiting(dynamodb.time.now, dynamodb.time.pause)
    RestoredTables(dynamodb, TABLES, waiting, lines.append).restore("prod", AT, "prod2")
    return lines


def test_a_restore_waits_for_hours_and_prints_what_it_waits_for(dynamodb: SlowDynamoDB) -> None:
    lines = restore(dynamodb)
    assert dynamodb.time.now() >= dynamodb.restore_takes
    assert lines[:2] == ["callpacer-prod2-calls: restore started", "callpacer-prod2-log: restore started"]
    assert lines[-1] == "callpacer-prod2-log: restored, 0 to go"
    assert lines.count("still being restored: callpacer-prod2-calls, callpacer-prod2-log") == 12


def test_restored_tables_get_the_settings_that_a_restore_leaves_out(dynamodb: SlowDynamoDB) -> None:
    restore(dynamodb)
    names = {"callpacer-prod2-calls", "callpacer-prod2-log"}
    assert dynamodb.with_backups == names
    assert all(dynamodb.tables[name]["DeletionProtectionEnabled"] for name in names)
    assert dynamodb.expiring == {"callpacer-prod2-calls"}


def test_a_setting_that_is_refused_for_too_long_raises_the_refusal(dynamodb: SlowDynamoDB) -> None:
    dynamodb.backups_take = 3600
    with pytest.raises(ClientError, match="ContinuousBackupsUnavailableException"):
        restore(dynamodb)
    assert dynamodb.time.now() < dynamodb.restore_takes + 700


def test_a_restore_that_takes_longer_than_a_day_fails(dynamodb: SlowDynamoDB) -> None:
    dynamodb.restore_takes = 10**6
    with pytest.raises(WaitedInVain, match="the restore isn't done after 86400 s"):
        restore(dynamodb)


def test_a_second_run_restores_nothing_twice(dynamodb: SlowDynamoDB) -> None:
    restore(dynamodb)
    assert restore(dynamodb)[:2] == [
        "callpacer-prod2-calls: restored before, or still being restored",
        "callpacer-prod2-log: restored before, or still being restored",
    ]
    assert dynamodb.requests == ["restore callpacer-prod2-calls", "restore callpacer-prod2-log"]


def test_a_table_that_was_not_restored_from_the_source_is_refused(dynamodb: SlowDynamoDB) -> None:
    dynamodb.tables["callpacer-prod2-log"] = {"begun": 0}
    with pytest.raises(DeploymentFailed, match="callpacer-prod2-log exists, and isn't callpacer-prod-log"):
        restore(dynamodb)
