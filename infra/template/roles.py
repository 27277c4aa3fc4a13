"""The functions' roles: each may do what it needs, and nothing else.

`tests/simulation/test_roles.py` compares ROLES with the requests of the code. It fails if a permission is missing or
isn't used. A write in a transaction needs the same permission as a write by itself.
"""

from infra.template import JSON

#: the actions of each function on each resource, by the logical names of the template
ROLES: dict[str, dict[str, str]] = {
    "APIHandler": {
        "TokensTable": "GetItem",
        "AccountsTable": "GetItem UpdateItem",
        "CatalogTable": "DeleteItem GetItem PutItem Query UpdateItem",
        "CampaignsTable": "GetItem PutItem Query UpdateItem",
        "LogTable": "DeleteItem PutItem Query",
        "ChunksTable": "BatchGetItem BatchWriteItem GetItem PutItem UpdateItem",
        "CallsTable": "BatchGetItem GetItem UpdateItem",
        "TasksTable": "BatchWriteItem GetItem PutItem Query",
        "ReceiptsTable": "GetItem PutItem",
    },
    "Pacer": {
        "OperatorTable": "GetItem",
        "AccountsTable": "GetItem",
        "CatalogTable": "GetItem",
        "CampaignsTable": "GetItem UpdateItem",
        "CampaignsTable/index/work": "Query",
        "LogTable": "Query",
        "ChunksTable": "GetItem",
        "CallsTable": "BatchGetItem UpdateItem",
        "TasksTable": "BatchWriteItem DeleteItem GetItem PutItem Query",
        "CallQueue": "SendMessage",
        # fans out the shards that it has no time for
        "Pacer": "InvokeFunction",
    },
    "Dialer": {
        "OperatorTable": "GetItem",
        "AccountsTable": "GetItem",
        "CatalogTable": "GetItem",
        "CampaignsTable": "GetItem UpdateItem",
        "LogTable": "Query",
        "ChunksTable": "GetItem",
        "CallsTable": "BatchGetItem GetItem UpdateItem",
        "TasksTable": "BatchWriteItem DeleteItem GetItem PutItem Query",
        # Lambda receives the messages with the function's role.
        "CallQueue": "DeleteMessage GetQueueAttributes ReceiveMessage SendMessage",
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
        "CallQueue": "SendMessage",
        "Settler": "InvokeFunction",
    },
}

#: The functions' names, after `callpacer-` and the stage. They are fixed, because a role has to name its function, and
#: is created before it.
NAMES = {"APIHandler": "api", "Pacer": "pacer", "Dialer": "dialer", "Settler": "settler"}
#: The log groups as Chalice names them. A log group's ARN includes its streams, which have no names before they are
#: made.
LOG_GROUPS = {
    "APIHandler": "ApiHandlerLogGroup",
    "Pacer": "PacerLogGroup",
    "Dialer": "DialerLogGroup",
    "Settler": "SettlerLogGroup",
}
#: the indexes that a write to their table writes, too
_WRITTEN_INDEXES = (("CampaignsTable", "work"),)
_SERVICES = {"Table": "dynamodb", "Queue": "sqs", "LogGroup": "logs"}
_FUNCTION_ARN = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:"


def roles() -> JSON:
    """Each function's role and log group."""
    resources: JSON = {}
    for function, permissions in ROLES.items():
        log_group = LOG_GROUPS[function]
        resources[_role_of(function)] = _role({**permissions, log_group: "CreateLogStream PutLogEvents"})
        resources[log_group] = {
            # The log group outlives the stack, as the tables do: its lines are about their calls. A line expires after
            # 30 days.
            "DeletionPolicy": "RetainExceptOnCreate",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"LogGroupName": {"Fn::Sub": f"/aws/lambda/{_name_of(function)}"}},
        }
    return resources


def tables_used(to_write: bool) -> list[tuple[str, str | None]]:
    """The tables that functions write, or read, by logical name. Those they write come with their indexes."""
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
    """The properties that give the function its name, its role and its log group."""
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
    lambda_may_assume = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [lambda_may_assume]},
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
