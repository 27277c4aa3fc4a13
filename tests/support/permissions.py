"""What the functions request of AWS, and what their roles permit, in the same terms.

A permission is an action and the last part of its resource's name, such as `dynamodb:Query` and
`campaigns/index/work`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.template.functions import PREFIX

Permission: TypeAlias = tuple[str, str]

_PREFIX = f"{PREFIX['Fn::Sub']}-"
#: Each part of a transaction needs the permission of the action that does the same by itself.
_PARTS = {"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem"}


def asked_of_dynamodb(operation: str, request: Mapping[str, Any]) -> Iterator[Permission]:
    """The permissions that a request needs."""
    match operation:
        case "TransactWriteItems":
            for part in request["TransactItems"]:
                ((kind, body),) = part.items()
                yield f"dynamodb:{_PARTS[kind]}", _last_name(body["TableName"])
        case "BatchGetItem" | "BatchWriteItem":
            for table in request["RequestItems"]:
                yield f"dynamodb:{operation}", _last_name(table)
        case _:
            index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
            yield f"dynamodb:{operation}", _last_name(request["TableName"]) + index


def asked_of_sqs(operation: str, request: Mapping[str, Any]) -> Iterator[Permission]:
    """The permissions that a request needs. A batch needs the same one as a single message."""
    yield f"sqs:{operation.removesuffix('Batch')}", request["QueueUrl"].rpartition("/")[2]


def asked_of_lambda(operation: str, request: Mapping[str, Any]) -> Iterator[Permission]:
    """The permission that an invocation needs. It is named `InvokeFunction`, not `Invoke`."""
    assert operation == "Invoke"
    yield "lambda:InvokeFunction", _last_name(request["FunctionName"])


def granted(template: Mapping[str, Any]) -> dict[str, set[Permission]]:
    """What each function's role permits, in the deployed template or in the one that is merged over it."""
    resources = template["Resources"]
    return {
        name: set(_granted(resource["Properties"]["Role"], resources))
        for name, resource in resources.items()
        if "Role" in resource.get("Properties", {})
    }


def _granted(role: Any, resources: Mapping[str, Any]) -> Iterator[Permission]:
    (name, _) = role["Fn::GetAtt"]
    properties = resources[name]["Properties"]
    assert properties.keys() == {"AssumeRolePolicyDocument", "Policies"}, (
        f"{name} has properties that this check doesn't read"
    )
    for policy in properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement.keys() == {"Effect", "Action", "Resource"}, (
                f"a statement of {name} has parts that this check doesn't read"
            )
            assert statement["Effect"] == "Allow"
            for action in statement["Action"]:
                yield action, _named(statement["Resource"], resources)


def _named(resource: Any, resources: Mapping[str, Any]) -> str:
    """The last part of the name of a resource of the template, as a policy refers to it; anything else unchanged."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return _name(resources[name])
        case {"Fn::Sub": str(text)} if found := re.fullmatch(r"\$\{(\w+)\.Arn\}(/index/\w+)", text):
            return _name(resources[found[1]]) + found[2]
        case {"Fn::Sub": str(text)} if found := re.fullmatch(rf"arn:.*:function:{re.escape(_PREFIX)}(\w+)", text):
            return found[1]
    return str(resource)


def _name(resource: Mapping[str, Any]) -> str:
    """A table's or queue's name without the deployment's prefix; a log group's whole name."""
    properties = resource["Properties"]
    (name,) = (properties[key]["Fn::Sub"] for key in ("TableName", "QueueName", "LogGroupName") if key in properties)
    return str(name).removeprefix(_PREFIX)


def _last_name(table: str) -> str:
    """Without the prefix of the deployment or test."""
    return table.rpartition("-")[2]
