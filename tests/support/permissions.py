"""What the functions ask of AWS, and what their roles let them ask, in the same words.

A permission is an action and the last name of what it is done to, such as `dynamodb:Query` and
`campaigns/index/work`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from infra.template.functions import PREFIX

Permission: TypeAlias = tuple[str, str]

_PREFIX = f"{PREFIX['Fn::Sub']}-"
#: A transaction is permitted part by part, by the actions that do the same alone.
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
    """The same; sending a batch is permitted as sending is."""
    yield f"sqs:{operation.removesuffix('Batch')}", request["QueueUrl"].rpartition("/")[2]


def asked_of_lambda(operation: str, request: Mapping[str, Any]) -> Iterator[Permission]:
    """The same; invoking goes by another name."""
    assert operation == "Invoke"
    yield "lambda:InvokeFunction", _last_name(request["FunctionName"])


def granted(template: Mapping[str, Any]) -> dict[str, set[Permission]]:
    """What each function's role lets it do, in the template that is deployed or in the one that is merged over it."""
    resources = template["Resources"]
    return {
        name: set(_granted(resource["Properties"]["Role"], resources))
        for name, resource in resources.items()
        if "Role" in resource.get("Properties", {})
    }


def _granted(role: Any, resources: Mapping[str, Any]) -> Iterator[Permission]:
    (name, _) = role["Fn::GetAtt"]
    properties = resources[name]["Properties"]
    assert properties.keys() == {"AssumeRolePolicyDocument", "Policies"}, f"{name} may do more than is understood here"
    for policy in properties["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement.keys() == {"Effect", "Action", "Resource"}, f"a statement of {name} is not understood here"
            assert statement["Effect"] == "Allow"
            for action in statement["Action"]:
                yield action, _named(statement["Resource"], resources)


def _named(resource: Any, resources: Mapping[str, Any]) -> str:
    """The last name of a resource that the template makes, as a policy points to it; anything else as it is."""
    match resource:
        case {"Fn::GetAtt": [name, "Arn"]}:
            return _name(resources[name])
        case {"Fn::Sub": str(text)} if found := re.fullmatch(r"\$\{(\w+)\.Arn\}(/index/\w+)", text):
            return _name(resources[found[1]]) + found[2]
        case {"Fn::Sub": str(text)} if found := re.fullmatch(rf"arn:.*:function:{re.escape(_PREFIX)}(\w+)", text):
            return found[1]
    return str(resource)


def _name(resource: Mapping[str, Any]) -> str:
    """Of a table or queue without what tells deployments apart; of a log group the whole."""
    properties = resource["Properties"]
    (name,) = (properties[key]["Fn::Sub"] for key in ("TableName", "QueueName", "LogGroupName") if key in properties)
    return str(name).removeprefix(_PREFIX)


def _last_name(table: str) -> str:
    """Without the prefix that tells deployments, or tests, apart."""
    return table.rpartition("-")[2]
