"""What the deployment has besides its functions: tables, queues, and how the API answers where no code runs.

`chalice package` generates the functions from app.py; this template is merged over its result. A dictionary is merged
key by key, anything else replaces what Chalice wrote.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.api.request import MAX_BODY_BYTES
from chalicelib.domain.slicing import MOST_DIALS, MOST_SLOW_DIALS
from infra.alarms import API_NAME, alarms
from infra.dashboard import dashboard
from infra.roles import identity, roles

JSON = dict[str, Any]

#: what the names of all tables and queues begin with
PREFIX = {"Fn::Sub": "callpacer-${Stage}"}
_CALLS = "callpacer-${Stage}-calls"
#: put together: the two queues would refer to each other in a circle otherwise
_CALLS_ARN = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" + _CALLS
_CONSOLE = "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home"
# Why the functions have the times and sizes that stand in .chalice/config.json, where there is no room for reasons:
#
# API      29 s, as long as API Gateway waits. 1,769 MB are one whole processor: it is somebody who waits for answers.
# Pacer    60 s: then the next tick comes. One processor, since a minute's calls have to be out before they are due.
# Settler  60 s, likewise.
# Dialer   90 s: some seconds of waiting for the last call of a slice, and the gateway's deadline for it; claims are
#          waited for a little longer (CLAIM_HELD_FOR). It waits more than it works, and pays for waiting by its memory,
#          so 256 MB: with 512 `make cost` sees 60 calls a minute for half as much again, and calls 0.2 s less late.
#
# None has reserved concurrency, which would take from the account's; the queue's event source is limited instead.
#: seconds the dialer may take for one batch
DIALER_TIMEOUT = 90
#: seconds a message stays hidden while it is worked on: six times the dialer's timeout, as AWS advises
#: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_TIMEOUT = 6 * DIALER_TIMEOUT

AttributeType = Literal["S", "N"]


@dataclass(frozen=True)
class Index:
    """A global secondary index. Of its keys the first is the hash key, the second the range key."""

    name: str
    keys: Mapping[str, AttributeType]
    #: which other attributes it holds; None: all of them
    holds: tuple[str, ...] | None

    @property
    def projection(self) -> JSON:
        if self.holds is None:
            return {"ProjectionType": "ALL"}
        return {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(self.holds)}


def merge_template() -> JSON:
    """The whole of it."""
    return {
        "Parameters": {
            "Stage": {
                "Type": "String",
                "Default": "prod",
                "AllowedPattern": "[a-z][a-z0-9-]{0,31}",
                "Description": "Tells deployments in one AWS account apart; part of every table's and queue's name.",
            },
            "AllowLoopback": {
                "Type": "String",
                "Default": "false",
                "AllowedValues": ["true", "false"],
                "Description": "May start_url and result_url name the machine itself? Only ever on a laptop.",
            },
            "DialerConcurrency": {
                "Type": "Number",
                "Default": 50,
                "MinValue": 2,
                "MaxValue": 2000,
                "Description": f"How many slices go out at the same time, of {MOST_DIALS} to {MOST_SLOW_DIALS} calls.",
            },
            "DialerPollers": {
                "Type": "Number",
                "Default": 0,
                "MinValue": 0,
                "MaxValue": 200,
                "Description": "Pollers that are kept ready, each for ten slices at a time; 0: as Lambda sees fit.",
            },
            "AlarmTopic": {
                "Type": "String",
                "Default": "",
                "Description": "The ARN of the SNS topic that alarms are told to; empty: the console alone shows them.",
            },
            "Retention": {
                "Type": "String",
                # A year and a month: long enough to compare a month with the same month of last year.
                "Default": "400",
                # Not fewer than thirty days: numbers are settled in minutes, reports end after a day, and the last
                # message that may name a number lies in the dead-letter queue for fourteen days.
                "AllowedPattern": "0|[3-9][0-9]|[1-9][0-9]{2,3}",
                "ConstraintDescription": "Days, from 30 to 9999, or 0.",
                "Description": "How many days what became of each number is kept after its outcome; 0: for ever.",
            },
            "TableKey": {
                "Type": "String",
                "Default": "owned",
                "AllowedValues": ["owned", "managed"],
                "Description": "Whose key encrypts the tables: one of AWS's own, or the account's in KMS, which costs.",
            },
        },
        "Conditions": {
            "HasAlarmTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopic"}, ""]}]},
            "HasPollers": {"Fn::Not": [{"Fn::Equals": [{"Ref": "DialerPollers"}, 0]}]},
            "HasManagedKey": {"Fn::Equals": [{"Ref": "TableKey"}, "managed"]},
        },
        "Globals": {"Function": {"Environment": {"Variables": _environment()}}},
        "Resources": {
            **_tables(),
            **_queues(),
            "APIHandler": {"Properties": identity("APIHandler")},
            "Dialer": _dialer(),
            # The dialer is brought up to date first, so it can read what the new pacer writes.
            "Pacer": {**_once_a_minute("Pacer"), "DependsOn": ["Dialer"]},
            "Settler": _once_a_minute("Settler"),
            **roles(),
            "RestAPI": _rest_api(),
            **alarms(),
            "Dashboard": dashboard(),
        },
        "Outputs": {
            "Tables": {"Value": PREFIX},
            "Deployment": {"Value": {"Ref": "AWS::StackId"}},
            "QueueUrl": {"Value": {"Ref": "CallQueue"}},
            "DeadLetterQueueUrl": {"Value": {"Ref": "DeadLetterQueue"}},
            "Dialers": {"Value": {"Ref": "DialerConcurrency"}},
            "DashboardURL": {"Value": {"Fn::Sub": f"{_CONSOLE}#dashboards/dashboard/${{Dashboard}}"}},
        },
    }


def _environment() -> JSON:
    """Every function's variables; chalicelib.settings reads them."""
    return {
        "CALLPACER_TABLES": PREFIX,
        "CALLPACER_DEPLOYMENT": {"Ref": "AWS::StackId"},
        "CALLPACER_QUEUE_URL": {"Ref": "CallQueue"},
        "CALLPACER_DEAD_LETTER_QUEUE_URL": {"Ref": "DeadLetterQueue"},
        "CALLPACER_DIALERS": {"Ref": "DialerConcurrency"},
        "CALLPACER_ALLOW_LOOPBACK": {"Ref": "AllowLoopback"},
        "CALLPACER_RETENTION_DAYS": {"Ref": "Retention"},
    }


def _tables() -> JSON:
    return {
        "TokensTable": _table("tokens", {"digest": "S"}, index=Index("account", {"account": "S"}, holds=None)),
        "AccountsTable": _table("accounts", {"account": "S"}),
        "CatalogTable": _table("catalog", {"account": "S", "key": "S"}),
        "CampaignsTable": _table(
            "campaigns",
            {"account": "S", "id": "N"},
            index=Index("attention", {"attention": "S", "wakes_at": "S"}, holds=("dialers",)),
        ),
        "LogTable": _table("log", {"campaign": "S", "key": "S"}),
        "ChunksTable": _table("chunks", {"chunk": "S"}, expires=True),
        "CallsTable": _table("calls", {"call": "S"}, expires=True),
        "DeferredTable": _table("deferred", {"campaign": "S", "key": "S"}),
        "ReceiptsTable": _table("receipts", {"account": "S", "key": "S"}, expires=True),
        "OperatorTable": _table("operator", {"name": "S"}),
    }


def _table(
    name: str,
    keys: Mapping[str, AttributeType],
    index: Index | None = None,
    expires: bool = False,
) -> JSON:
    """A table billed by request. Of its keys the first is the hash key, the second the range key.

    It outlives its stack, but not a first deployment that fails: what is empty stands in the way of the next try.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
    For the same reason it isn't protected from deletion here, but by `infra.tables` when the deployment has succeeded.
    What is deleted or overwritten in it by mistake can be had back for 35 days.
    """
    attributes = dict(keys)
    properties: JSON = {
        "TableName": {"Fn::Sub": f"callpacer-${{Stage}}-{name}"},
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": _key_schema(list(keys)),
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        # False: by a key that AWS owns, at no cost.
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


def _queues() -> JSON:
    return {
        "CallQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": _CALLS},
                "VisibilityTimeout": VISIBILITY_TIMEOUT,
                "SqsManagedSseEnabled": True,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]},
                    "maxReceiveCount": 5,
                },
            },
        },
        "DeadLetterQueue": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "QueueName": {"Fn::Sub": "callpacer-${Stage}-calls-dead"},
                # Fourteen days, the longest there is: somebody has to look at these.
                "MessageRetentionPeriod": 1_209_600,
                "SqsManagedSseEnabled": True,
                # Nobody else's messages end here.
                "RedriveAllowPolicy": {"redrivePermission": "byQueue", "sourceQueueArns": [{"Fn::Sub": _CALLS_ARN}]},
            },
        },
    }


def _once_a_minute(function: str) -> JSON:
    """A tick that fails isn't repeated: the next one comes in a minute, and takes up what it left."""
    return {
        "Properties": {
            **identity(function),
            "EventInvokeConfig": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
        }
    }


def _dialer() -> JSON:
    """The dialer's event source, pointed at the queue that this template makes."""
    return {
        "Properties": {
            **identity("Dialer"),
            "Events": {
                "DialerSqsEventSource": {
                    "Properties": {
                        # Chalice writes Fn::Sub too; another function would be merged beside it, not instead of it.
                        "Queue": {"Fn::Sub": "${CallQueue.Arn}"},
                        "FunctionResponseTypes": ["ReportBatchItemFailures"],
                        # One of the two: pollers that are kept ready have no other bound.
                        # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
                        "ScalingConfig": _unless_pollers({"MaximumConcurrency": {"Ref": "DialerConcurrency"}}),
                        "ProvisionedPollerConfig": _if_pollers(
                            {"MinimumPollers": {"Ref": "DialerPollers"}, "MaximumPollers": {"Ref": "DialerPollers"}}
                        ),
                    }
                }
            },
        }
    }


def _if_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", properties, {"Ref": "AWS::NoValue"}]}


def _unless_pollers(properties: JSON) -> JSON:
    return {"Fn::If": ["HasPollers", {"Ref": "AWS::NoValue"}, properties]}


def _rest_api() -> JSON:
    """Bodies reach the code as the bytes they are, and what the gateway refuses by itself reads as the API's own."""
    name = {"Fn::Sub": API_NAME}
    return {
        "Properties": {
            "Name": name,
            # As it is. To name it keeps SAM from making another public stage, which is called "Stage".
            # https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-api.html
            "OpenApiVersion": "2.0",
            "DefinitionBody": {
                "info": {"title": name},
                "x-amazon-apigateway-binary-media-types": ["*/*"],
                "x-amazon-apigateway-gateway-responses": {
                    "DEFAULT_4XX": _gateway_response("The request is invalid."),
                    "DEFAULT_5XX": _gateway_response("The server is in trouble. Try again later."),
                    "MISSING_AUTHENTICATION_TOKEN": _gateway_response("Not found.", 404),
                    "REQUEST_TOO_LARGE": _gateway_response(
                        f"The request body is larger than the limit of {MAX_BODY_BYTES} bytes.", 413
                    ),
                    "THROTTLED": _gateway_response("Too many requests.", 429),
                },
            },
        }
    }


def _gateway_response(error: str, status: int | None = None) -> JSON:
    """The envelope of every error; without a status, the one the gateway had in mind."""
    response: JSON = {
        "responseTemplates": {"application/json": json.dumps({"status": "error", "error": error})},
    }
    if status is not None:
        response["statusCode"] = status
    return response
