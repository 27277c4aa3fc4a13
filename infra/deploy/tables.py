"""The deployment's tables on AWS: which there are, and what protects them from a mistake."""

from typing import Any

from infra.deploy.waiting import Waiting
from infra.template.template import merge_template

JSON = dict[str, Any]

#: seconds that a table which is ACTIVE may go on refusing a change, and the seconds between two tries
_SETTLES_IN = 600.0
_BETWEEN_TRIES = 5.0
#: What a table answers for seconds after it is ACTIVE. Its backups come later than itself, and one change of it has to
#: end before the next begins.
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateContinuousBackups.html#API_UpdateContinuousBackups_Errors
#: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html#API_UpdateTable_Errors
NOT_YET = frozenset({"ContinuousBackupsUnavailableException", "ResourceInUseException", "LimitExceededException"})


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
    """From being deleted by mistake.

    The template doesn't ask for it: a first deployment that fails could not be rolled back, because CloudFormation does
    not delete a table that is protected.
    """
    if dynamodb.describe_table(TableName=table)["Table"].get("DeletionProtectionEnabled"):
        return
    patiently(waiting, dynamodb.update_table, TableName=table, DeletionProtectionEnabled=True)


def patiently(waiting: Waiting, request: Any, **parameters: Any) -> Any:
    """A request for a change of a table, made again while the table isn't ready for it."""
    return waiting.retry(lambda: request(**parameters), NOT_YET, at_most=_SETTLES_IN, between=_BETWEEN_TRIES)
