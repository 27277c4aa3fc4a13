"""What each function may do, and to what: all that it asks for, and nothing else.

`tests/simulation/test_roles.py` holds this table against what the code asks for, and fails on what is missing and on
what nobody uses. What happens in a transaction is permitted as if it happened by itself.
"""

from typing import Any

JSON = dict[str, Any]

#: by the logical names of the template: each function, what it does something to, and what that is
ROLES: dict[str, dict[str, str]] = {
    "APIHandler": {
        "TokensTable": "GetItem",
        "AccountsTable": "UpdateItem",
        "CatalogTable": "DeleteItem GetItem PutItem Query UpdateItem",
        "CampaignsTable": "GetItem PutItem Query UpdateItem",
        "LogTable": "DeleteItem PutItem Query",
        "ChunksTable": "BatchWriteItem GetItem PutItem UpdateItem",
        "CallsTable": "BatchGetItem",
        "TasksTable": "Query",
        "ReceiptsTable": "GetItem PutItem",
    },
    "Pacer": {
        "OperatorTable": "GetItem",
        "CatalogTable": "GetItem",
        "CampaignsTable": "GetItem UpdateItem",
        "CampaignsTable/index/work": "Query",
        "LogTable": "Query",
        "ChunksTable": "GetItem",
        "CallsTable": "BatchGetItem",
        "TasksTable": "BatchWriteItem DeleteItem PutItem Query",
        "CallQueue": "SendMessage",
        # for what it has no time for itself
        "Pacer": "InvokeFunction",
    },
    "Dialer": {
        "OperatorTable": "GetItem",
        "AccountsTable": "GetItem",
        "CatalogTable": "GetItem",
        "CampaignsTable": "GetItem",
        "CallsTable": "BatchGetItem GetItem UpdateItem",
        "TasksTable": "DeleteItem PutItem",
        # for Lambda, which takes the messages out with the function's role
        "CallQueue": "DeleteMessage GetQueueAttributes ReceiveMessage",
        "DeadLetterQueue": "SendMessage",
    },
    "Settler": {
        "CatalogTable": "GetItem",
        "CampaignsTable": "GetItem UpdateItem",
        "CampaignsTable/index/work": "Query",
        "LogTable": "DeleteItem Query",
        "ChunksTable": "GetItem UpdateItem",
        "CallsTable": "BatchGetItem UpdateItem",
        "TasksTable": "BatchWriteItem DeleteItem PutItem Query",
        "Settler": "InvokeFunction",
    },
}

#: What the functions are called, after `callpacer-` and the stage. They have names so that a role can name its own
#: function, which can't be made before its role.
NAMES = {"APIHandler": "api", "Pacer": "pacer", "Dialer": "dialer", "Settler": "settler"}
#: The log groups as Chalice names them. A log group's ARN stands for the streams in it too, which have no names before
#: they are made.
LOG_GROUPS = {
    "APIHandler": "ApiHandlerLogGroup",
    "Pacer": "PacerLogGroup",
    "Dialer": "DialerLogGroup",
    "Settler": "SettlerLogGroup",
}
#: what an index of a table takes part in when the table is written to
_WRITTEN_INDEXES = (("CampaignsTable", "work"),)
_SERVICES = {"Table": "dynamodb", "Queue": "sqs", "LogGroup": "logs"}
_FUNCTION_ARN = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"


def roles() -> JSON:
    """The resources: each function's role and log group."""
    resources: JSON = {}
    for function, permissions in ROLES.items():
        log_group = LOG_GROUPS[function]
        resources[_role_of(function)] = _role({**permissions, log_group: "CreateLogStream PutLogEvents"})
        resources[log_group] = {
            # Its lines tell of the calls in the tables, which outlive the stack too; each goes when it is 30 days old.
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"LogGroupName": {"Fn::Sub": f"/aws/lambda/{_name_of(function)}"}},
        }
    return resources


def tables_asked(to_write: bool) -> list[tuple[str, str | None]]:
    """The tables that functions write to, or read from, by logical name; for writing with the indexes in them."""
    found: set[str] = set()
    for permissions in ROLES.values():
        for resource, actions in permissions.items():
            kinds = {
                action.endswith(("PutItem", "UpdateItem", "DeleteItem", "WriteItem")) for action in actions.split()
            }
            if resource.endswith("Table") and to_write in kinds:
                found.add(resource)
    return [*((table, None) for table in sorted(found)), *(_WRITTEN_INDEXES if to_write else ())]


def identity(function: str) -> JSON:
    """The properties by which the function has its name and role, and says what it says in its log group."""
    return {
        "FunctionName": {"Fn::Sub": _name_of(function)},
        "Role": {"Fn::GetAtt": [_role_of(function), "Arn"]},
        "LoggingConfig": {"LogGroup": {"Ref": LOG_GROUPS[function]}},
    }


def _name_of(function: str) -> str:
    return f"callpacer-${{Stage}}-{NAMES[function]}"


def _role_of(function: str) -> str:
    return f"{function}Role"


def _role(permissions: dict[str, str]) -> JSON:
    by_lambda = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [by_lambda]},
            "Policies": [
                {
                    "PolicyName": "AllThatItAsksFor",
                    "PolicyDocument": {
                        "Version": "2012-10-17",
                        "Statement": [_statement(*permission) for permission in permissions.items()],
                    },
                }
            ],
        },
    }


def _statement(resource: str, actions: str) -> JSON:
    name, _, part = resource.partition("/")
    if name in NAMES:
        arn = {"Fn::Sub": _FUNCTION_ARN + _name_of(name)}
        return {"Effect": "Allow", "Action": [f"lambda:{action}" for action in actions.split()], "Resource": arn}
    service = next(service for kind, service in _SERVICES.items() if name.endswith(kind))
    return {
        "Effect": "Allow",
        "Action": [f"{service}:{action}" for action in actions.split()],
        "Resource": {"Fn::Sub": f"${{{name}.Arn}}/{part}"} if part else {"Fn::GetAtt": [name, "Arn"]},
    }
