"""The DynamoDB tables. `chalicelib.storage.tables` describes what they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infra.template import JSON

AttributeType = Literal["S", "N"]


@dataclass(frozen=True)
class Index:
    """A global secondary index. The first of its keys is the hash key, the second the range key."""

    name: str
    keys: Mapping[str, AttributeType]
    #: the other attributes that it holds; None: all of them
    holds: tuple[str, ...] | None

    @property
    def projection(self) -> JSON:
        if self.holds is None:
            return {"ProjectionType": "ALL"}
        return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(self.holds)}


def tables() -> JSON:
    return {
        "TokensTable": _table("tokens", {"digest": "S"}, index=Index("account", {"account": "S"}, holds=None)),
        "AccountsTable": _table("accounts", {"account": "S"}),
        "CatalogTable": _table("catalog", {"account": "S", "key": "S"}),
        "CampaignsTable": _table(
            "campaigns",
            {"account": "S", "id": "N"},
            index=Index("work", {"shard": "S", "wakes_at": "S"}, holds=("dialers",)),
        ),
        "LogTable": _table("log", {"campaign": "S", "key": "S"}),
        "ChunksTable": _table("chunks", {"chunk": "S"}, expires=True),
        "CallsTable": _table("calls", {"call": "S"}, expires=True),
        "TasksTable": _table("tasks", {"campaign": "S", "key": "S"}),
        "ReceiptsTable": _table("receipts", {"account": "S", "key": "S"}, expires=True),
        "OperatorTable": _table("operator", {"name": "S"}),
    }


def _table(
    name: str,
    keys: Mapping[str, AttributeType],
    index: Index | None = None,
    expires: bool = False,
) -> JSON:
    """A table billed by request. The first of its keys is the hash key, the second the range key.

    The table outlives its stack. Only a first deployment that fails deletes it, so that the next one can create it.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    For the same reason `infra.deploy.tables` protects it from deletion only after the deployment has succeeded.
    Data that is deleted or overwritten by mistake can be restored for 35 days.
    """
    attributes = dict(keys)
    properties: JSON = {
        "TableName": {"Fn::Sub": f"callpacer-${{Stage}}-{name}"},
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(list(keys)),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        # False: with a key that AWS owns, at no cost.
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-dynamodb-table-ssespecification.html
        "SSESpecification": {"SSEEnabled": {"Fn::If": ["HasManagedKey", True, False]}},
    }
    if index is not None:
        attributes |= index.keys
        properties["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index.name,
                "KeySchema": _key_schema(list(index.keys)),
                "Projection": index.projection,
            }
        ]
    if expires:
        properties["TimeToLiveSpecification"] = {"AttributeName": "expires_at", "Enabled": True}
    properties["AttributeDefinitions"] = [
        {"AttributeName": attribute, "AttributeType": kind} for attribute, kind in attributes.items()
    ]
    return {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }


def _key_schema(names: Sequence[str]) -> list[JSON]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]
