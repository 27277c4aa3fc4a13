"""The deployment's tables on AWS: which ones the template declares, and their protection from deletion."""

from typing import Any

from infra.deploy.waiting import Waiting
from infra.template import JSON
from infra.template.template import merge_template

#: seconds for which a table that is ACTIVE may still refuse a change, and the seconds between two tries
_READY_WITHIN = 600.0
_BETWEEN_TRIES = 5.0
#: The errors of a table that isn't ready for a change, for some seconds after it is ACTIVE. Its backups are available
#: later than the table itself, and one change has to end before the next begins.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html#API_UpdateContinuousBackups_Errors
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html#API_UpdateTable_Errors
_NOT_READY = frozenset({"ContinuousBackupsUnavailableException", "ResourceInUseException", "LimitExceededException"})


def declared_tables() -> dict[str, JSON]:
    """The template's tables, by logical name, with their properties."""
    return {
        name: resource["Properties"]
        for name, resource in merge_template()["Resources"].items()
        if resource.get("Type") == "AWS::DynamoDB::Table"
    }


def name_of(properties: JSON, stage: str) -> str:
    return str(properties["TableName"]["Fn::Sub"]).replace("${Stage}", stage)


def protect(dynamodb: Any, table: str, waiting: Waiting) -> None:
    """Protect the table from deletion.

    The template can't do it: CloudFormation does not delete a protected table, so it could not roll back a first
    deployment that fails.
    """
    if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
        return
    retry_until_ready(waiting, dynamodb.update_table, TableName=table, DeletionProtectionEnabled=True)


def retry_until_ready(waiting: Waiting, request: Any, **parameters: Any) -> Any:
    """Request a change of a table. Retry it while the table isn't ready for the change."""
    return waiting.retry(lambda: request(**parameters), _NOT_READY, at_most=_READY_WITHIN, between=_BETWEEN_TRIES)
